// The page of a job: each event extends the curves; the other sections are refreshed until the job ends.

import { act, ask, complain, keepFresh, refresh } from './common.js';
import { Curves } from './chart.js';
import { curvesOf, levelOf, marksOf } from './measures.js';
import { showEpoch, showPosition } from './running.js';

const MOST_POINTS = 2000; // more than a screen has pixels; the server chooses which
const [SOONEST, LATEST] = [10, 60]; // seconds between two refreshes
const SHARE = 0.1; // of the time of a run until its page is refreshed again: the stream brings what moves faster

const place = document.getElementById('chart');
const measure = document.getElementById('measure');
const log = document.getElementById('log');
const chart = new Curves(place);
let rows = [];
let isDue = false;
let stream = null;

const marks = () => document.getElementById('marks').dataset;
const isEnded = () => marks().ended === 'yes';

async function load() {
  const fetched = (await ask(`${place.dataset.history}?max_points=${MOST_POINTS}`)).data;
  const last = fetched.at(-1)?.epoch ?? 0;
  rows = [...fetched, ...rows.filter((row) => row.epoch > last)]; // the stream may be ahead
  draw();
}

function draw() {
  const best = rows.findLast((row) => row.improved)?.epoch ?? marks().best;
  chart.show(rows.map((row) => row.epoch), curvesOf(rows, measure.value), {
    marks: marksOf({ ...marks(), best }), isLog: log.checked, level: levelOf(place.dataset, measure.value),
    points: measure.value === 'loss' ? JSON.parse(marks().named) : [],
  });
  if (rows.length) document.getElementById('waiting').textContent = '';
}

function drawSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    draw();
  });
}

function add(row) {
  if (rows.length && row.epoch <= rows.at(-1).epoch) return;
  rows.push(row);
  if (rows.length > 2 * MOST_POINTS) load().catch(complain);
  else drawSoon();
  showEpoch(row);
}

function listen() {
  stream = new EventSource(place.dataset.events);
  stream.addEventListener('epoch', (event) => add(JSON.parse(event.data)));
  stream.addEventListener('position', (event) => showPosition(JSON.parse(event.data)));
  stream.addEventListener('resumed', (event) => {
    const after = JSON.parse(event.data).after_epoch;
    rows = rows.filter((row) => row.epoch <= after);
    drawSoon();
  });
  for (const type of ['status', 'phase', 'cancel_requested', 'pause_requested', 'resume_requested', 'diagnosis']) {
    stream.addEventListener(type, () => refresh().catch(() => {}));
  }
  stream.addEventListener('end', async () => {
    stream.close();
    await refresh().catch(() => {});
    draw();
    if (!isEnded()) look(); // the job was retried
  });
}

/** A hidden tab holds no stream: a browser opens six connections to a service, for all tabs together. */
function look() {
  stream?.close();
  if (document.hidden) return;
  load().catch(complain);
  if (!isEnded()) listen();
}

/** A long run changes slowly: the service renders its page less often. */
function pause() {
  const gone = Number(document.getElementById('clocks')?.dataset.gone ?? 0);
  return Math.min(LATEST, Math.max(SOONEST, SHARE * gone));
}

act(async () => {
  const wasEnded = isEnded();
  await refresh();
  if (wasEnded && !isEnded()) location.reload();
});
measure.addEventListener('change', draw);
log.addEventListener('change', draw);
document.addEventListener('visibilitychange', look);
look();
keepFresh(pause, () => !isEnded());
