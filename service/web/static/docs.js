// The documentation: a search over all pages, and buttons that copy the blocks of code.

const MOST = 8; // results
const AROUND = 60; // characters of a result before and after the first word

const search = document.getElementById('search');
const found = document.getElementById('found');
let sections = null;

const make = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

/** How well a section fits the words; 0 if one of them is missing. */
function score({ page, title, text }, words) {
  const [heading, whole] = [`${page} ${title}`.toLowerCase(), text.toLowerCase()];
  if (!words.every((word) => heading.includes(word) || whole.includes(word))) return 0;
  return 1 + words.filter((word) => heading.includes(word)).length * 2;
}

function excerpt(text, word) {
  const at = Math.max(0, text.toLowerCase().indexOf(word) - AROUND);
  return `${at ? '…' : ''}${text.slice(at, at + 2 * AROUND)}…`;
}

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length || !sections) return found.replaceChildren();
  const fitting = sections.map((section) => [score(section, words), section]).filter(([points]) => points);
  fitting.sort(([a], [b]) => b - a);
  const results = fitting.slice(0, MOST).map(([, { page, title, address, text }]) => make(
    'a', { href: address }, page === title ? title : `${page}: ${title}`, make('span', { className: 'small', textContent: excerpt(text, words[0]) }),
  ));
  return found.replaceChildren(...(results.length ? results : ['Nothing found.']));
}

search.addEventListener('input', async () => {
  sections ??= await fetch(search.dataset.index).then((answer) => answer.json(), () => null);
  show();
});
for (const block of document.querySelectorAll('pre')) {
  block.tabIndex = 0; // it scrolls
  const button = make('button', { className: 'copy', textContent: 'Copy', type: 'button' });
  button.addEventListener('click', async () => {
    const text = block.querySelector('code').textContent;
    await navigator.clipboard.writeText(text).then(() => { button.textContent = 'Copied'; }, () => getSelection().selectAllChildren(block));
  });
  block.append(button);
}
if (matchMedia('(max-width: 60rem)').matches) document.querySelector('.contents details').open = false;

/** The keyboard reaches a table that scrolls, and scrolls it. */
function reach() {
  for (const table of document.querySelectorAll('main table')) {
    if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
    else table.removeAttribute('tabindex');
  }
}

reach();
addEventListener('resize', reach);
