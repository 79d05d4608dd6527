// XMPP over HTTP long polling (XEP-0124, XEP-0206): the same verbs as the WebSocket transport in xmpp.js.
import { attr, children, el, parse } from './xml.js';

const NS = 'http://jabber.org/protocol/httpbind';
const WAIT = 60;

export class BoshTransport {
  constructor(url, domain) {
    this.url = url;
    this.domain = domain;
    this.rid = Math.floor(Math.random() * 2 ** 40) + 1;
    this.sid = null;
    this.queue = [];
    this.open_ = 0;
    this.order = Promise.resolve();
    this.closed = false;
    this.onstanza = () => {};
    this.onclose = () => {};
  }

  async open() {
    await this.#request({ to: this.domain, wait: WAIT, hold: 1, ver: '1.6', content: 'text/xml; charset=utf-8', 'xmpp:version': '1.0', 'xmlns:xmpp': 'urn:xmpp:xbosh' }, []);
    if (!this.sid) throw new Error('the server opened no session');
    this.#poll();
  }

  async restart() {
    this.#request({ to: this.domain, 'xmpp:restart': 'true', 'xmlns:xmpp': 'urn:xmpp:xbosh' }, []).catch((e) => this.#end(e));
  }

  send(stanza) {
    this.queue.push(String(stanza));
    // Stanzas of one turn travel together.
    if (this.queue.length === 1) queueMicrotask(() => this.#flush());
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    const body = this.#body({ type: 'terminate' }, this.queue.splice(0).concat(String(el('presence', { xmlns: 'jabber:client', type: 'unavailable' }))));
    navigator.sendBeacon?.(this.url, body);
  }

  // Forgets the session as a torn cable would.
  drop() { this.#end(new Error('dropped')); }

  #flush() {
    if (this.closed || !this.queue.length || this.open_ >= 2) return;
    this.#request({}, this.queue.splice(0)).catch((e) => this.#end(e));
  }

  // One request always waits at the server, so that it can speak at any time.
  #poll() {
    if (!this.closed && this.sid && this.open_ === 0) this.#request({}, this.queue.splice(0)).catch((e) => this.#end(e));
  }

  #body(attributes, stanzas) {
    const all = { rid: this.rid++, xmlns: NS, sid: this.sid ?? undefined, ...attributes };
    const open = String(el('body', all));
    return stanzas.length ? `${open.slice(0, -2)}>${stanzas.join('')}</body>` : open;
  }

  async #request(attributes, stanzas) {
    const body = this.#body(attributes, stanzas);
    this.open_++;
    const asked = fetch(this.url, { method: 'POST', headers: { 'Content-Type': 'text/xml; charset=utf-8' }, body, signal: AbortSignal.timeout((WAIT + 15) * 1000) });
    // Answers are read in the order of their requests, also when the network turns them round.
    const read = this.order.then(async () => {
      const answer = await asked;
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      this.#read(await answer.text());
    });
    this.order = read.catch(() => {});
    try { await read; } finally { this.open_--; }
    this.#flush();
    // A tick later, so that an answer to what just came travels with the next poll.
    setTimeout(() => this.#poll(), 0);
  }

  #read(text) {
    const body = parse(text);
    if (!body) throw new Error('no XML');
    this.sid ??= attr(body, 'sid');
    for (const stanza of children(body)) this.onstanza(stanza);
    if (attr(body, 'type') === 'terminate') throw new Error(attr(body, 'condition') ?? 'terminated');
  }

  #end(error) {
    if (this.closed) return;
    this.closed = true;
    this.onclose(error);
  }
}
