// A job or a fit as the request that starts it: a command, a program, a file.

const INDENT = '  ';
const OF_FIT = ['dataset', 'minutes', 'seed', 'name', 'labels', 'webhook']; // members of a fit; the others are its base

/** A value in YAML. Texts and lists are written as JSON, which is YAML too. */
function yaml(value, depth = 0) {
  return Object.entries(value).map(([name, inner]) => {
    const start = `${INDENT.repeat(depth)}${name}:`;
    const isPart = inner && typeof inner === 'object' && !Array.isArray(inner) && Object.keys(inner).length;
    return isPart ? `${start}\n${yaml(inner, depth + 1)}` : `${start} ${JSON.stringify(inner)}`;
  }).join('\n');
}

const python = (value) => JSON.stringify(value, null, 4)
  .replace(/(": |^ +)(true|false|null)(?=,?$)/gm, (_, before, word) => before + { true: 'True', false: 'False', null: 'None' }[word]);

/** The request of a fit from a spec with `minutes`: what a fit says itself, and the rest as its base. */
export function fitOf(given) {
  const own = {};
  const spec = {};
  for (const [name, value] of Object.entries(given)) (OF_FIT.includes(name) ? own : spec)[name] = value;
  return { ...own, spec };
}

/** The texts that submit a job, by language. `address` is that of the jobs of the API. */
export function requestsOfJob(spec, address, needsKey) {
  return {
    curl: command(spec, address, needsKey),
    Python: program(`job = client.submit(${python(spec)})\nprint(job["id"])`, address, needsKey),
    YAML: `# rightfit submit job.yaml\n${yaml(spec)}`,
  };
}

/** The texts that start a fit, by language. `address` is that of the fits of the API. */
export function requestsOfFit(fit, address, needsKey) {
  const { dataset, minutes, seed, name, spec } = fit;
  const options = Object.entries({ minutes, seed, name }).filter(([, value]) => value !== undefined && value !== null);
  const flags = options.map(([option, value]) => ` --${option} ${typeof value === 'string' ? quoted(value) : value}`).join('');
  return {
    curl: command(fit, address, needsKey),
    Python: program(`fit = client.fits.submit(**${python(fit)})\nprint(fit["id"])`, address, needsKey),
    YAML: `# rightfit fit ${dataset.id}${flags} --spec base.yaml\n${yaml({ dataset, ...spec })}`,
  };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function command(body, address, needsKey) {
  const key = needsKey ? " -H 'Authorization: Bearer rf_…'" : '';
  return `curl -s ${address}${key} \\\n  -H 'Content-Type: application/json' -d ${quoted(JSON.stringify(body, null, 2))}`;
}

function program(lines, address, needsKey) {
  const service = new URL('..', address).href.replace(/\/$/, '');
  return `from service.client import Rightfit\n\nwith Rightfit("${service}"${needsKey ? ', api_key="rf_…"' : ''}) as client:\n`
    + `    ${lines.replaceAll('\n', '\n    ')}`;
}
