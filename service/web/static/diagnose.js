// The page that diagnoses a history: a dropped file is sent at once, and the chart replaces the plain drawing.

import { Curves } from './chart.js';
import { curvesOf, marksOf } from './measures.js';

const form = document.getElementById('history-form');
const place = document.getElementById('chart');

function show() {
  const rows = JSON.parse(place.dataset.rows);
  const measure = document.getElementById('measure');
  const log = document.getElementById('log');
  const chart = new Curves(place);
  const draw = () => chart.show(rows.map((row) => row.epoch), curvesOf(rows, measure.value), {
    marks: marksOf(place.dataset), isLog: log.checked,
  });
  place.replaceChildren();
  measure.addEventListener('change', draw);
  log.addEventListener('change', draw);
  draw();
}

function send(files) {
  document.getElementById('history').value = '';
  document.getElementById('file').files = files;
  form.requestSubmit();
}

if (place) show();
for (const type of ['dragover', 'dragleave', 'drop']) { // on the whole page: the browser would open a file dropped elsewhere
  document.addEventListener(type, (event) => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    form.querySelector('.drop').classList.toggle('over', type === 'dragover');
    if (type === 'drop' && event.dataTransfer.files.length) send(event.dataTransfer.files);
  });
}
document.getElementById('file').addEventListener('change', () => {
  document.getElementById('history').value = ''; // one of both is sent
});
document.addEventListener('paste', ({ clipboardData }) => clipboardData.files.length && send(clipboardData.files));
