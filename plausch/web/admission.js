// What stands between somebody and a room: the room's refusal in; what it asks for out, and the waiting in its lobby until a moderator has answered.
import { readPresence } from './presence.js';
import { attr, bare, child, el, text } from './xml.js';

const MUC = 'http://jabber.org/protocol/muc';
const MUC_USER = 'http://jabber.org/protocol/muc#user';
const JITMEET = 'http://jitsi.org/jitmeet';
const NICK = 'http://jabber.org/protocol/nick';

// What is missing, by the error that answered a join: `what` is 'password', 'name', 'wait' (with the lobby's address) or 'request'; null: nothing that one could give.
export function askedBy(error) {
  const details = child(error?.stanza, 'error');
  if (child(details, 'displayname-required', JITMEET)) return { what: 'name' };
  const lobby = text(details, 'lobbyroom', JITMEET);
  if (error?.condition === 'registration-required' && lobby) return { what: 'wait', lobby, forHost: !!child(details, 'waiting-for-host', JITMEET) };
  if (error?.condition === 'not-authorized') return { what: 'password' };
  // The focus has to open it first.
  if (error?.condition === 'not-allowed') return { what: 'request' };
  return null;
}

// Why somebody was not let in: 'denied' by a moderator, or the meeting is 'over'.
export class TurnedAway extends Error {
  constructor(why) {
    super(`not let in: ${why}`);
    this.why = why;
  }
}

// Knocks at a meeting: waits in its lobby, where only moderators see who is there.
export class Knock {
  constructor({ xmpp, lobby, room, nick, name }) {
    Object.assign(this, { xmpp, lobby, room, nick, name, inside: false });
  }

  // Resolves with the room's password, or null, when the way is free.
  answer() {
    return new Promise((resolve, reject) => {
      this.handle = (s) => {
        const from = bare(attr(s, 'from'));
        if (s.localName === 'message' && from === this.room) {
          const invite = child(child(s, 'x', MUC_USER), 'invite');
          if (invite) resolve(text(child(s, 'x', MUC_USER), 'password') || null);
        } else if (s.localName === 'presence' && from === this.lobby) this.#presence(s, resolve, reject);
      };
      this.xmpp.stanzaHandlers.push(this.handle);
      this.xmpp.send(el('presence', { xmlns: 'jabber:client', to: `${this.lobby}/${this.nick}` }, el('x', { xmlns: MUC }), el('nick', { xmlns: NICK }, this.name)));
    });
  }

  #presence(s, resolve, reject) {
    if (attr(s, 'type') === 'error') { reject(new TurnedAway('denied')); return; }
    const p = readPresence(s);
    if (p.nick !== this.nick) return;
    this.inside = !p.unavailable;
    if (!p.unavailable) return;
    // A lobby that is closed leads into the meeting, or ends with it.
    if (!p.destroyed) reject(new TurnedAway('denied'));
    else if (p.destroyed.next) resolve(null);
    else reject(new TurnedAway('over'));
  }

  // Also when the meeting was entered: nobody waits any more.
  leave() {
    const { stanzaHandlers } = this.xmpp;
    const at = stanzaHandlers.indexOf(this.handle);
    if (at >= 0) stanzaHandlers.splice(at, 1);
    if (!this.inside) return;
    this.inside = false;
    this.xmpp.send(el('presence', { xmlns: 'jabber:client', type: 'unavailable', to: `${this.lobby}/${this.nick}` }));
  }
}
