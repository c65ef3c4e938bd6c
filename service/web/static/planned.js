// What a job or a fit needs, and what it will do, in lines for the form: texts and lists to unfold.

import { counted, duration, size } from './common.js';

const SOURCES = { history: 'by earlier jobs on this data set', speed: 'by the speed of earlier jobs', arithmetic: 'by arithmetic' };

/** Seconds with as many digits as an estimate has. */
export const roughly = (seconds) => (seconds < 10 ? `${Number(seconds.toPrecision(1))} s` : duration(seconds));

/** The lines of the plan of a job. */
export function linesOfJob({ spec, parameters, memory, warnings, recipe, time: known }) {
  const time = known ? `at most about ${roughly(known.seconds)} (${SOURCES[known.source]}), ` : '';
  const first = `Up to ${counted(spec.epochs, 'epoch')}, ${time}${needs(parameters, memory)}`;
  return [first, folded([['What the goal sets, and why', recipe.map(reasonOf)], [`Warnings: ${warnings.length}`, warnings]])];
}

/** The lines of the plan of a fit. */
export function linesOfFit({ parameters, memory, warnings, trial_cost: cost, slots, first_trials: first }, minutes) {
  const trials = cost ? `, about ${roughly(cost.seconds)} a trial, ${slots} side by side` : '';
  return [
    `${minutes} min of search${trials}. Your settings have ${needs(parameters, memory)}`,
    folded([['The first trials', first], [`Warnings: ${warnings.length}`, warnings]]),
  ];
}

const needs = (parameters, memory) =>
  `${parameters.toLocaleString('en')} parameters, ${size(memory.model_bytes + memory.activations_bytes + memory.features_bytes)} of memory`;

/** What a choice of the recipe has filled, with its reason. */
function reasonOf({ values, reason, source }) {
  const set = Object.entries(values).map(([pointer, value]) => `${pointer.slice(1).replaceAll('/', '.')} ${JSON.stringify(value)}`);
  return `${set.join(', ')}: ${reason} (${source})`;
}

/** Lists to unfold, without those that are empty. */
function folded(lists) {
  const all = document.createElement('div');
  all.className = 'more';
  for (const [title, lines] of lists.filter(([, lines]) => lines.length)) {
    const details = document.createElement('details');
    const list = document.createElement('ul');
    list.append(...lines.map((line) => Object.assign(document.createElement('li'), { textContent: line })));
    details.append(Object.assign(document.createElement('summary'), { textContent: title }), list);
    all.append(details);
  }
  return all;
}
