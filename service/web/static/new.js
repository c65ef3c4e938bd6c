// The form of a new job. The inputs that differ from the defaults become the spec.

import { ask, complain, size } from './common.js';

const form = document.getElementById('spec');
const inputs = [...form.querySelectorAll('[data-pointer]')];
const parts = [...form.querySelectorAll('[data-part]')];
const arch = form.querySelector('[data-pointer="/model/arch"]');

/** The value of an input. A malformed value is sent as text, so that the service reports the fault. */
function valueOf(input) {
  const text = input.value.trim();
  switch (input.dataset.kind) {
    case 'flag': return input.checked;
    case 'number': return text === '' ? null : number(text);
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
  for (const name of names) inner = inner[name] ??= {};
  inner[last] = value;
}

/** Whether an input applies: its network is selected and its part is used. */
function counts(input) {
  const field = input.closest('.field');
  const { arch: family, group } = field.dataset;
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

function show() {
  for (const input of inputs) {
    const isUsed = counts(input);
    input.closest('.field').hidden = !isUsed;
  }
  const body = JSON.stringify(specified(), null, 2).replaceAll("'", "'\\''");
  const key = form.dataset.needsKey ? " -H 'Authorization: Bearer rf_…'" : '';
  document.getElementById('curl').textContent =
    `curl -s ${new URL(form.dataset.submit, location.href)}${key} \\\n  -H 'Content-Type: application/json' -d '${body}'`;
}

/** Show each fault beside its input. */
function mark(faults) {
  for (const input of inputs) {
    const own = faults.filter(({ pointer }) => pointer === input.dataset.pointer || pointer.startsWith(`${input.dataset.pointer}/`));
    const place = document.getElementById(`${input.id}-fault`);
    place.hidden = !own.length;
    place.textContent = own.map(({ detail, allowed }) => (allowed ? `${detail} Allowed: ${allowed}` : detail)).join(' ');
    if (own.length && counts(input)) {
      input.setAttribute('aria-invalid', 'true');
      input.setAttribute('aria-describedby', `${place.id} ${input.id}-hint`);
      input.closest('details')?.setAttribute('open', '');
    } else {
      input.removeAttribute('aria-invalid');
      input.setAttribute('aria-describedby', `${input.id}-hint`);
    }
  }
  form.querySelector('[aria-invalid]')?.focus();
}

async function send(address) {
  complain(null);
  try {
    const content = await ask(address, { method: 'POST', body: JSON.stringify(specified()) });
    mark([]);
    return content;
  } catch (error) {
    complain(error);
    mark(error.faults ?? []);
    return null;
  }
}

form.addEventListener('input', (event) => {
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
  const job = await send(form.dataset.submit);
  start.disabled = false;
  if (job) location.href = form.dataset.job.replace('JOB', encodeURIComponent(job.id));
});
document.getElementById('check').addEventListener('click', async () => {
  const plan = await send(`${form.dataset.submit}?validate_only=true`);
  const lines = plan && [
    `The job is valid: ${plan.parameters.toLocaleString('en')} parameters; model ${size(plan.memory.model_bytes)}, `
    + `activations ${size(plan.memory.activations_bytes)}, data ${size(plan.memory.data_bytes)}.`,
    ...plan.warnings,
  ];
  document.getElementById('plan').replaceChildren(...(lines ?? []).map((line) => Object.assign(document.createElement('p'), { textContent: line })));
});
document.getElementById('copy').addEventListener('click', async (event) => {
  try {
    await navigator.clipboard.writeText(document.getElementById('curl').textContent);
    event.target.textContent = 'Copied';
  } catch { // not allowed over plain HTTP: select the text, to be copied by hand
    getSelection().selectAllChildren(document.getElementById('curl'));
  }
});
show();
