// The list of fits, refreshed every two seconds, the form that starts one, and the button that forgets.

import { act, ask, complain, keepFresh } from './common.js';

act();
keepFresh(2);
const form = document.getElementById('start');
form?.addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = document.getElementById('begin');
  const name = form.elements.name.value.trim();
  const body = { dataset: { id: form.elements.dataset.value }, minutes: Number(form.elements.minutes.value) };
  button.disabled = true;
  complain(null);
  try {
    const fit = await ask(form.dataset.submit, { method: 'POST', body: JSON.stringify(name ? { ...body, name } : body) });
    location.href = form.dataset.go.replace('FIT', encodeURIComponent(fit.id));
  } catch (error) {
    const { detail, allowed } = error.faults?.[0] ?? {};
    complain(detail ? new Error(allowed ? `${detail} Allowed: ${allowed}` : detail) : error);
  }
  button.disabled = false;
});
