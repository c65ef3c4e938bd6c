// Remarks about an upload: shown while it is sent, and on the page of its data set as long as the tab is open.

const place = document.getElementById('remarks');
const key = (id) => `remarks ${id}`;

/** Show remarks, and hide their place if there are none. */
export function show(remarks) {
  place.hidden = !remarks.length;
  place.replaceChildren(...remarks.map((text) => Object.assign(document.createElement('p'), { textContent: text })));
}

/** Keep the remarks about the upload of a data set. */
export const keep = (id, remarks) => sessionStorage.setItem(key(id), JSON.stringify(remarks));

/** The kept remarks. */
export const kept = (id) => JSON.parse(sessionStorage.getItem(key(id)) ?? '[]');
