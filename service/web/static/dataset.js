// A data set's page, fresh until it has been read.

import { act, keepFresh } from './common.js';

act();
keepFresh(1, () => document.getElementById('condition').dataset.status === 'processing');
