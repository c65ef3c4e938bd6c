// Trying a picture: dropped, pasted, chosen or taken, it is classified at once, and its classes are shown as bars.

import { ask } from './common.js';

const MOST_BARS = 10; // classes, the most probable first; picture.py shows as many
const SIMILAR = 4; // validation pictures beside the classes; picture.py shows as many
const MOST_SHOWN = 8 << 20; // bytes of a picture that is shown beside its classes

const form = () => document.getElementById('try-form');
const make = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
const percent = (share) => `${(100 * share).toFixed(1)}%`;

async function classify(file) {
  const said = document.getElementById('said');
  const body = new FormData();
  body.append('file', file);
  said.textContent = 'Classifying …';
  try {
    const [{ probabilities, similar }] = (await ask(`${form().dataset.predict}?similar=${SIMILAR}`, { method: 'POST', body })).data;
    said.replaceChildren(...(await preview(file)), bars(probabilities), ...alike(similar));
  } catch (error) {
    said.textContent = error.faults?.[0]?.detail ?? error.message;
  }
}

/** The picture itself, if the browser can read it. The policy of the page allows data, not blobs. */
async function preview(file) {
  if (file.size > MOST_SHOWN) return [];
  const reader = new FileReader();
  await new Promise((done) => {
    reader.onloadend = done;
    reader.readAsDataURL(file);
  });
  const picture = make('img', { src: reader.result, alt: file.name });
  return picture.decode().then(() => [picture], () => []);
}

function bars(probabilities) {
  const classes = Object.entries(probabilities).sort(([, a], [, b]) => b - a).slice(0, MOST_BARS);
  return make('dl', { className: 'bars' }, ...classes.flatMap(([label, share]) => [
    make('dt', { textContent: label }),
    make('dd', {}, make('meter', { max: 1, value: share, ariaLabel: label }), ' ', make('span', { className: 'figure', textContent: percent(share) })),
  ]));
}

/** The validation pictures that the model sees much like this one, with their true classes. */
function alike(similar) {
  const shown = similar.filter(({ image }) => image);
  const figures = shown.map(({ image, label }) => make('figure', {},
    make('img', { src: image, alt: `a picture of ${label}` }), make('figcaption', { textContent: label })));
  return figures.length ? [make('h3', { textContent: 'Most similar validation pictures' }), make('div', { className: 'alike' }, ...figures)] : [];
}

document.addEventListener('change', ({ target }) => target.matches('#picture, #photo') && target.files.length && classify(target.files[0]));
document.addEventListener('submit', (event) => {
  if (event.target !== form()) return;
  event.preventDefault();
  classify(document.getElementById('picture').files[0]);
});
document.addEventListener('paste', ({ clipboardData }) => form() && clipboardData.files.length && classify(clipboardData.files[0]));
for (const type of ['dragover', 'dragleave', 'drop']) { // on the whole page: the browser would open a file dropped elsewhere
  document.addEventListener(type, (event) => {
    if (!form() || !event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    form().classList.toggle('over', type === 'dragover');
    if (type === 'drop' && event.dataTransfer.files.length) classify(event.dataTransfer.files[0]);
  });
}
