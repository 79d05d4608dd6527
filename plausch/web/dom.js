// Small tools for elements: an id or a tag in, an element out.

export const $ = (id) => document.getElementById(id);

export const make = (tag, properties = {}, ...kids) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...kids.filter((k) => k));
  return node;
};

// One of the page's own pictures, by the id of its symbol.
export function drawing(id) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(document.createElementNS('http://www.w3.org/2000/svg', 'use'));
  svg.firstChild.setAttribute('href', `#${id}`);
  return svg;
}

// Gives an element a track, and touches it only when the track is another one.
export function show(node, track) {
  const now = node.srcObject?.getTracks()[0] ?? null;
  if (now === (track ?? null)) return;
  node.srcObject = track ? new MediaStream([track]) : null;
  if (track) node.play?.().catch(() => {});
}
