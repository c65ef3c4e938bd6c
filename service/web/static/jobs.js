// The list of jobs, fresh every two seconds.

import { keepFresh } from './common.js';

keepFresh(2);
const filters = document.getElementById('filters');
filters.addEventListener('submit', () => {
  for (const input of filters.querySelectorAll('input')) input.disabled = !input.value; // no empty words in the address
});
filters.querySelector('fieldset').addEventListener('change', () => filters.requestSubmit());
addEventListener('pageshow', () => {
  for (const input of filters.querySelectorAll('input')) input.disabled = false;
});
