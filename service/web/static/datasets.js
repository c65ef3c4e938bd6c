// The list of data sets, refreshed while a worker reads one of them.

import { keepFresh } from './common.js';

keepFresh(2, () => Boolean(document.querySelector('#own .processing')));
