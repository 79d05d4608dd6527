// One XMPP session of a guest, or of an account: connects over WebSocket (RFC 7395) or BOSH, keeps count (XEP-0198), resumes after a drop.
import { BoshTransport } from './bosh.js';
import { attr, child, children, el, parse, text } from './xml.js';

const SASL = 'urn:ietf:params:xml:ns:xmpp-sasl';
const BIND = 'urn:ietf:params:xml:ns:xmpp-bind';
const SM = 'urn:xmpp:sm:3';
const STANZA_ERRORS = 'urn:ietf:params:xml:ns:xmpp-stanzas';
const FRAMING = 'urn:ietf:params:xml:ns:xmpp-framing';

const LOGIN_MS = 10000;
const IQ_MS = 10000;
const PING_EVERY_MS = 10000;
const PING_MS = 5000;
const PINGS_LOST = 2;
const ACK_EVERY = 5;
// The server keeps a session that lost its connection for about a minute.
const RESUME_FOR_MS = 65000;

class WebSocketTransport {
  constructor(url, domain) {
    this.url = url;
    this.domain = domain;
    this.onstanza = () => {};
    this.onclose = () => {};
  }

  open() {
    return new Promise((resolve, reject) => {
      const socket = this.socket = new WebSocket(this.url, 'xmpp');
      socket.onopen = () => { this.restart(); resolve(); };
      socket.onclose = (e) => { reject(new Error(`closed (${e.code})`)); this.onclose(new Error(`closed (${e.code})`)); };
      socket.onmessage = (e) => {
        const stanza = parse(e.data);
        if (stanza && stanza.namespaceURI !== FRAMING) this.onstanza(stanza);
      };
    });
  }

  async restart() { this.send(el('open', { xmlns: FRAMING, to: this.domain, version: '1.0' })); }

  send(stanza) { if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(String(stanza)); }

  close() {
    this.send(el('close', { xmlns: FRAMING }));
    this.drop();
  }

  drop() {
    if (!this.socket) return;
    this.socket.onclose = null;
    this.socket.onmessage = null;
    this.socket.close();
    this.onclose(new Error('dropped'));
  }
}

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

// The error a server answers with: `condition` is the element's name.
export class StanzaError extends Error {
  constructor(stanza) {
    const error = child(stanza, 'error');
    const condition = children(error).find((c) => c.namespaceURI === STANZA_ERRORS && c.localName !== 'text')?.localName ?? 'undefined-condition';
    super([condition, text(error, 'text')].filter(Boolean).join(': '));
    this.condition = condition;
    this.stanza = stanza;
  }
}

export class Xmpp extends EventTarget {
  // `account`: { name, password }; without it nobody asks who we are.
  constructor({ url, domain, account, transport = 'websocket' }) {
    super();
    this.account = account;
    this.url = url;
    this.domain = domain;
    this.kind = transport;
    this.jid = null;
    this.state = 'offline';
    this.pending = new Map();
    this.iqHandlers = [];
    this.stanzaHandlers = [];
    this.nextId = 0;
    this.sm = null;
  }

  async connect() {
    this.#enter('connecting');
    await this.#login(null);
    this.pinger = setInterval(() => this.#ping(), PING_EVERY_MS);
  }

  // Says goodbye and ends.
  close() {
    clearInterval(this.pinger);
    if (this.state === 'offline') return;
    this.#enter('offline');
    this.transport?.send(el('presence', { xmlns: 'jabber:client', type: 'unavailable' }));
    if (this.transport) this.transport.onclose = () => {};
    this.transport?.close();
    for (const p of this.pending.values()) p.reject(new Error('disconnected'));
    this.pending.clear();
  }

  // For tests: as if the cable was pulled.
  dropSocket() { this.transport?.drop(); }

  send(stanza) {
    const t = String(stanza);
    if (this.sm) {
      this.sm.queue.push(t);
      this.sm.sent++;
    }
    if (this.state !== 'online') return;
    this.transport.send(t);
    if (this.sm && this.sm.sent % ACK_EVERY === 0) this.transport.send(el('r', { xmlns: SM }));
  }

  // Sends a request and gives the result stanza, or throws StanzaError.
  iq(type, to, payload, ms = IQ_MS) {
    const id = `plausch-${++this.nextId}`;
    return new Promise((resolve, reject) => {
      const expire = () => {
        // While the connection is being resumed the answer may still come.
        if (this.state === 'reconnecting') { entry.timer = setTimeout(expire, ms); return; }
        this.pending.delete(id);
        reject(new Error('no answer'));
      };
      const entry = { resolve, reject, timer: setTimeout(expire, ms) };
      this.pending.set(id, entry);
      this.send(el('iq', { xmlns: 'jabber:client', type, to, id }, payload));
    });
  }

  #enter(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }

  async #login(resumeId) {
    const url = new URL(this.url);
    if (resumeId) url.searchParams.set('previd', resumeId);
    const T = this.kind === 'bosh' ? BoshTransport : WebSocketTransport;
    const transport = new T(String(url), this.domain);
    const inbox = [];
    let wake = null;
    let failed = null;
    transport.onstanza = (s) => { inbox.push(s); wake?.(); };
    transport.onclose = (e) => { failed = e; wake?.(); };
    const started = performance.now();
    // The next stanza that is one of `names`; others wait until the login is through.
    const aside = [];
    const next = async (...names) => {
      for (;;) {
        while (inbox.length) {
          const s = inbox.shift();
          if (names.includes(s.localName)) return s;
          if (s.localName === 'error') throw new Error(children(s)[0]?.localName ?? 'stream error');
          aside.push(s);
        }
        if (failed) throw failed;
        const left = LOGIN_MS - (performance.now() - started);
        if (left <= 0) throw new Error('no answer to the login');
        await new Promise((r) => { wake = r; setTimeout(r, left); });
      }
    };
    try {
      await Promise.race([transport.open(), new Promise((_, no) => { setTimeout(() => no(new Error('no connection')), LOGIN_MS); })]);
      await next('features');
      const { account } = this;
      transport.send(el('auth', { xmlns: SASL, mechanism: account ? 'PLAIN' : 'ANONYMOUS' }, account && base64(`\0${account.name}\0${account.password}`)));
      const auth = await next('success', 'failure');
      if (auth.localName === 'failure') throw new Error(text(auth, 'text') || children(auth)[0]?.localName || 'login refused');
      await transport.restart();
      const features = await next('features');
      if (resumeId) await this.#resume(transport, next, resumeId);
      else await this.#bind(transport, next, features);
    } catch (e) {
      transport.onclose = () => {};
      transport.onstanza = () => {};
      transport.drop();
      throw e;
    }
    this.transport = transport;
    transport.onstanza = (s) => this.#receive(s);
    transport.onclose = (e) => this.#lost(e);
    this.lastHeard = performance.now();
    this.#enter('online');
    // What came before counting began is not counted.
    for (const s of aside) this.#receive(s, false);
    for (const s of inbox.splice(0)) this.#receive(s);
    if (failed) this.#lost(failed);
  }

  async #bind(transport, next, features) {
    transport.send(el('iq', { xmlns: 'jabber:client', type: 'set', id: 'bind' }, el('bind', { xmlns: BIND })));
    const bound = await next('iq');
    if (attr(bound, 'type') !== 'result') throw new StanzaError(bound);
    this.jid = text(child(bound, 'bind', BIND), 'jid');
    if (this.kind !== 'bosh' && child(features, 'sm', SM)) {
      transport.send(el('enable', { xmlns: SM, resume: 'true' }));
      const enabled = await next('enabled', 'failed');
      if (enabled.localName === 'enabled') this.sm = { id: attr(enabled, 'id'), sent: 0, acked: 0, queue: [], heard: 0 };
    }
  }

  async #resume(transport, next, id) {
    transport.send(el('resume', { xmlns: SM, h: this.sm.heard, previd: id }));
    const answer = await next('resumed', 'failed');
    if (answer.localName === 'failed') throw Object.assign(new Error('the session is gone'), { final: true });
    this.#acked(Number(attr(answer, 'h')));
    for (const stanza of this.sm.queue) transport.send(stanza);
  }

  #acked(h) {
    const n = h - this.sm.acked;
    if (n > 0) { this.sm.queue.splice(0, n); this.sm.acked = h; }
  }

  #receive(s, counted = true) {
    this.lastHeard = performance.now();
    switch (s.localName) {
      case 'r': this.transport.send(el('a', { xmlns: SM, h: this.sm?.heard ?? 0 })); return;
      case 'a': if (this.sm) this.#acked(Number(attr(s, 'h'))); return;
      case 'iq': case 'message': case 'presence': break;
      default: return;
    }
    if (this.sm && counted) this.sm.heard++;
    const type = attr(s, 'type');
    if (s.localName === 'iq' && (type === 'result' || type === 'error')) {
      const entry = this.pending.get(attr(s, 'id'));
      if (!entry) return;
      this.pending.delete(attr(s, 'id'));
      clearTimeout(entry.timer);
      if (type === 'result') entry.resolve(s); else entry.reject(new StanzaError(s));
    } else if (s.localName === 'iq') {
      this.#answer(s);
    } else {
      for (const handle of this.stanzaHandlers) handle(s);
    }
  }

  #answer(iq) {
    const reply = (type, ...kids) => this.send(el('iq', { xmlns: 'jabber:client', type, to: attr(iq, 'from'), id: attr(iq, 'id') }, kids));
    for (const handle of this.iqHandlers) {
      // A handler gives null when the request is not its own, else the payload of the result, or { error }.
      const got = handle(iq);
      if (got === null || got === undefined) continue;
      if (got.error) reply('error', el('error', { type: got.type ?? 'cancel' }, el(got.error, { xmlns: STANZA_ERRORS }), got.extra));
      else if (got.silent !== true) reply('result', got.payload);
      return;
    }
    if (children(iq)[0]?.localName === 'ping') { reply('result'); return; }
    reply('error', el('error', { type: 'cancel' }, el('service-unavailable', { xmlns: STANZA_ERRORS })));
  }

  async #ping() {
    if (this.state !== 'online' || performance.now() - this.lastHeard < PING_EVERY_MS || this.pinging) return;
    this.pinging = true;
    const transport = this.transport;
    for (let lost = 0; lost < PINGS_LOST; lost++) {
      const before = this.lastHeard;
      const ok = await this.iq('get', this.domain, el('ping', { xmlns: 'urn:xmpp:ping' }), PING_MS).then(() => true, () => this.lastHeard > before);
      if (ok || this.transport !== transport || this.state !== 'online') { this.pinging = false; return; }
    }
    this.pinging = false;
    transport.drop();
  }

  async #lost(error) {
    if (this.state !== 'online') return;
    if (!this.sm) { this.#gone(error); return; }
    this.#enter('reconnecting');
    const until = performance.now() + RESUME_FOR_MS;
    while (this.state === 'reconnecting') {
      await new Promise((r) => { setTimeout(r, 1000 + Math.random() * 1500); });
      if (this.state !== 'reconnecting') return;
      try {
        await this.#login(this.sm.id);
        return;
      } catch (e) {
        if (e.final || performance.now() > until) { this.#gone(e); return; }
      }
    }
  }

  #gone(error) {
    clearInterval(this.pinger);
    this.#enter('offline');
    this.dispatchEvent(new CustomEvent('gone', { detail: error }));
  }

  // Resolves when the server answers, however long a dropped connection takes to come back.
  reachable(ms) { return this.iq('get', this.domain, el('ping', { xmlns: 'urn:xmpp:ping' }), ms); }
}
