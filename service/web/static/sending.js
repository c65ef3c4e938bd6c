// Uploading pictures: a folder (packed as a tar) or an archive, dropped or selected, with its options and progress.

import { complain, size } from './common.js';
import { divide } from './left_out.js';
import { keep, show } from './remarks.js';
import { tar } from './tar.js';

const TYPES = { '.zip': 'application/zip', '.tar': 'application/x-tar', '.tar.gz': 'application/gzip', '.tgz': 'application/gzip', '.npz': 'application/x-npz' };
const form = document.getElementById('send');
const drop = document.getElementById('drop');
const bar = document.getElementById('sent');
const progress = document.getElementById('progress');
let sending = null;

function send(archive, type, fallback, remarks = []) {
  if (!document.getElementById('sending').hidden) throw new Error('Another upload is running. Wait for it, or stop it.');
  if (archive.size > Number(form.dataset.most)) throw new Error('This is larger than the service accepts. Leave some pictures out.');
  const name = document.getElementById('name').value.trim() || fallback;
  sending = new XMLHttpRequest(); // fetch reports no progress of an upload
  sending.open('POST', `${form.dataset.submit}?${new URLSearchParams({ name: name.slice(0, 100), ...options() })}`);
  const [labels] = document.getElementById('labels').files;
  if (!labels) sending.setRequestHeader('Content-Type', type); // otherwise the browser sets that of the form
  const token = document.querySelector('meta[name="csrf-token"]').content;
  if (token) sending.setRequestHeader('X-CSRF-Token', token);
  sending.upload.onprogress = ({ loaded, total }) => {
    bar.value = loaded / total;
    progress.textContent = `${Math.round((100 * loaded) / total)} % of ${size(total)}`;
  };
  sending.onload = () => {
    const isOurs = sending.getResponseHeader('Content-Type')?.includes('json'); // not the answer of a proxy
    const answer = isOurs ? JSON.parse(sending.responseText) : {};
    if (sending.status === 202) {
      location.href = form.dataset.page.replace('DATASET', encodeURIComponent(answer.id));
      keep(answer.id, remarks);
    } else end(new Error(answer.detail ?? `${sending.status} ${sending.statusText}`));
  };
  sending.onerror = () => end(new Error('The service does not answer. Check that it is running, then upload again.'));
  sending.onabort = () => end(null);
  document.getElementById('sending').hidden = false;
  show(remarks);
  sending.send(labels ? withLabels(new File([archive], fallback, { type }), labels) : archive);
}

const options = () => ({
  skip_broken: document.getElementById('skip-broken').checked,
  background: document.getElementById('background').value,
});

function withLabels(archive, labels) {
  const content = new FormData();
  content.append('file', archive);
  content.append('labels', labels);
  return content;
}

function end(error) {
  document.getElementById('sending').hidden = true;
  complain(error);
}

function sendFolder(files, name) {
  const { sent, remarks } = divide(files);
  if (!sent.length) throw new Error(['The folder has no files to send. Choose one with a subfolder for each class', ...remarks].join('; '));
  send(tar(sent), 'application/x-tar', name, remarks);
}

function sendArchive(file) {
  const ending = Object.keys(TYPES).findLast((one) => file.name.toLowerCase().endsWith(one));
  if (!ending) throw new Error(`${file.name} is not an archive. Upload a folder, or one of ${Object.keys(TYPES).join(', ')}.`);
  send(file, TYPES[ending], file.name.slice(0, -ending.length));
}

/** All files in a dropped folder, with paths relative to it. */
async function walk(entry, path = '') {
  if (entry.isFile) return [{ path, file: await new Promise((done, fail) => entry.file(done, fail)) }];
  const reader = entry.createReader();
  const inside = [];
  for (let some; (some = await new Promise((done, fail) => reader.readEntries(done, fail))).length;) inside.push(...some);
  return (await Promise.all(inside.map((one) => walk(one, path ? `${path}/${one.name}` : one.name)))).flat();
}

async function guarded(action) {
  complain(null);
  try {
    await action();
  } catch (error) {
    complain(error);
  }
}

document.getElementById('folder').addEventListener('change', ({ target }) => guarded(() => {
  const files = [...target.files].map((file) => ({ path: file.webkitRelativePath.split('/').slice(1).join('/'), file }));
  sendFolder(files, target.files[0]?.webkitRelativePath.split('/')[0] ?? '');
}));
document.getElementById('archive').addEventListener('change', ({ target }) => guarded(() => sendArchive(target.files[0])));
for (const type of ['dragover', 'dragleave', 'drop']) { // on the whole page: the browser would open a file dropped elsewhere
  addEventListener(type, (event) => {
    if (!event.dataTransfer.types.includes('Files')) return; // dragged text
    event.preventDefault();
    drop.classList.toggle('over', type === 'dragover');
  });
}
addEventListener('drop', ({ dataTransfer }) => dataTransfer.types.includes('Files') && guarded(async () => {
  const entries = [...dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const [first] = entries;
  if (entries.length === 1 && first.isDirectory) sendFolder(await walk(first), first.name);
  else if (entries.some((one) => one.isDirectory)) sendFolder((await Promise.all(entries.map((one) => walk(one, one.name)))).flat(), 'pictures');
  else if (dataTransfer.files.length) sendArchive(dataTransfer.files[0]);
}));
document.getElementById('stop').addEventListener('click', () => sending?.abort());
form.addEventListener('submit', (event) => event.preventDefault());
