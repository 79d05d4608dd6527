// XML both ways: a small builder that escapes everything, and readers over the browser's own parser.

class Markup {
  constructor(text) { this.text = text; }
  toString() { return this.text; }
}

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
// Characters XML 1.0 has no way to write; one of them in a chat message would end the stream.
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

export const escape = (value) => String(value).replace(FORBIDDEN, '').replace(/[&<>"']/g, (c) => ESCAPES[c]);

// el('iq', { type: 'get' }, el('ping', { xmlns: … }), 'text'); empty attributes and children are left out.
export function el(name, attributes, ...children) {
  let out = `<${name}`;
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== null) out += ` ${key}="${escape(value)}"`;
  }
  const inner = children.flat(Infinity).filter((c) => c !== undefined && c !== null && c !== false)
    .map((c) => (c instanceof Markup ? c.text : escape(c))).join('');
  return new Markup(inner ? `${out}>${inner}</${name}>` : `${out}/>`);
}

// The root element of a text, or null when it is no XML.
export function parse(text) {
  const doc = new DOMParser().parseFromString(text, 'text/xml');
  return doc.querySelector('parsererror') ? null : doc.documentElement;
}

export const children = (node, name, ns) => [...(node?.children ?? [])]
  .filter((c) => (!name || c.localName === name) && (!ns || c.namespaceURI === ns));
export const child = (node, name, ns) => children(node, name, ns)[0] ?? null;
export const text = (node, name, ns) => (name ? child(node, name, ns) : node)?.textContent ?? '';
export const attr = (node, name) => node?.getAttribute(name) ?? null;

// The part behind the slash of an address; empty without one.
export const resource = (jid) => (jid?.includes('/') ? jid.slice(jid.indexOf('/') + 1) : '');
export const bare = (jid) => (jid ?? '').split('/')[0];
