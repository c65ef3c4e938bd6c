// The form of a new job or fit. The inputs that differ from the defaults become the spec; its plan is shown as it changes.

import { ask, complain } from './common.js';
import { linesOfFit, linesOfJob, roughly } from './planned.js';
import { fitOf, requestsOfFit, requestsOfJob } from './requests.js';

const FIT = 'fit'; // the goal that searches for the best settings; the others are jobs
const HELD_OUT = '20'; // % for the test of a fit, unless another share was chosen
const SOON = 500; // milliseconds without a change before the plan is asked for

const form = document.getElementById('spec');
const inputs = [...form.querySelectorAll('[data-pointer]')];
const parts = [...form.querySelectorAll('[data-part]')];
const at = (pointer) => inputs.find((input) => input.dataset.pointer === pointer);
const arch = at('/model/arch');
const test = at('/dataset/test_fraction');
const name = at('/name');
const datasets = JSON.parse(form.dataset.datasets);
const words = new Map([...arch.options].map((option) => [option, option.textContent])); // of the networks
let isNamed = name.value !== '';
let isHeldOut = false; // whether the share of the test is that of a fit
let timer = null;
let asked = 0;
let timed = ''; // the data set whose times stand beside the networks
let times = {}; // seconds of an epoch by network, of own ones with their default sizes
let planned = {}; // the network of the newest plan, and the seconds of its epochs

/** The value of an input. A malformed value is sent as text, so that the service reports the fault. */
function valueOf(input) {
  const text = input.value?.trim();
  switch (input.dataset.kind) {
    case 'radio': return input.querySelector(':checked').value || null;
    case 'flag': return input.checked;
    case 'switch': return { false: false, true: true }[text] ?? text;
    case 'number': return text === '' ? null : number(text);
    case 'percent': return typeof number(text) === 'number' ? number(text) / 100 : text;
    case 'list': return text === '' ? [] : text.split(',').map((item) => number(item.trim()));
    case 'json': try { return JSON.parse(text); } catch { return text; }
    case 'pairs': return Object.fromEntries(text.split(',').map((pair) => pair.trim()).filter(Boolean).map((pair) => {
      const [key, ...rest] = pair.split('=');
      return [key.trim(), rest.join('=').trim()];
    }));
    default: return text === '' ? null : text;
  }
}

const number = (text) => (text !== '' && Number.isFinite(Number(text)) ? Number(text) : text);

function put(spec, pointer, value) {
  const names = pointer.split('/').slice(1);
  const last = names.pop();
  let inner = spec;
  for (const each of names) inner = inner[each] ??= {};
  inner[last] = value;
}

const isFit = () => form.elements.goal.value === FIT;

/** Whether an input applies: its goal and network are selected, and its part is used. */
function counts(input) {
  if (input.dataset.pointer === '/minutes') return isFit();
  if (input.dataset.pointer === '/recipe') return !isFit();
  const { arch: family, group } = input.closest('.field')?.dataset ?? {};
  if (family && family !== arch.selectedOptions[0].dataset.family) return false;
  return !group || (parts.find((part) => part.dataset.part === group)?.checked ?? true);
}

function specified() {
  const spec = {};
  for (const part of parts) {
    if (!part.checked && part.dataset.usual) put(spec, part.dataset.part, null);
    if (part.checked && !part.dataset.usual) put(spec, part.dataset.part, {});
  }
  for (const input of inputs.filter(counts)) {
    const value = valueOf(input);
    const isUsual = JSON.stringify(value) === JSON.stringify(JSON.parse(input.dataset.default));
    if (!isUsual || input.dataset.pointer === '/dataset/id') put(spec, input.dataset.pointer, value);
  }
  return spec;
}

/** The request that the form makes: its address and its body. */
function request() {
  return isFit() ? { address: form.dataset.fits, body: fitOf(specified()) } : { address: form.dataset.submit, body: specified() };
}

/** Hold out images for the test of a fit, and none again for another goal, unless a share was chosen. */
function holdOut() {
  const isOwn = datasets[at('/dataset/id').value].parts.test !== undefined;
  if (isFit() && !isOwn && test.value === '0') [test.value, isHeldOut] = [HELD_OUT, true];
  else if (!isFit() && isHeldOut) [test.value, isHeldOut] = ['0', false];
}

/** The numbers of images to train on, to choose the best epoch by, and to test on, as far as they are known. */
function split() {
  const { samples, parts: given } = datasets[at('/dataset/id').value];
  const share = (pointer) => Math.round(samples * (Number(valueOf(at(pointer))) || 0));
  const choose = given.validation ?? share('/dataset/val_fraction');
  const test = given.test ?? share('/dataset/test_fraction');
  return { train: Math.max(0, samples - choose - test), choose, test };
}

function showData() {
  const known = datasets[at('/dataset/id').value];
  document.getElementById('facts').textContent =
    `${known.samples.toLocaleString('en')} pictures, ${known.classes} classes, ${known.size}, ${known.colour}`;
  const samples = document.getElementById('samples');
  samples.hidden = !known.sheet;
  if (known.sheet && samples.getAttribute('src') !== known.sheet) samples.src = known.sheet;
  if (!isNamed) name.value = `${known.name} · ${isFit() ? FIT : arch.value} · ${known.jobs + 1}`;
  const sizes = split();
  const share = (part) => (100 * sizes[part]) / Math.max(1, known.samples);
  for (const part of Object.keys(sizes)) document.querySelector(`#split .${part}`).style.width = `${share(part)}%`;
  document.getElementById('split-words').textContent =
    `about ${sizes.train.toLocaleString('en')} training · ${sizes.choose.toLocaleString('en')} validation · ${sizes.test.toLocaleString('en')} test`;
}

function show() {
  for (const input of inputs) {
    const field = input.closest('.field');
    if (field) field.hidden = !counts(input);
  }
  showData();
  writeTimes();
  showTimes().catch(() => {});
  document.getElementById('start').textContent = isFit() ? 'Start the fit' : 'Start training';
  const { address, body } = request();
  const place = new URL(address, location.href).href;
  const requests = (isFit() ? requestsOfFit : requestsOfJob)(body, place, form.dataset.needsKey);
  document.getElementById('curl').textContent = requests[document.getElementById('language').value];
  clearTimeout(timer);
  timer = setTimeout(() => plan().catch(() => {}), SOON);
}

/** Show each fault beside its input. */
function mark(faults) {
  for (const input of inputs) {
    const own = faults.filter(({ pointer }) => pointer === input.dataset.pointer || pointer.startsWith(`${input.dataset.pointer}/`));
    const place = document.getElementById(`${input.id}-fault`);
    place.hidden = !own.length;
    place.textContent = own.map(({ detail, allowed }) => (allowed ? `Allowed: ${allowed}` : detail)).join(' ');
    if (own.length && counts(input)) {
      input.setAttribute('aria-invalid', 'true');
      input.setAttribute('aria-describedby', `${place.id} ${input.id}-hint`);
      for (let box = input.closest('details'); box; box = box.parentElement.closest('details')) box.open = true;
    } else {
      input.removeAttribute('aria-invalid');
      if (input.id !== 'goal') input.setAttribute('aria-describedby', `${input.id}-hint`);
    }
  }
}

/** What the job needs, and what its recipe fills; or what is wrong. */
async function plan() {
  const turn = (asked += 1);
  const place = document.getElementById('plan');
  const { address, body } = request();
  const found = await ask(`${address}?validate_only=true`, { method: 'POST', body: JSON.stringify(body) }).catch((error) => error);
  if (turn !== asked) return; // a newer request is on its way
  const isFault = found instanceof Error;
  const lines = isFault ? [found.message] : isFit() ? linesOfFit(found, body.minutes) : linesOfJob(found);
  place.replaceChildren(...lines.map((line) => (typeof line === 'string' ? Object.assign(document.createElement('p'), { textContent: line }) : line)));
  const time = isFault ? null : found.time ?? found.trial_cost;
  planned = time ? { network: arch.value, seconds: time.epoch_seconds } : {};
  writeTimes();
}

/** Get the times of an epoch of the chosen data set. */
async function showTimes() {
  const dataset = at('/dataset/id').value;
  if (dataset === timed) return;
  timed = dataset;
  const found = await ask(form.dataset.times.replace('DATASET', encodeURIComponent(dataset)));
  if (dataset !== timed) return; // another one was chosen meanwhile
  times = found;
  writeTimes();
}

/** Write the time of an epoch beside each network where it is known, and below the chosen one: a narrow screen cuts the
 * text of a closed list. */
function writeTimes() {
  for (const [option, text] of words) {
    const seconds = option.value === planned.network ? planned.seconds : times[option.value];
    const time = seconds ? `about ${roughly(seconds)} an epoch` : '';
    option.textContent = time ? `${text}, ${time}` : text;
    if (option.selected) document.getElementById(`${arch.id}-hint`).textContent = time;
  }
}

async function send(query = '') {
  complain(null);
  const { address, body } = request();
  try {
    const content = await ask(address + query, { method: 'POST', body: JSON.stringify(body) });
    mark([]);
    return content;
  } catch (error) {
    const faults = (error.faults ?? []).map((fault) => ({ ...fault, pointer: fault.pointer.replace(/^\/spec\b/, '') }));
    const isMarked = faults.length && faults.every(({ pointer }) => inputs.some((input) => pointer.startsWith(input.dataset.pointer)));
    const count = `${faults.length} ${faults.length === 1 ? 'setting needs' : 'settings need'} another value, marked below.`;
    complain(isMarked ? { message: count } : error);
    mark(faults);
    form.querySelector('[aria-invalid]')?.focus();
    return null;
  }
}

form.addEventListener('input', (event) => {
  if (event.target === name) isNamed = name.value !== '';
  if (event.target === test) isHeldOut = false;
  if (event.target.name === 'goal') holdOut();
  show();
  const place = document.getElementById(`${event.target.id}-fault`);
  if (place) place.hidden = true; // the fault belongs to the old value
  event.target.removeAttribute('aria-invalid');
});
form.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.target.tagName !== 'INPUT') return;
  event.preventDefault(); // Enter must not start a training by accident
  document.getElementById('check').click();
});
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const start = document.getElementById('start');
  start.disabled = true;
  const page = isFit() ? form.dataset.fit : form.dataset.job;
  const started = await send();
  start.disabled = false;
  if (started) location.href = page.replace('ID', encodeURIComponent(started.id));
});
document.getElementById('check').addEventListener('click', async () => {
  if (await send('?validate_only=true')) await plan();
});
document.getElementById('copy').addEventListener('click', async (event) => {
  try {
    await navigator.clipboard.writeText(document.getElementById('curl').textContent);
    event.target.textContent = 'Copied';
  } catch { // not allowed over plain HTTP: select the text, to be copied by hand
    getSelection().selectAllChildren(document.getElementById('curl'));
  }
});
holdOut();
show();
