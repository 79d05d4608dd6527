// What moderators decide about who comes in: a room in; its password and its lobby, who knocks there, and the moderators' answers out.
import { readPresence } from './presence.js';
import { attr, bare, child, children, el, text } from './xml.js';

const MUC = 'http://jabber.org/protocol/muc';
const MUC_USER = 'http://jabber.org/protocol/muc#user';
const MUC_ADMIN = 'http://jabber.org/protocol/muc#admin';
const MUC_OWNER = 'http://jabber.org/protocol/muc#owner';
const ROOM_CONFIG = 'http://jabber.org/protocol/muc#roomconfig';
const DISCO = 'http://jabber.org/protocol/disco#info';
const FORMS = 'jabber:x:data';
const NICK = 'http://jabber.org/protocol/nick';
const INSIDERS = ['owner', 'admin', 'member'];

export class Entry extends EventTarget {
  // `name()`: under which moderators are in the lobby.
  constructor({ xmpp, domain, room, name }) {
    super();
    Object.assign(this, { xmpp, domain, room, name, offered: false, locked: false, lobby: null, inside: false });
    this.waiting = new Map();
    xmpp.stanzaHandlers.push((s) => { if (s.localName === 'presence' && this.lobby && bare(attr(s, 'from')) === this.lobby) this.#knocker(s); });
    for (const what of ['role', 'configured']) room.addEventListener(what, () => this.look().catch(() => {}));
  }

  // Reads what the room is like now.
  async look() {
    if (this.room.role !== 'moderator') { this.#enter(null); return; }
    const ask = async (to) => child(await this.xmpp.iq('get', to, el('query', { xmlns: DISCO })), 'query', DISCO);
    const [host, room] = await Promise.all([this.known ?? ask(this.domain), ask(this.room.jid)]);
    this.known = host;
    this.offered = children(host, 'identity').some((i) => attr(i, 'type') === 'lobbyrooms');
    this.locked = children(room, 'feature').some((f) => attr(f, 'var') === 'muc_passwordprotected');
    const fields = children(child(room, 'x', FORMS), 'field');
    if (!this.locked) this.password = null;
    this.#enter(text(fields.find((f) => attr(f, 'var') === 'muc#roominfo_lobbyroom'), 'value') || null);
    this.#changed();
  }

  // An empty one takes the password away.
  async setPassword(password) {
    await this.#configure({
      'muc#roomconfig_roomsecret': password, 'muc#roomconfig_passwordprotectedroom': password ? '1' : '0', 'muc#roomconfig_whois': 'anyone', ...(this.lobby ? { 'muc#roomconfig_membersonly': 'true' } : {}),
    });
    this.password = password;
  }

  async setLobby(on) {
    // Whoever is here already stays.
    const strangers = [...this.room.occupants.values()].filter((o) => o.jid && !INSIDERS.includes(o.affiliation));
    if (on && strangers.length) {
      await this.xmpp.iq('set', this.room.jid, el('query', { xmlns: MUC_ADMIN }, strangers.map((o) => el('item', { affiliation: 'member', jid: bare(o.jid) }))));
    }
    await this.#configure({ 'muc#roomconfig_membersonly': String(on), ...(this.locked ? { 'muc#roomconfig_passwordprotectedroom': '1' } : {}) });
  }

  admit(...ids) {
    const invited = ids.map((id) => this.waiting.get(id)?.jid).filter(Boolean);
    if (!invited.length) return;
    this.xmpp.send(el('message', { xmlns: 'jabber:client', to: this.room.jid }, el('x', { xmlns: MUC_USER }, invited.map((to) => el('invite', { to })))));
  }

  deny(id) {
    return this.xmpp.iq('set', this.lobby, el('query', { xmlns: MUC_ADMIN }, el('item', { nick: id, role: 'none' })));
  }

  close() { this.#enter(null); }

  #configure(fields) {
    const form = Object.entries({ FORM_TYPE: ROOM_CONFIG, ...fields }).map(([name, value]) => el('field', { var: name }, el('value', {}, value)));
    return this.xmpp.iq('set', this.room.jid, el('query', { xmlns: MUC_OWNER }, el('x', { xmlns: FORMS, type: 'submit' }, form)));
  }

  // Moderators are in the lobby themselves: there they see who waits.
  #enter(lobby) {
    if (this.lobby === lobby) return;
    if (this.lobby && this.inside) this.xmpp.send(el('presence', { xmlns: 'jabber:client', type: 'unavailable', to: `${this.lobby}/${this.room.nick}` }));
    Object.assign(this, { lobby, inside: !!lobby });
    this.waiting.clear();
    if (lobby) this.xmpp.send(el('presence', { xmlns: 'jabber:client', to: `${lobby}/${this.room.nick}` }, el('x', { xmlns: MUC }), el('nick', { xmlns: NICK }, this.name())));
    this.#changed();
  }

  #knocker(s) {
    if (attr(s, 'type') === 'error') return;
    const p = readPresence(s);
    if (p.nick === this.room.nick) {
      if (p.unavailable) { Object.assign(this, { lobby: null, inside: false }); this.waiting.clear(); }
    } else if (p.unavailable) this.waiting.delete(p.nick);
    else this.waiting.set(p.nick, { id: p.nick, name: p.name, jid: p.jid });
    this.#changed();
  }

  #changed() { this.dispatchEvent(new CustomEvent('change')); }
}
