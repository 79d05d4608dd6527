// Asks the focus to open a room, over HTTP or XMPP: a room in; whether it is open, by whom, that it is to be watched, or that somebody has to come first who may open it, out.
import { hex } from './random.js';
import { attr, child, el } from './xml.js';

const FOCUS = 'http://jitsi.org/protocol/focus';
const ASK_MS = 60000;

export class Focus {
  // `room`: its name, `jid`: its address, `token`: a JSON Web Token, if one was given.
  constructor({ config, room, jid, token }) {
    Object.assign(this, { config, room, jid, token, session: null });
    // Required by the protocol; new for every visit, so that it recognises nobody.
    this.machine = hex(32);
  }

  async overHttp() {
    const url = new URL(this.config.conferenceRequestUrl, location.href);
    url.searchParams.set('room', this.room);
    const body = { room: this.jid, machineUid: this.machine, properties: { rtcstatsEnabled: false, 'visitors-version': 1 } };
    const headers = { 'Content-Type': 'application/json', ...(this.token ? { Authorization: `Bearer ${this.token}` } : {}) };
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
    if (response.status === 403) return { closed: true };
    if (!response.ok) throw new Error(`conference request refused (${response.status})`);
    return response.json();
  }

  async overXmpp(xmpp) {
    const asked = el('conference', { xmlns: FOCUS, room: this.jid, 'machine-uid': this.machine, 'session-id': this.session ?? undefined },
      el('property', { name: 'rtcstatsEnabled', value: 'false' }), el('property', { name: 'visitors-version', value: '1' }));
    const answer = await xmpp.iq('set', this.config.hosts.focus ?? `focus.${this.config.hosts.domain}`, asked, ASK_MS)
      .catch((e) => { if (e.condition === 'not-authorized') return null; throw e; });
    if (!answer) return { closed: true };
    const conference = child(answer, 'conference', FOCUS);
    // Of somebody who has logged in: with it others, such as the guest that we are, ask in its name.
    this.session = attr(conference, 'session-id') ?? this.session;
    return { ready: attr(conference, 'ready') === 'true', focusJid: attr(conference, 'focusjid'), vnode: attr(conference, 'vnode') };
  }
}
