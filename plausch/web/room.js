// A meeting's room: joins it, knows who is in it and who the focus is, carries chat and moderation.
import { discoInfo, presenceContent, readPresence } from './presence.js';
import { uuid } from './random.js';
import { StanzaError } from './xmpp.js';
import { attr, bare, child, children, el, resource, text } from './xml.js';

const MUC = 'http://jabber.org/protocol/muc';
const MUC_USER = 'http://jabber.org/protocol/muc#user';
const MUC_ADMIN = 'http://jabber.org/protocol/muc#admin';
const MUTE = 'http://jitsi.org/jitmeet/';
const DISPLAY_NAME = 'http://jitsi.org/protocol/display-name';
const LEAVE_MS = 5000;

export class Room extends EventTarget {
  constructor({ xmpp, jid, nick, focusJid, self }) {
    super();
    this.xmpp = xmpp;
    this.jid = jid;
    this.nick = nick;
    this.focusJid = focusJid;
    this.self = self;
    this.occupants = new Map();
    this.role = null;
    this.affiliation = null;
    this.metadata = {};
    this.joined = false;
    xmpp.stanzaHandlers.push((s) => this.#stanza(s));
    xmpp.iqHandlers.push((iq) => this.#iq(iq));
  }

  join(password) {
    return new Promise((resolve, reject) => {
      this.entering = { resolve, reject };
      this.#presence(el('x', { xmlns: MUC }, password ? el('password', {}, password) : null));
    });
  }

  // Tells the room the current state of `self`.
  update() { if (this.joined) this.#presence(); }

  async leave() {
    if (!this.joined) return;
    const left = new Promise((r) => { this.onLeft = r; setTimeout(r, LEAVE_MS); });
    this.joined = false;
    this.xmpp.send(el('presence', { xmlns: 'jabber:client', type: 'unavailable', to: `${this.jid}/${this.nick}` }));
    await left;
  }

  chat(body) {
    const id = uuid();
    this.xmpp.send(el('message', { xmlns: 'jabber:client', type: 'groupchat', to: this.jid, id }, el('body', {}, body)));
  }

  kick(nick, reason = '') {
    return this.#admin({ nick, role: 'none' }, reason);
  }

  grant(nick) {
    return this.#admin({ jid: bare(this.occupants.get(nick)?.jid), affiliation: 'owner' });
  }

  // Asks the focus to mute somebody; with our own nick and `false`, to lift what a moderator did to us.
  muteOther(nick, kind, muted = true) {
    return this.xmpp.iq('set', `${this.jid}/focus`, el('mute', { xmlns: MUTE + kind, jid: `${this.jid}/${nick}` }, String(muted)));
  }

  // Jingle is taken from the focus alone, and that only by its real address.
  isFocus(from) {
    const jid = this.occupants.get('focus')?.jid;
    return bare(from) === this.jid && resource(from) === 'focus' && !!jid?.startsWith(`${this.focusJid}/`);
  }

  #admin(item, reason = '') {
    return this.xmpp.iq('set', this.jid, el('query', { xmlns: MUC_ADMIN }, el('item', item, reason ? el('reason', {}, reason) : null)));
  }

  #presence(...extra) {
    this.xmpp.send(el('presence', { xmlns: 'jabber:client', to: `${this.jid}/${this.nick}` }, extra, presenceContent(this.self())));
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  #stanza(s) {
    const from = attr(s, 'from');
    if (s.localName === 'message') this.#message(s, from);
    else if (s.localName === 'presence' && bare(from) === this.jid) this.#occupant(s);
  }

  #occupant(s) {
    if (attr(s, 'type') === 'error') {
      if (this.entering && !this.joined) this.entering.reject(new StanzaError(s));
      return;
    }
    const p = readPresence(s);
    const own = p.nick === this.nick || p.codes.includes('110');
    if (p.unavailable) {
      const was = this.occupants.get(p.nick);
      this.occupants.delete(p.nick);
      if (own) this.#ended(p);
      else if (p.nick === 'focus') this.#emit('focus-left');
      else if (was) this.#emit('left', { id: p.nick, name: was.name, kicked: p.codes.includes('307') });
      return;
    }
    if (own) {
      const changed = this.role !== p.role;
      [this.role, this.affiliation] = [p.role, p.affiliation];
      if (!this.joined && this.entering) {
        this.joined = true;
        this.entering.resolve(p);
        this.entering = null;
      }
      if (changed) this.#emit('role', p.role);
      return;
    }
    const known = this.occupants.has(p.nick);
    this.occupants.set(p.nick, p);
    if (p.nick === 'focus') {
      if (p.bridgeMissing) this.#emit('bridge-missing');
      this.#emit('watchers', p.watchers);
      return;
    }
    this.#emit(known ? 'changed' : 'arrived', { id: p.nick, ...p });
  }

  #ended(p) {
    const was = this.joined;
    this.joined = false;
    this.onLeft?.();
    if (!was) return;
    if (p.destroyed) this.#emit('ended', { why: 'destroyed', reason: p.reason });
    else if (p.codes.includes('307')) this.#emit('ended', { why: 'kicked', reason: p.reason, by: p.actor });
    else this.#emit('ended', { why: 'removed', reason: p.reason });
  }

  #message(s, from) {
    const json = child(s, 'json-message', 'http://jitsi.org/jitmeet');
    if (json) {
      let data = null;
      try { data = JSON.parse(json.textContent); } catch { return; }
      if (data?.type === 'room_metadata' && from?.startsWith('metadata.')) this.metadata = data.metadata ?? {};
      return;
    }
    if (from === this.jid && children(child(s, 'x', MUC_USER), 'status').some((c) => attr(c, 'code') === '104')) this.#emit('configured');
    const body = text(s, 'body');
    if (bare(from) !== this.jid || !body || attr(s, 'type') === 'error' || child(s, 'delay')) return;
    const id = resource(from);
    // Of somebody who watches only, the server says the name.
    const name = id ? this.occupants.get(id)?.name : text(s, 'display-name', DISPLAY_NAME);
    this.#emit('chat', { id, own: id === this.nick, name: (name ?? '').slice(0, 50), text: body, private: attr(s, 'type') === 'chat' });
  }

  #iq(iq) {
    const payload = iq.firstElementChild;
    if (!payload) return null;
    if (payload.localName === 'query' && payload.namespaceURI === 'http://jabber.org/protocol/disco#info') return { payload: discoInfo(payload) };
    if (payload.localName === 'mute' && payload.namespaceURI.startsWith(MUTE)) {
      if (this.isFocus(attr(iq, 'from')) && payload.textContent.trim() === 'true') {
        this.#emit('muted', { kind: payload.namespaceURI.slice(MUTE.length), by: resource(attr(payload, 'actor') ?? '') });
      }
      // compat: clients send no result here, and the focus must not wait for one.
      return { silent: true };
    }
    return null;
  }
}
