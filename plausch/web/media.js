// Our own camera, microphone and screen: permission in, tracks out; a muted device is really off.

export class LocalMedia extends EventTarget {
  constructor({ height = 720 } = {}) {
    super();
    this.height = height;
    this.audio = null;
    this.video = null;
    this.screen = null;
    this.muted = { audio: true, video: true };
    this.errors = {};
    this.devices = {};
  }

  // Asks for both at once, and for each alone when that fails: somebody without camera still has a voice.
  async start(kinds = ['audio', 'video']) {
    if (!navigator.mediaDevices?.getUserMedia) { this.errors = { audio: 'insecure', video: 'insecure' }; this.#changed(); return; }
    try {
      this.#take(await this.#ask(kinds));
    } catch {
      for (const kind of kinds) await this.#ask([kind]).then((s) => this.#take(s), (e) => { this.errors[kind] = e.name; });
    }
    this.#changed();
  }

  #ask(kinds) {
    const exactly = (kind) => (this.devices[kind] ? { deviceId: { exact: this.devices[kind] } } : {});
    const wish = { ...exactly('video'), height: { ideal: this.height }, width: { ideal: Math.round(this.height * 16 / 9) }, frameRate: { max: 30 } };
    return navigator.mediaDevices.getUserMedia({ audio: kinds.includes('audio') && { ...exactly('audio'), echoCancellation: true, noiseSuppression: true, autoGainControl: true }, video: kinds.includes('video') && wish });
  }

  #take(stream) {
    for (const track of stream.getTracks()) {
      this[track.kind]?.stop();
      this[track.kind] = track;
      this.muted[track.kind] = false;
      delete this.errors[track.kind];
      track.onended = () => { if (this[track.kind] === track) this.mute(track.kind); };
    }
  }

  // The microphone stays open but sends nothing; the camera is given back, so that its light goes out.
  mute(kind) {
    if (this.muted[kind]) return;
    this.muted[kind] = true;
    if (kind === 'video') { this.video?.stop(); this.video = null; } else if (this.audio) this.audio.enabled = false;
    this.#changed(kind);
  }

  async unmute(kind) {
    if (!this.muted[kind]) return;
    if (!this[kind] || this[kind].readyState === 'ended') {
      try {
        this.#take(await this.#ask([kind]));
      } catch (e) {
        this.errors[kind] = e.name;
        this.#changed(kind);
        throw e;
      }
    }
    if (this.audio && kind === 'audio') this.audio.enabled = true;
    this.muted[kind] = false;
    this.#changed(kind);
  }

  // Another camera or microphone, from now on.
  async choose(kind, deviceId) {
    this.devices[kind] = deviceId;
    const muted = this.muted[kind];
    this.#stop(kind);
    try {
      this.#take(await this.#ask([kind]));
      if (muted) { this.muted[kind] = false; this.mute(kind); }
    } catch (e) {
      this.errors[kind] = e.name;
    }
    this.#changed(kind);
  }

  #stop(kind) {
    this[kind]?.stop();
    this[kind] = null;
    this.muted[kind] = true;
  }

  // The same devices for somebody else, who may stop theirs without stopping ours.
  clone() {
    const copy = new LocalMedia({ height: this.height });
    for (const kind of ['audio', 'video']) {
      const track = this.track(kind);
      if (track) { copy[kind] = track.clone(); copy.muted[kind] = false; }
    }
    return copy;
  }

  // What may be sent now; null when muted.
  track(kind) { return this.muted[kind] ? null : this[kind]; }

  async share() {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: false });
    [this.screen] = stream.getVideoTracks();
    this.screen.contentHint = 'detail';
    this.screen.onended = () => this.unshare();
    this.#changed('screen');
    return this.screen;
  }

  unshare() {
    if (!this.screen) return;
    this.screen.onended = null;
    this.screen.stop();
    this.screen = null;
    this.#changed('screen');
  }

  stop() {
    for (const t of [this.audio, this.video, this.screen]) t?.stop();
    [this.audio, this.video, this.screen] = [null, null, null];
    this.muted = { audio: true, video: true };
  }

  #changed(kind) { this.dispatchEvent(new CustomEvent('change', { detail: kind })); }
}
