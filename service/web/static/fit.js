// The page of a fit: its sections are refreshed after each decision and every four seconds, until the fit ends.

import { act, keepFresh, refresh } from './common.js';

const isEnded = () => document.getElementById('state').dataset.ended === 'yes';
let stream = null;

function listen() {
  stream = new EventSource(document.getElementById('live').dataset.events);
  stream.addEventListener('step', () => refresh().catch(() => {}));
  stream.addEventListener('end', () => {
    stream.close();
    location.reload(); // adds the sections of an ended fit
  });
}

/** A hidden tab holds no stream: a browser opens six connections to a service, for all tabs together. */
function look() {
  stream?.close();
  if (!document.hidden && !isEnded()) listen();
}

act();
document.addEventListener('visibilitychange', look);
look();
keepFresh(4, () => !isEnded());
