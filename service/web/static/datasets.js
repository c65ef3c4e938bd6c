// The list of data sets, fresh while one of them is being read.

import { keepFresh } from './common.js';

keepFresh(2, () => Boolean(document.querySelector('#own .processing')));
