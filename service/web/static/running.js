// The card of a running job between two refreshes of its page: its clocks, its epoch, its loss and its batches.

import { duration } from './common.js';

const card = document.getElementById('score');
let position = null; // {epoch, batch, batches} as the stream sends it
let done = 0; // epochs
let newest = null; // {epoch, val_loss, improved, …} of the newest epoch that the stream has sent
let rendered = performance.now();

/** Show how many batches of an epoch are trained; all of them: the model is being validated. */
export function showPosition(sent) {
  position = sent;
  done = sent.epoch - 1;
  show();
}

/** Show that an epoch is complete. */
export function showEpoch(row) {
  done = row.epoch;
  newest = row;
  show();
}

const format = (loss) => (Math.abs(loss) >= 1 ? Number(loss.toPrecision(4)).toString() : loss.toFixed(4));

/** Show the loss of the newest epoch, unless the page has a newer one. */
function showLoss() {
  const latest = document.getElementById('latest');
  if (!latest || newest?.val_loss == null || newest.epoch <= Number(latest.dataset.epoch)) return;
  const loss = format(newest.val_loss);
  latest.dataset.epoch = newest.epoch;
  if (newest.improved) latest.dataset.best = loss;
  latest.textContent = `validation loss ${loss} at epoch ${newest.epoch}, best ${latest.dataset.best}`;
}

function show() {
  showLoss();
  const epochs = document.getElementById('epochs');
  const now = document.getElementById('epoch-now');
  if (!now) return; // the job does not run
  epochs.value = Math.max(done, epochs.value);
  now.textContent = Math.min(epochs.value + 1, epochs.max);
  if (!position) return;
  const { batch, batches } = position;
  const line = document.getElementById('batches');
  const [bar, words] = line.children;
  line.hidden = false;
  Object.assign(bar, { max: batches, value: batch });
  words.textContent = batch < batches ? `batch ${batch + 1} of ${batches}` : 'waiting for validation';
}

function tick() {
  const passed = (performance.now() - rendered) / 1000;
  for (const clock of card.querySelectorAll('[data-up]')) clock.textContent = duration(Number(clock.dataset.up) + passed);
  for (const clock of card.querySelectorAll('[data-down]')) clock.textContent = duration(Math.max(0, Number(clock.dataset.down) - passed));
}

new MutationObserver((changes) => {
  if (!changes.some(({ target }) => target === card)) return; // only a refresh replaces the children of the card
  rendered = performance.now();
  show();
}).observe(card, { childList: true });
setInterval(tick, 1000);
