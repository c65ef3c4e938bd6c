// The list of data sets, refreshed while a worker reads one of them, and the button that deletes those that failed.

import { act, keepFresh } from './common.js';

act();
keepFresh(2, () => Boolean(document.querySelector('#own .processing')));
