// The page of a data set, refreshed until the data set has been read.

import { act, keepFresh } from './common.js';
import { kept, show } from './remarks.js';

act();
keepFresh(1, () => document.getElementById('condition').dataset.status === 'processing');
show(kept(document.getElementById('remarks').dataset.id));
