// The list of jobs, refreshed every two seconds.

import { keepFresh } from './common.js';
import { keepSearches } from './saved.js';

keepFresh(2);
keepSearches(document.getElementById('saved'), document.getElementById('keep'));
const filters = document.getElementById('filters');
filters.addEventListener('submit', () => {
  for (const input of filters.querySelectorAll('input')) input.disabled = !input.value; // keep empty parameters out of the address
});
filters.querySelector('fieldset').addEventListener('change', () => filters.requestSubmit());
document.addEventListener('change', offer);
new MutationObserver(offer).observe(document.getElementById('jobs'), { childList: true });
offer();

/** Enable the button for 2 to 8 selected jobs. */
function offer() {
  const button = document.getElementById('compare-chosen');
  const ticked = document.querySelectorAll('[name=job]:checked').length;
  if (button) button.disabled = ticked < 2 || ticked > 8;
}

addEventListener('pageshow', () => {
  for (const input of filters.querySelectorAll('input')) input.disabled = false;
  offer(); // the browser restores the selection
});
