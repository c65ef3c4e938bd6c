// Searches of the list of jobs that this browser keeps.

import { complain } from './common.js';

const KEY = 'rightfit.searches';
const MOST = 12;

/** Show the kept searches in a box, with buttons that forget them, and let a button keep the one of this page. */
export function keepSearches(box, keep) {
  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(KEY) ?? '[]');
    } catch {
      return []; // the browser has no storage for this site
    }
  };
  const write = (searches) => {
    try {
      localStorage.setItem(KEY, JSON.stringify(searches));
    } catch {
      complain(new Error('This browser keeps no searches: its storage is full or switched off.'));
    }
    show();
  };
  const show = () => {
    const searches = read();
    box.hidden = !searches.length;
    box.replaceChildren(...searches.map((search) => chip(search, () => write(searches.filter((each) => each !== search)))));
    if (keep) keep.hidden = searches.some(({ address }) => address === here());
  };
  keep?.addEventListener('click', () => {
    const others = read().filter(({ address }) => address !== here());
    write([...others, { address: here(), words: keep.dataset.words }].slice(-MOST));
  });
  show();
}

/** The filters in the address of this page, without the position in the list. */
function here() {
  const filters = new URLSearchParams(location.search);
  filters.delete('after');
  return `?${filters}`;
}

function chip({ address, words }, forget) {
  const link = Object.assign(document.createElement('a'), { href: address, textContent: words });
  const button = Object.assign(document.createElement('button'), { type: 'button', className: 'quiet', textContent: '×' });
  button.setAttribute('aria-label', `Forget the search ${words}`);
  button.addEventListener('click', forget);
  const both = Object.assign(document.createElement('span'), { className: 'saved' });
  both.append(link, button);
  return both;
}
