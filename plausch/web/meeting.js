// A whole meeting: name and room in; who is there, what they send and what one can do about it out.
import { Knock, TurnedAway, askedBy } from './admission.js';
import { Entry } from './entry.js';
import { Focus } from './focus.js';
import { readOffer, readReason, readRestart, restartIceXml, terminateXml } from './jingle.js';
import { LocalMedia } from './media.js';
import { CAPS_VERSION } from './presence.js';
import { hex } from './random.js';
import { report } from './report.js';
import { Room } from './room.js';
import { BridgeSession } from './session.js';
import { gallery, raisedHand, readAnswer } from './watch.js';
import { Xmpp } from './xmpp.js';
import { attr, el } from './xml.js';

const JINGLE = 'urn:xmpp:jingle:1';
const REQUEST_WAIT_LAST_MS = 120000;
const HOST_EVERY_MS = 5000;
const JOIN_RETRIES = 3;
const RESTARTS = 3;
// A router that gets another address, or a phone between two cells, is back sooner: browsers check such ways by themselves.
const SILENT_MS = 6000;
const REACH_MS = 65000;
// As upstream's clients.
const FOUND_MS = 15000;

// The room's name as all clients write it, and its address' local part.
export function normaliseRoom(name) {
  let decoded = name;
  try { decoded = decodeURIComponent(name); } catch { /* a lone percent sign is a character like any other */ }
  return decoded.normalize('NFKC').toLowerCase().replace(/[:?#[\]@!$&'()*+,;=></"]/g, '');
}
export const roomNode = (name) => encodeURIComponent(name).toLowerCase();

const pause = (ms) => new Promise((r) => { setTimeout(r, ms); });

export class Meeting extends EventTarget {
  constructor(config) {
    super();
    this.config = config;
    this.reset();
  }

  reset() {
    Object.assign(this, {
      id: null, state: 'new', connection: 'offline', events: [], failures: [], roles: {}, members: {}, messages: [], dominant: null,
      channelOpen: false, p2p: false, bridgeMissing: false, session: null, room: null, xmpp: null, sharing: false, signalled: false, restarts: 0, forced: new Set(), endedBy: null, lost: null, asked: null, refused: null, entry: null, gaveUp: false, watching: null, watchers: 0, hand: null, denied: false,
    });
  }

  async join(roomName, options = {}) {
    if (this.state === 'joining' || this.state === 'joined') throw new Error('already in a meeting');
    const kept = this.media;
    this.reset();
    this.options = options;
    this.roomName = normaliseRoom(roomName);
    this.name = options.name ?? '';
    this.#enter('joining');
    try {
      this.media = options.media ?? kept ?? new LocalMedia({ height: options.resolution });
      if (!options.media && !kept) await this.media.start(options.devices);
      this.media.addEventListener('change', this.onmedia = (e) => { this.#mediaChanged(e.detail).catch((x) => this.#failed('media', x)); });
      await this.#connect();
      // Whoever watches sends nothing, so that no light burns.
      if (this.watching) this.media.stop();
      await this.#enterRoom();
    } catch (e) {
      this.asked = null;
      // Somebody has thought better of it.
      if (this.state === 'left') throw e;
      if (e instanceof TurnedAway) this.refused = e.why;
      this.#failed('join', e);
      this.#close();
      this.#enter('failed');
      throw e;
    }
    this.joinedAt = performance.now();
    this.#enter('joined');
    return this.id;
  }

  async leave() {
    if (this.state !== 'joined' && this.state !== 'joining') return;
    this.gaveUp = this.state === 'joining';
    this.#endSession();
    this.entry?.close();
    await this.room?.leave();
    this.#close();
    this.#enter('left');
    this.answered?.reject(new Error('left'));
  }

  // What the room asked for: a password, or a name.
  answer(value) { this.answered?.resolve(value); }

  mute(kind) { this.media.mute(kind); }

  async unmute(kind) {
    if (this.watching) return;
    await this.media.unmute(kind);
    // A moderator had muted us: the bridge must let us through again.
    if (this.forced.delete(kind)) this.room.muteOther(this.id, kind, false).catch((e) => this.#failed('unmute', e));
  }

  async share() { if (!this.watching) await this.media.share(); }
  unshare() { this.media.unshare(); }

  // Whoever watches may ask to take part, and think better of it.
  raise(up = true) {
    if (!this.watching) return;
    [this.hand, this.denied] = [up ? Date.now() : null, false];
    this.room.update();
    this.#changed('hand');
  }

  chat(text) { this.room.chat(text); }
  kick(id) { return this.room.kick(id).then(() => true); }
  grant(id) { return this.room.grant(id).then(() => true); }
  setPassword(password) { return this.entry.setPassword(password).then(() => true); }
  setLobby(on) { return this.entry.setLobby(on).then(() => true); }
  admit(...ids) { this.entry.admit(...ids); }
  deny(id) { return this.entry.deny(id).then(() => true); }
  knocking() { return [...(this.entry?.waiting.values() ?? [])].map(({ id, name }) => ({ id, name })); }
  muteOther(id, kind) { return this.room.muteOther(id, kind).then(() => true); }
  role() { return this.room?.role ?? null; }
  localMuted(kind) { return this.media.muted[kind]; }
  dropSocket() { this.xmpp.dropSocket(); }
  stats() { return this.session ? report(this.session) : Promise.resolve(null); }

  remoteMuted(id, kind) {
    const mine = Object.entries(this.room?.occupants.get(id)?.sources ?? {}).filter(([n]) => n.startsWith(`${id}-${kind[0]}`));
    return mine.length ? mine.every(([, s]) => s.muted) : undefined;
  }

  remoteVideoSources(id) { return this.#visible(id).length; }

  // Everybody else, with the streams to show.
  get participants() {
    return [...(this.room?.occupants.values() ?? [])].filter((o) => o.nick !== 'focus').map((o) => {
      const of = (kind) => this.session?.sources().filter((s) => s.owner === o.nick && s.kind === kind) ?? [];
      const videos = this.#visible(o.nick);
      const isScreen = (s) => this.#isScreen(o, s);
      return {
        id: o.nick, name: o.name, role: o.role, audioMuted: this.remoteMuted(o.nick, 'audio') ?? true,
        audio: of('audio'), camera: videos.find((s) => !isScreen(s)) ?? null, screens: videos.filter(isScreen), speaking: this.dominant === o.nick,
      };
    });
  }

  #visible(id) {
    const sources = this.room?.occupants.get(id)?.sources ?? {};
    return this.session?.sources().filter((s) => s.owner === id && s.kind === 'video' && sources[s.source] && !sources[s.source].muted) ?? [];
  }

  #isScreen(occupant, s) {
    return (occupant.sources[s.source]?.videoType ?? s.videoType) === 'desktop';
  }

  #enter(state) { this.state = state; this.#changed(state); }
  #changed(what) { this.events.push(what); this.dispatchEvent(new CustomEvent('change', { detail: what })); }

  #failed(where, error) {
    this.failures.push([where, String(error?.message ?? error)]);
    this.#changed('failure');
  }

  get #roomJid() { return `${roomNode(this.roomName)}@${(this.watching?.muc ?? this.config.hosts.muc).toLowerCase()}`; }

  async #connect() {
    const { config, options } = this;
    this.focus = new Focus({ config, room: this.roomName, jid: this.#roomJid, token: options.jwt });
    // Whoever was asked to take part has no more to ask for.
    if (options.invited) this.focusJid = options.invited.focusJid;
    else if (this.#overHttp) await this.#request();
    await this.#open();
    if (options.invited || this.#overHttp) return;
    await this.#request();
    if (!this.watching) return;
    this.xmpp.close();
    await this.#open();
  }

  async #open() {
    const { hosts } = this.config;
    // Guests may have a host of their own.
    const xmpp = this.xmpp = this.#session(this.watching?.domain ?? hosts.anonymousdomain ?? hosts.domain);
    xmpp.addEventListener('state', (e) => { if (this.xmpp !== xmpp) return; this.connection = e.detail; this.#changed('connection'); });
    xmpp.addEventListener('gone', (e) => { if (this.xmpp === xmpp) this.#lost('connection', e.detail); });
    xmpp.iqHandlers.push((iq) => this.#jingle(iq), (iq) => this.#answer(iq));
    await xmpp.connect();
  }

  #session(domain, account) {
    const { config, options } = this;
    const bosh = options.transport === 'bosh' || !config.websocket;
    const url = new URL(bosh ? config.bosh : config.websocket, location.href);
    url.searchParams.set('room', this.roomName);
    if (options.jwt) url.searchParams.set('token', options.jwt);
    if (this.watching) url.searchParams.set('vnode', this.watching.vnode);
    if (options.invited) url.searchParams.set('customusername', options.invited.username);
    return new Xmpp({ url, domain, account, transport: bosh ? 'bosh' : 'websocket' });
  }

  get #overHttp() { return this.options.httpConferenceRequest !== false && this.config.conferenceRequestUrl; }

  // The focus must have opened the room before anybody joins it.
  async #request() {
    let waiting = null;
    for (let wait = 1000; ; wait = Math.min(wait * 2, REQUEST_WAIT_LAST_MS)) {
      const answer = await (this.#overHttp ? this.focus.overHttp() : this.focus.overXmpp(this.xmpp));
      if (answer.ready) {
        this.focusJid = answer.focusJid ?? this.config.focusUserJid;
        const { vnode } = answer;
        if (/^v\d{1,4}$/.test(vnode ?? '') && !this.room) this.watching = { vnode, ...gallery(this.config.hosts, vnode) };
        [this.asked, this.answered] = [null, null];
        return;
      }
      if (!answer.closed) { await pause(wait); continue; }
      // Somebody has to come first who may open it, or to log in here.
      waiting ??= this.#ask({ what: 'host' });
      await Promise.race([pause(HOST_EVERY_MS), waiting.then(() => { waiting = null; })]);
    }
  }

  // Opens the meeting in the name of an account; throws when it is not let.
  async login(name, password) {
    const session = this.#session(this.config.hosts.authdomain, { name, password });
    try {
      await session.connect();
      await this.focus.overXmpp(session);
    } finally { session.close(); }
    this.answer();
  }

  async #enterRoom() {
    const node = this.xmpp.jid.slice(0, 8);
    this.id = /^[0-9a-f]{8}$/.test(node) ? node : hex(8);
    const statsId = `Plausch-${hex(3)}`;
    const codecs = (RTCRtpReceiver.getCapabilities?.('video')?.codecs ?? []).map((c) => c.mimeType.split('/')[1].toLowerCase());
    const known = ['vp8', 'vp9', 'h264', 'av1'].filter((c) => codecs.includes(c));
    const room = this.room = new Room({
      xmpp: this.xmpp, jid: this.#roomJid, nick: this.id, focusJid: this.focusJid,
      self: () => ({ name: this.name, ver: CAPS_VERSION, statsId, codecs: known.length ? known : ['vp8'], sources: this.#sourceInfo(), more: raisedHand(this.hand) }),
    });
    const on = (type, handle) => room.addEventListener(type, (e) => { handle(e.detail); this.#changed(type); });
    on('arrived', (p) => { this.members[p.id] = p.name; this.roles[p.id] = p.role; });
    on('changed', (p) => { this.members[p.id] = p.name; this.roles[p.id] = p.role; this.#constrain(); });
    on('left', (p) => { delete this.members[p.id]; delete this.roles[p.id]; if (this.dominant === p.id) this.dominant = null; this.#constrain(); });
    on('role', (role) => { this.roles[this.id] = role; });
    on('chat', (m) => this.messages.push({ from: m.id, own: m.own, name: m.own ? this.name : m.name, text: m.text }));
    on('muted', ({ kind }) => { this.forced.add(kind); if (kind === 'desktop') this.unshare(); else this.mute(kind); });
    on('ended', (why) => { this.endedBy = why; this.#endSession(); this.#close(); this.#enter(why.why === 'kicked' ? 'kicked' : 'left'); });
    on('watchers', (n) => { this.watchers = n; });
    on('focus-left', () => this.#lost('focus', new Error('the focus left')));
    on('bridge-missing', () => { this.bridgeMissing = true; this.#failed('bridge', 'no bridge is available'); });
    this.entry = new Entry({ xmpp: this.xmpp, domain: this.config.hosts.domain, room, name: () => this.name });
    this.entry.addEventListener('change', () => this.#changed('entry'));
    await this.#come(room);
    for (const kind of ['audio', 'video']) if (room.metadata.startMuted?.[kind]) this.media.mute(kind);
  }

  // Until the room lets us in, and we have given what it asks for.
  async #come(room) {
    let { password = null } = this.options;
    let requests = JOIN_RETRIES;
    let knock = null;
    try {
      for (;;) {
        const error = await room.join(password).then(() => null, (e) => e);
        if (!error) break;
        const asked = askedBy(error);
        if (asked?.what === 'request' && requests-- > 0) {
          await this.#request();
        } else if (asked?.what === 'password') {
          password = await this.#ask({ ...asked, wrong: password !== null });
        } else if (asked?.what === 'name') {
          this.name = await this.#ask(asked);
        } else if (asked?.what === 'wait' && !knock?.inside) {
          knock?.leave();
          knock = new Knock({ xmpp: this.xmpp, lobby: asked.lobby, room: room.jid, nick: this.id, name: this.name });
          const answer = knock.answer();
          password = await Promise.race([answer, this.#ask(asked)]) ?? password;
        } else throw error;
      }
      this.options = { ...this.options, password, name: this.name };
    } finally {
      knock?.leave();
      [this.asked, this.answered] = [null, null];
    }
  }

  // Somebody has to do something, or to wait.
  #ask(asked) {
    this.asked = asked;
    return new Promise((resolve, reject) => { this.answered = { resolve, reject }; this.#changed('asked'); });
  }

  // Somebody decided whether we take part. Clients send no result here.
  #answer(iq) {
    const answer = this.watching && attr(iq, 'from') === this.room?.jid ? readAnswer(iq) : null;
    if (!answer) return null;
    if (answer.allowed) this.#takePart(answer).catch(() => {});
    else { [this.hand, this.denied] = [null, true]; this.room.update(); this.#changed('hand'); }
    return { silent: true };
  }

  // Out of the gallery and into the meeting, where nobody is seen or heard before they want to be.
  async #takePart(invited) {
    const { roomName, options } = this;
    this.#endSession();
    await this.room.leave();
    this.#close();
    this.#enter('new');
    await this.join(roomName, { ...options, invited, media: new LocalMedia({ height: options.resolution }) });
    // Back after a break they are somebody like others.
    delete this.options.invited;
  }

  #sourceInfo() {
    if (!this.signalled || this.watching) return {};
    const info = { [`${this.id}-a0`]: { muted: this.media.muted.audio }, [`${this.id}-v0`]: { muted: this.media.muted.video } };
    if (this.sharing || this.session?.screenMid) info[`${this.id}-v1`] = { muted: !this.media.screen, videoType: 'desktop' };
    return info;
  }

  async #mediaChanged(kind) {
    this.#changed('media');
    if (!this.session) return;
    if (kind === 'screen' && this.media.screen) await this.#sendScreen();
    else await this.session.refresh();
    this.room?.update();
    this.#videoTypes();
  }

  async #sendScreen() {
    // Before the source itself, so that nobody takes the screen for a camera.
    this.sharing = true;
    this.room?.update();
    const add = await this.session.addScreen();
    if (add) await this.xmpp.iq('set', `${this.room.jid}/focus`, add);
  }

  #videoTypes() {
    const { channel } = this.session ?? {};
    if (!channel?.open) return;
    const say = (name, videoType) => channel.send({ colibriClass: 'SourceVideoTypeMessage', sourceName: `${this.id}-${name}`, videoType });
    say('v0', this.media.track('video') ? 'camera' : 'none');
    if (this.session.screenMid) say('v1', this.media.screen ? 'desktop' : 'none');
  }

  #jingle(iq) {
    const jingle = iq.firstElementChild;
    if (jingle?.localName !== 'jingle' || jingle.namespaceURI !== JINGLE) return null;
    const from = attr(iq, 'from');
    if (!this.room?.isFocus(from)) return { error: 'service-unavailable' };
    const current = this.session?.offer.sid === attr(jingle, 'sid');
    const unknown = { error: 'item-not-found', extra: el('unknown-session', { xmlns: 'urn:xmpp:jingle:errors:1' }) };
    switch (attr(jingle, 'action')) {
      case 'session-initiate':
        if (current) return { error: 'service-unavailable' };
        this.#startSession(jingle, from).catch((e) => this.#failed('session', e));
        return {};
      case 'session-terminate':
        if (!current) return unknown;
        this.#changed(`session-terminate ${readReason(jingle)}`);
        this.#endSession();
        return {};
      case 'transport-info':
        if (!current) return unknown;
        this.#restarted(readRestart(jingle), from).catch((e) => this.#failed('ice', e));
        return {};
      // With SSRC rewriting the streams of others come from the bridge; nothing to do for what the focus adds.
      case 'source-add': case 'source-remove': case 'session-info':
        return current ? {} : unknown;
      default: return { error: 'bad-request', type: 'modify' };
    }
  }

  async #startSession(jingle, focus) {
    this.#endSession();
    this.bridgeMissing = false;
    const services = (this.room.metadata.services ?? []).filter((s) => /^turns?$/.test(s.type));
    const iceServers = services.map((s) => ({ urls: `${s.type}:${s.host}:${s.port}?transport=${s.transport ?? 'udp'}`, username: s.username, credential: s.password }));
    const session = this.session = new BridgeSession({ offer: readOffer(jingle), id: this.id, media: this.media, channel: this.options.channel, iceServers, silent: !!this.watching });
    const on = (type, handle) => session.addEventListener(type, (e) => { if (this.session === session) { handle(e.detail); this.#changed(type); } });
    on('sources', () => this.#constrain());
    on('dominant', (id) => { this.dominant = id ?? null; });
    on('ice', (state) => this.#iceIs(state, session));
    on('error', (e) => this.#failed('media session', e));
    session.channel.addEventListener('open', () => { this.channelOpen = true; this.wanted = null; this.#videoTypes(); this.#constrain(); this.#changed('channel'); });
    session.channel.addEventListener('closed', () => { if (this.session === session) { this.channelOpen = false; this.#changed('channel'); } });
    const accept = await session.accept(`${this.room.jid}/${this.id}`);
    if (this.session !== session) return;
    await this.xmpp.iq('set', focus, accept);
    this.signalled = true;
    this.room.update();
    if (this.media.screen) await this.#sendScreen();
  }

  // Asks for new credentials of the bridge, to look for another way within the session. Whether there is one, in time.
  async restartIce() {
    const { session } = this;
    if (!session?.offer.bridgeSession) return false;
    session.isRestarted = false;
    await this.xmpp.iq('set', `${this.room.jid}/focus`, restartIceXml(session.offer));
    const until = Date.now() + FOUND_MS;
    while (this.session === session && Date.now() < until) {
      await pause(250);
      if (session.isRestarted && ['connected', 'completed'].includes(session.pc.iceConnectionState)) return true;
    }
    return false;
  }

  async #restarted(restart, focus) {
    const { session } = this;
    if (!restart) return;
    const answer = await session.restart(restart);
    if (!answer || this.session !== session) return;
    session.isRestarted = true;
    await this.xmpp.iq('set', focus, answer);
  }

  // What ICE says of the way to the bridge. A browser may call a way that is cut off for good disconnected for minutes, and never failed.
  #iceIs(state, session) {
    clearTimeout(session.silence);
    if (state === 'failed') this.#restart(session);
    if (state === 'disconnected') session.silence = setTimeout(() => this.#restart(session), SILENT_MS);
  }

  // The way to the bridge broke: another is looked for within the session; if there is none the focus is asked for a new one. After a
  // few in a row that led nowhere the way is blocked.
  async #restart(session) {
    if (session.isLooking) return;
    const broken = () => this.session === session && ['disconnected', 'failed'].includes(session.pc.iceConnectionState);
    session.isLooking = true;
    while (broken()) {
      // Our own network first: it may be what broke, and then ICE recovers together with it.
      const reached = await this.xmpp.reachable(REACH_MS).then(() => true, () => false);
      await pause(2000 + Math.random() * 1000 * this.restarts);
      if (reached) break;
    }
    if (broken()) await this.#lookForWay(session);
    session.isLooking = false;
  }

  async #lookForWay(session) {
    if (this.restarts >= RESTARTS) { this.#failed('ice', 'the way to the bridge is blocked'); return; }
    this.restarts++;
    const found = await this.restartIce().catch(() => false);
    if (found) this.restarts = 0;
    if (found || this.session !== session) return;
    const ask = terminateXml(session.offer, 'connectivity-error', 'ICE FAILED', true);
    this.#endSession();
    this.xmpp.iq('set', `${this.room.jid}/focus`, ask).catch((e) => this.#failed('ice', e));
  }

  // Tells the bridge what is on the screen.
  #constrain() {
    const { channel } = this.session ?? {};
    if (!channel?.open) return;
    const people = this.participants;
    const screens = people.flatMap((p) => p.screens.map((s) => s.source));
    const maxHeight = this.options.receiveHeight ?? (screens.length ? 180 : people.length <= 1 ? 720 : people.length <= 6 ? 360 : 180);
    const message = {
      colibriClass: 'ReceiverVideoConstraints', assumedBandwidthBps: -1, lastN: -1, selectedSources: [], onStageSources: screens,
      defaultConstraints: { maxHeight }, constraints: Object.fromEntries(screens.map((s) => [s, { maxHeight: 1080 }])),
    };
    const text = JSON.stringify(message);
    if (text === this.wanted) return;
    this.wanted = text;
    channel.send(message);
  }

  #endSession() {
    this.session?.close();
    this.session = null;
    this.channelOpen = false;
    this.dominant = null;
  }

  #lost(where, error) {
    if (this.state !== 'joined' && this.state !== 'joining') return;
    this.lost = this.state === 'joined' ? { ...this.media.muted } : null;
    this.#failed(where, error);
    this.#endSession();
    this.#close();
    this.#enter('failed');
  }

  #close() {
    this.media?.removeEventListener('change', this.onmedia);
    this.media?.stop();
    this.media = null;
    this.xmpp?.close();
  }
}

