// One media session with the bridge: an offer in, one peer connection out, with a section per stream the bridge maps.
import { BridgeChannel } from './channel.js';
import { acceptXml, restartedXml, sourceAddXml } from './jingle.js';
import { uuid } from './random.js';
import { RemoteDescription, allowedEncodings, readLocal, withSimulcast } from './sdp.js';

const SCALES = [4, 2, 1];
// What a picture of so many lines is worth; more would be paid by everybody's uplink and seen by nobody.
const BITRATES = [[90, 100_000], [180, 200_000], [360, 700_000], [720, 1_800_000]];
const bitrate = (lines) => (BITRATES.find(([up]) => lines <= up * 1.05) ?? [0, 3_000_000])[1];
const AUDIO = '0';
const CAMERA = '1';

// Simulcast by SSRC is Chromium's; elsewhere one encoding is sent.
const CHROMIUM = !!globalThis.navigator?.userAgent?.includes('Chrome/');

const randomSsrc = () => String(1 + crypto.getRandomValues(new Uint32Array(1))[0] % 0xfffffffe);

export class BridgeSession extends EventTarget {
  // `silent`: nothing is sent, now and later.
  constructor({ offer, id, media, channel = 'datachannel', iceServers = [], silent = false }) {
    super();
    this.offer = offer;
    this.id = id;
    this.media = media;
    this.remote = new RemoteDescription(offer);
    this.slots = new Map();
    this.limits = new Map();
    this.streams = {};
    this.silent = silent;
    this.simulcast = CHROMIUM && !silent;
    this.work = Promise.resolve();
    this.names = {
      [AUDIO]: { name: `${id}-a0`, msid: `${id}-audio-0-1 ${uuid()}` },
      [CAMERA]: { name: `${id}-v0`, msid: `${id}-video-0-1 ${uuid()}`, videoType: 'camera' },
    };
    this.screenMid = null;
    this.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require', iceServers });
    this.pc.oniceconnectionstatechange = () => this.#emit('ice', this.pc.iceConnectionState);
    const socket = channel === 'websocket' || !offer.sctpPort ? offer.webSockets[0] : null;
    this.channel = socket ? BridgeChannel.overWebSocket(socket) : BridgeChannel.overDataChannel(this.pc);
    this.channel.addEventListener('message', (e) => this.#message(e.detail));
  }

  // The answer as Jingle.
  async accept(responder) {
    await this.#queued(() => this.#negotiate());
    return acceptXml(this.offer, this.local, this.names, responder);
  }

  // Looks for another way with the bridge's new credentials; the old one is used until there is. Our own as Jingle.
  restart({ generation, ...credentials }) {
    return this.#queued(async () => {
      Object.assign(this.offer.transport, credentials);
      await this.#negotiate();
      return restartedXml(this.offer, this.local, generation);
    });
  }

  // Puts our current tracks where they belong (after a mute or unmute).
  async refresh() {
    for (const [mid, track] of [[AUDIO, this.media.track('audio')], [CAMERA, this.media.track('video')], [this.screenMid, this.media.screen]]) {
      const sender = this.#transceiver(mid)?.sender;
      if (sender && sender.track !== track) await sender.replaceTrack(track);
    }
    await this.#limit();
  }

  // Adds our screen as second video; gives the source-add to send, or null when the source exists already.
  async addScreen() {
    if (this.screenMid) { await this.refresh(); return null; }
    return this.#queued(async () => {
      this.screenMid = this.remote.addOurs('video');
      this.names[this.screenMid] = { name: `${this.id}-v1`, msid: `${this.id}-video-1-1 ${uuid()}`, videoType: 'desktop' };
      await this.#negotiate();
      return sourceAddXml(this.offer, this.local.media.find((m) => m.mid === this.screenMid), this.names[this.screenMid]);
    });
  }

  // What the bridge sends now, by source name.
  sources() {
    return [...this.slots.values()].filter((s) => s.source && s.track);
  }

  close() {
    this.closed = true;
    this.channel.close();
    this.pc.close();
  }

  #emit(type, detail) { if (!this.closed) this.dispatchEvent(new CustomEvent(type, { detail })); }

  // Descriptions are exchanged one after the other.
  #queued(job) {
    const done = this.work.then(() => (this.closed ? null : job()));
    this.work = done.catch((e) => { if (!this.closed) this.#emit('error', e); });
    return done;
  }

  #transceiver(mid) { return mid === null ? null : this.pc.getTransceivers().find((t) => t.mid === mid); }

  async #negotiate() {
    const { pc } = this;
    await pc.setRemoteDescription({ type: 'offer', sdp: this.remote.text() });
    for (const mid of Object.keys(this.names)) {
      const transceiver = this.#transceiver(mid);
      if (transceiver) transceiver.direction = this.silent ? 'inactive' : 'sendonly';
    }
    await this.refresh();
    let { sdp } = await pc.createAnswer();
    if (this.simulcast) sdp = withSimulcast(sdp, CAMERA, this.streams, randomSsrc);
    await pc.setLocalDescription({ type: 'answer', sdp });
    this.local = readLocal(sdp);
    await this.#limit();
  }

  #message(m) {
    switch (m.colibriClass) {
      case 'AudioSourcesMap': this.#map('audio', m.mappedSources); break;
      case 'VideoSourcesMap': this.#map('video', m.mappedSources); break;
      case 'DominantSpeakerEndpointChangeEvent': this.#emit('dominant', m.dominantSpeakerEndpoint); break;
      case 'SenderSourceConstraints':
        this.limits.set(m.sourceName, m.maxHeight);
        this.#limit().catch((e) => this.#emit('error', e));
        break;
      default: this.#emit('channel-message', m);
    }
  }

  #map(kind, mapped) {
    if (!Array.isArray(mapped)) return;
    this.#queued(async () => {
      let isNew = false;
      for (const { source, owner, ssrc, rtx, videoType } of mapped) {
        if (!Number.isInteger(ssrc) || typeof source !== 'string') continue;
        // A source has one slot at a time.
        for (const s of this.slots.values()) if (s.source === source && s.ssrc !== ssrc) s.source = null;
        let slot = this.slots.get(ssrc);
        if (!slot) {
          slot = { kind, ssrc, mid: this.remote.addTheirs(kind, { ssrc, rtx: Number(rtx) > 0 ? rtx : undefined }) };
          this.slots.set(ssrc, slot);
          isNew = true;
        }
        Object.assign(slot, { source, owner, videoType: videoType?.toLowerCase() });
      }
      if (isNew) await this.#negotiate();
      for (const slot of this.slots.values()) slot.track ??= this.#transceiver(slot.mid)?.receiver.track;
      this.#emit('sources');
    });
  }

  // Sends no more than somebody wants to see.
  async #limit() {
    for (const [mid, { name }] of Object.entries(this.names)) {
      const sender = mid === AUDIO ? null : this.#transceiver(mid)?.sender;
      const parameters = sender?.getParameters();
      if (!parameters?.encodings?.length) continue;
      const { encodings } = parameters;
      const height = sender.track?.getSettings().height ?? 720;
      const allowed = allowedEncodings(encodings.length, height, this.limits.get(name) ?? -1);
      let changed = false;
      const set = (e, key, value) => { if (e[key] !== value) { e[key] = value; changed = true; } };
      encodings.forEach((e, i) => {
        set(e, 'active', allowed[i]);
        if (mid === CAMERA && encodings.length === SCALES.length) {
          set(e, 'scaleResolutionDownBy', SCALES[i]);
          set(e, 'maxBitrate', bitrate(height / SCALES[i]));
        }
      });
      if (changed) await sender.setParameters(parameters);
    }
  }
}
