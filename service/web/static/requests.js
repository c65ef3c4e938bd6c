// A spec as the request that submits it: a command, a program, a file.

const INDENT = '  ';

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

/** The texts by language. `address` is that of the jobs of the API. */
export function requestsOf(spec, address, needsKey) {
  const body = JSON.stringify(spec, null, 2).replaceAll("'", "'\\''");
  const key = needsKey ? " -H 'Authorization: Bearer rf_…'" : '';
  const service = new URL('..', address).href.replace(/\/$/, '');
  return {
    curl: `curl -s ${address}${key} \\\n  -H 'Content-Type: application/json' -d '${body}'`,
    Python: `from service.client import Rightfit\n\nwith Rightfit("${service}"${needsKey ? ', api_key="rf_…"' : ''}) as client:\n`
      + `    job = client.submit(${python(spec).replaceAll('\n', '\n    ')})\n    print(job["id"])`,
    YAML: `# rightfit submit job.yaml\n${yaml(spec)}`,
  };
}
