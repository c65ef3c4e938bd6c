// The curves of several jobs on one chart, over the epochs of all of them.

import { ask, complain, keepFresh } from './common.js';
import { Curves } from './chart.js';

const MOST_POINTS = 1000; // of each curve
const SECONDS = 5; // between two requests for running jobs
const jobs = [...document.querySelectorAll('#compared li')].map((item) => ({ ...item.dataset, rows: [] }));
const measure = document.getElementById('measure');
const log = document.getElementById('log');
const chart = new Curves(document.getElementById('chart'));

const isAlive = () => Boolean(document.querySelector('#results .badge:is(.queued, .running, .paused)'));

function draw() {
  const epochs = [...new Set(jobs.flatMap((job) => job.rows.map((row) => row.epoch)))].sort((a, b) => a - b);
  const curves = jobs.map((job) => {
    const known = new Map(job.rows.map((row) => [row.epoch, row[measure.value]]));
    return { label: job.name, values: epochs.map((epoch) => known.get(epoch) ?? null) };
  });
  chart.show(epochs, curves, { isLog: log.checked });
}

async function load() {
  await Promise.all(jobs.map(async (job) => {
    job.rows = (await ask(`${job.history}?max_points=${MOST_POINTS}`)).data;
  }));
  draw();
}

async function follow() {
  if (!document.hidden && isAlive()) await load().catch(() => {});
  setTimeout(follow, SECONDS * 1000);
}

measure.addEventListener('change', draw);
log.addEventListener('change', draw);
load().catch(complain);
setTimeout(follow, SECONDS * 1000);
keepFresh(SECONDS, isAlive);
