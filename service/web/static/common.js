// Shared by all pages: requests to the API, error messages, and the refresh of live sections.

const token = document.querySelector('meta[name="csrf-token"]').content;

const SHARED = 2; // seconds, the age of an answer that open pages share

const SILENT = 'The service does not answer. Check that it is running, then try again.';

/** Send a request to the API, with JSON as text or with a form. Resolves to the JSON of the answer or null; rejects with an Error that has the API's message. */
export async function ask(address, { method = 'GET', body, headers = {} } = {}) {
  const sent = { ...headers };
  if (token) sent['X-CSRF-Token'] = token;
  if (typeof body === 'string') sent['Content-Type'] = 'application/json';
  const answer = await fetch(address, { method, headers: sent, body }).catch(() => {
    throw new Error(SILENT);
  });
  const content = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return content;
  if (answer.status === 401) location.reload(); // leads to the sign-in page
  const error = new Error(content?.detail ?? `${answer.status} ${answer.statusText}`);
  error.faults = content?.errors ?? [];
  throw error;
}

/** Bytes in the largest unit that fits, as format_size of the service writes them. */
export function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let power = 0;
  for (; bytes >= 1024 && power < units.length - 1; power += 1) bytes /= 1024;
  return `${bytes.toFixed(power ? 1 : 0)} ${units[power]}`;
}

/** `1 epoch`, `2 epochs`. */
export const counted = (count, noun) => `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;

/** Seconds in their two largest units, as the pages write them. */
export function duration(seconds) {
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  return hours ? `${hours} h ${minutes % 60} min` : `${minutes} min ${Math.floor(seconds % 60)} s`;
}

/** Show an error message where screen readers announce it. It stays. */
export function complain(error) {
  const place = document.getElementById('alert');
  place.textContent = error ? error.message : '';
  if (error) place.scrollIntoView({ block: 'nearest' });
}

/** Fetch this page again, at most `age` seconds old, and replace its live sections. Focus, selections and open details stay. */
export async function refresh(age = 0) {
  const answer = await fetch(location.href, { headers: { Accept: 'text/html', 'Cache-Control': `max-age=${age}` } });
  if (answer.redirected) location.reload(); // to the sign-in page
  if (answer.status >= 500) throw new Error(SILENT);
  if (!answer.ok) return;
  lost(false);
  const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
  while (document.querySelector('[data-live]:active')) await new Promise(requestAnimationFrame); // a pressed button must stay until its release
  for (const section of document.querySelectorAll('[data-live]')) {
    const next = fresh.getElementById(section.id);
    if (next && next.innerHTML !== section.dataset.shown && !isSelected(section)) replace(section, next);
  }
}

/** Whether the user has selected text in a section. */
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

const LOST = 'The service does not answer. This page continues when it does.';

/** Show or remove the message that the page may be outdated. */
function lost(is) {
  const place = document.getElementById('lost');
  if (place.textContent !== (is ? LOST : '')) place.textContent = is ? LOST : '';
}

/** Refresh the page every `seconds` (a number or a function) while it is visible and `isNeeded()`, for at most a fifth of the time. */
export function keepFresh(seconds, isNeeded = () => true) {
  const pause = () => 1000 * (typeof seconds === 'function' ? seconds() : seconds);
  const turn = async () => {
    const began = performance.now();
    if (!document.hidden && isNeeded()) await refresh(SHARED).catch(() => lost(true));
    setTimeout(turn, Math.max(pause(), 4 * (performance.now() - began)));
  };
  setTimeout(turn, pause());
}

/** Buttons that send a request: data-post is its address, data-delete one or more, data-go and data-after the next page. */
export function act(then = refresh) {
  document.addEventListener('click', async (event) => {
    const button = event.target.closest('button[data-post], button[data-delete]');
    if (!button || (button.dataset.sure && !confirm(button.dataset.sure))) return;
    button.disabled = true;
    complain(null);
    try {
      const { post, delete: addresses, body, go, after } = button.dataset;
      const content = post ? await ask(post, { method: 'POST', body }) : await erase(addresses);
      if (go) location.href = go.replace('JOB', encodeURIComponent(content.id));
      else if (after) location.href = after;
      else await then();
    } catch (error) {
      complain(error);
    }
    button.disabled = false;
  });
}

/** Delete what several addresses separated by spaces name. */
async function erase(addresses) {
  for (const address of addresses.split(' ').filter(Boolean)) await ask(address, { method: 'DELETE' });
}
