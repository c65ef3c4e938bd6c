// Folders as a tar archive (POSIX.1-2001), assembled without reading the files: the browser reads them during the upload.

const BLOCK = 512;
const LONGEST_PATH = 100; // bytes, in the header itself; longer paths, and those beyond ASCII, go into a pax record
const text = new TextEncoder();

function header(path, size, type) {
  const block = new Uint8Array(BLOCK);
  const put = (value, at) => block.set(text.encode(value), at);
  put(path, 0);
  put('0000644\0', 100);
  put('0000000\0', 108);
  put('0000000\0', 116);
  put(`${size.toString(8).padStart(11, '0')}\0`, 124);
  put('00000000000\0', 136);
  put('        ', 148); // the checksum is computed with blanks in its own field
  put(type, 156);
  put('ustar\0', 257);
  put('00', 263);
  put(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

const padding = (size) => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);

/** A pax record starts with its own length. */
function record(path) {
  const rest = ` path=${path}\n`;
  const bytes = text.encode(rest).length;
  let length = bytes + 1;
  while (length !== bytes + String(length).length) length = bytes + String(length).length;
  return text.encode(`${length}${rest}`);
}

/** The archive of some files, each {path, file}, as a Blob. */
export function tar(files) {
  const pieces = [];
  for (const { path, file } of files) {
    const isPlain = /^[\x20-\x7e]+$/.test(path) && path.length <= LONGEST_PATH;
    if (!isPlain) {
      const pax = record(path);
      pieces.push(header('pax', pax.length, 'x'), pax, padding(pax.length));
    }
    pieces.push(header(isPlain ? path : 'file', file.size, '0'), file, padding(file.size));
  }
  return new Blob([...pieces, new Uint8Array(2 * BLOCK)], { type: 'application/x-tar' });
}
