// What all pages share: asking the API, telling what went wrong, and keeping what is shown up to date.

const token = document.querySelector('meta[name="csrf-token"]').content;

const SILENT = 'The service does not answer. Check that it runs, then try again.';

/** Ask the API. Resolves to its JSON (null for none); rejects with an Error in the API's own words. */
export async function ask(address, { method = 'GET', body, headers = {} } = {}) {
  const sent = { ...headers };
  if (token) sent['X-CSRF-Token'] = token;
  if (body !== undefined) sent['Content-Type'] = 'application/json';
  const answer = await fetch(address, { method, headers: sent, body }).catch(() => {
    throw new Error(SILENT);
  });
  const told = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return told;
  if (answer.status === 401) location.reload(); // which leads to the page that asks for the key
  const error = new Error(told?.detail ?? `${answer.status} ${answer.statusText}`);
  error.faults = told?.errors ?? [];
  throw error;
}

/** Bytes in the largest unit that fits, as format_size of the service writes them. */
export function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let power = 0;
  for (; bytes >= 1024 && power < units.length - 1; power += 1) bytes /= 1024;
  return `${bytes.toFixed(power ? 1 : 0)} ${units[power]}`;
}

/** Say what went wrong, where screen readers hear it; nothing takes it away. */
export function complain(error) {
  const place = document.getElementById('alert');
  place.textContent = error ? error.message : '';
  if (error) place.scrollIntoView({ block: 'nearest' });
}

/** Fetch this page again and put its live sections in place of those shown; focus, choices and open details stay. */
export async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
  if (answer.redirected) location.reload(); // to the page that asks for the key
  if (answer.status >= 500) throw new Error(SILENT);
  if (!answer.ok) return;
  lost(false);
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
  while (document.querySelector('[data-live]:active')) await new Promise(requestAnimationFrame); // a button that is pressed must be there when it is let go
  for (const section of document.querySelectorAll('[data-live]')) {
    const next = fresh.getElementById(section.id);
    if (next && next.innerHTML !== section.dataset.shown && !isSelected(section)) replace(section, next);
  }
}

/** Whether somebody is about to copy what is in there. */
function isSelected(section) {
  const chosen = getSelection();
  return !chosen.isCollapsed && section.contains(chosen.anchorNode);
}

function replace(section, next) {
  const focused = section.contains(document.activeElement) ? document.activeElement.id : '';
  const picked = [...section.querySelectorAll('input:checked')].map((input) => input.id);
  const open = [...section.querySelectorAll('details[open]')].map((details) => details.id);
  const scrolled = [...section.querySelectorAll('[id]')].filter((part) => part.scrollTop || part.scrollLeft)
    .map(({ id, scrollTop, scrollLeft }) => [id, scrollTop, scrollLeft]);
  const html = next.innerHTML;
  section.innerHTML = html;
  section.dataset.shown = html;
  for (const id of picked) if (document.getElementById(id)) document.getElementById(id).checked = true;
  for (const id of open) if (document.getElementById(id)) document.getElementById(id).open = true;
  for (const [id, top, left] of scrolled) document.getElementById(id)?.scrollTo(left, top);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

const LOST = 'The service does not answer; this page goes on by itself once it does.';

/** Say that what is shown may be old, until it is not. */
function lost(is) {
  const place = document.getElementById('lost');
  if (place.textContent !== (is ? LOST : '')) place.textContent = is ? LOST : '';
}

/** Refresh the page every so many seconds while it is looked at and `wanted` says so, no more than a fifth of the time. */
export function keepFresh(seconds, wanted = () => true) {
  const turn = async () => {
    const began = performance.now();
    if (!document.hidden && wanted()) await refresh().catch(() => lost(true));
    setTimeout(turn, Math.max(seconds * 1000, 4 * (performance.now() - began)));
  };
  setTimeout(turn, seconds * 1000);
}

/** Buttons that act: data-post or data-delete is the address, data-go and data-after where to go then. */
export function act(then = refresh) {
  document.addEventListener('click', async (event) => {
    const button = event.target.closest('button[data-post], button[data-delete]');
    if (!button || (button.dataset.sure && !confirm(button.dataset.sure))) return;
    button.disabled = true;
    complain(null);
    try {
      const { post, delete: address, body, go, after } = button.dataset;
      const told = await ask(post ?? address, { method: post ? 'POST' : 'DELETE', body });
      if (go) location.href = go.replace('JOB', encodeURIComponent(told.id));
      else if (after) location.href = after;
      else await then();
    } catch (error) {
      complain(error);
    }
    button.disabled = false;
  });
}
