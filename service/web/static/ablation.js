// The page of an ablation: refreshed until all of its jobs have ended.

import { keepFresh } from './common.js';

keepFresh(3, () => document.querySelector('[data-running]'));
