// What is left out of a folder: hidden files, and what systems and tools make. The service gives the names to the page.

const SHOWN = 20; // names in a remark
const { names, ending } = JSON.parse(document.getElementById('send').dataset.litter);

const isHidden = (part) => part.startsWith('.');
const isLitter = (part) => names.includes(part.toLowerCase()) || part.toLowerCase().endsWith(ending);

function* remark(paths, one, several) {
  const more = paths.size - SHOWN;
  const listed = [...paths].sort().slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
  if (paths.size) yield `left out ${paths.size} ${paths.size === 1 ? one : several}: ${listed}`;
}

/** Divide files, each {path, file}, into those to send and remarks about the others. A folder is named, not its files. */
export function divide(files) {
  const [sent, hidden, litter] = [[], new Set(), new Set()];
  for (const one of files) {
    const parts = one.path.split('/');
    const at = parts.findIndex((part) => isHidden(part) || isLitter(part));
    if (at < 0) sent.push(one);
    else (isHidden(parts[at]) ? hidden : litter).add(parts.slice(0, at + 1).join('/'));
  }
  const remarks = [...remark(hidden, 'hidden file or folder', 'hidden files or folders'), ...remark(litter, 'file or folder that systems or tools made', 'files or folders that systems or tools made')];
  return { sent, remarks };
}
