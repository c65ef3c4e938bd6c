// The list of jobs, fresh every two seconds.

import { keepFresh } from './common.js';

keepFresh(2);
const filters = document.getElementById('filters');
filters.addEventListener('submit', () => {
  for (const input of filters.querySelectorAll('input')) input.disabled = !input.value; // no empty words in the address
});
filters.querySelector('fieldset').addEventListener('change', () => filters.requestSubmit());
document.addEventListener('change', offer);
new MutationObserver(offer).observe(document.getElementById('jobs'), { childList: true });
offer();

/** As many as can be compared have to be ticked. */
function offer() {
  const button = document.getElementById('compare-chosen');
  const ticked = document.querySelectorAll('[name=job]:checked').length;
  if (button) button.disabled = ticked < 2 || ticked > 8;
}

addEventListener('pageshow', () => {
  for (const input of filters.querySelectorAll('input')) input.disabled = false;
  offer(); // what was ticked before one went elsewhere
});
