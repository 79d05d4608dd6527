// Runs in every page before anything else: keeps all peer connections, and replaces the microphone by a tone
// whose loudness the test sets, so that "who speaks" is the test's decision and not the fake device's.
(() => {
  const Native = window.RTCPeerConnection;
  if (!Native || window.rig) return;
  const rig = window.rig = { pcs: [], errors: [], gain: null, pitch: 440, sound: null };
  window.addEventListener('error', (e) => rig.errors.push(String(e.message)));
  window.addEventListener('unhandledrejection', (e) => rig.errors.push(String(e.reason && (e.reason.stack || e.reason))));
  window.RTCPeerConnection = class extends Native {
    constructor(...args) { super(...args); rig.pcs.push(this); }
  };

  const native = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  function tone() {
    const ctx = new AudioContext();
    const osc = ctx.createOscillator();
    osc.frequency.value = rig.pitch;
    // A tone that swells four times a second, as syllables do: a constant one is no speech for anybody.
    const swell = ctx.createOscillator();
    swell.frequency.value = 4;
    const depth = ctx.createGain();
    depth.gain.value = 0.5;
    const syllables = ctx.createGain();
    syllables.gain.value = 0.5;
    const loudness = ctx.createGain();
    loudness.gain.value = 0.02;
    const out = ctx.createMediaStreamDestination();
    swell.connect(depth).connect(syllables.gain);
    osc.connect(syllables).connect(loudness).connect(out);
    osc.start();
    swell.start();
    rig.gain = loudness.gain;
    return out.stream.getAudioTracks()[0];
  }
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const stream = new MediaStream();
    if (constraints?.video) {
      for (const t of (await native({ video: constraints.video })).getVideoTracks()) stream.addTrack(t);
    }
    // Firefox's own fake microphone is a tone, and its contexts stand still where there is no loudspeaker. `sound`: Chromium's own, as it is asked for.
    const own = rig.sound ?? navigator.userAgent.includes('Firefox');
    if (constraints?.audio) stream.addTrack(own ? (await native({ audio: own })).getAudioTracks()[0] : tone());
    return stream;
  };
  // 0 = silent … 1 = as loud as the format allows.
  rig.loudness = (value) => { if (rig.gain) rig.gain.value = value; };

  // Which participant each received track belongs to: clients mark their media elements with data-participant.
  const owners = () => {
    const map = {};
    for (const el of document.querySelectorAll('[data-participant]')) {
      for (const t of el.srcObject?.getTracks?.() ?? []) {
        map[t.id] = { participant: el.dataset.participant, source: el.dataset.source ?? t.kind };
      }
    }
    return map;
  };
  // From now on: how long nothing new came of each participant at worst, in ms; to be read with `silences`. Connections come and go meanwhile.
  rig.listen = () => {
    const heard = rig.heard = new Map();
    clearInterval(rig.listening);
    let busy = false;
    rig.listening = setInterval(async () => {
      if (busy) return;
      busy = true;
      const { inbound } = await rig.media().catch(() => ({ inbound: [] }));
      const now = performance.now();
      for (const { pc, ssrc, kind, participant, packets, frames } of inbound) {
        const count = kind === 'audio' ? packets : frames;
        if (!participant || !count) continue;
        const key = `${participant} ${kind}`;
        const of = heard.get(key) ?? { counts: new Map(), at: now, worst: 0 };
        heard.set(key, of);
        const stream = `${pc} ${ssrc}`;
        if (count <= (of.counts.get(stream) ?? 0)) continue;
        of.counts.set(stream, count);
        of.worst = Math.max(of.worst, now - of.at);
        of.at = now;
      }
      busy = false;
    }, 50);
  };
  rig.silences = () => Object.fromEntries([...rig.heard].map(([key, { worst, at }]) => [key, Math.round(Math.max(worst, performance.now() - at))]));

  // One plain object per call: what this page receives and how, from the browser's own statistics.
  rig.media = async () => {
    const out = { inbound: [], outbound: [], transports: [], channels: [] };
    const owned = owners();
    for (const [index, pc] of rig.pcs.entries()) {
      if (pc.connectionState === 'closed') continue;
      const stats = [...(await pc.getStats()).values()];
      const byId = new Map(stats.map((s) => [s.id, s]));
      for (const s of stats) {
        if (s.type === 'inbound-rtp') {
          const owner = owned[s.trackIdentifier];
          out.inbound.push({
            pc: index, kind: s.kind, mid: s.mid, ssrc: s.ssrc, participant: owner?.participant, source: owner?.source,
            packets: s.packetsReceived ?? 0, lost: s.packetsLost ?? 0, frames: s.framesDecoded ?? 0, keyFrames: s.keyFramesDecoded ?? 0,
            width: s.frameWidth, height: s.frameHeight, freezes: s.freezeCount ?? 0, frozen: s.totalFreezesDuration ?? 0,
            samples: s.totalSamplesReceived ?? 0, concealed: s.concealedSamples ?? 0, energy: s.totalAudioEnergy ?? 0, nacks: s.nackCount ?? 0, plis: s.pliCount ?? 0,
            codec: byId.get(s.codecId)?.mimeType,
          });
        } else if (s.type === 'outbound-rtp') {
          out.outbound.push({ pc: index, kind: s.kind, ssrc: s.ssrc, rid: s.rid, packets: s.packetsSent ?? 0, width: s.frameWidth, height: s.frameHeight, fps: s.framesPerSecond, codec: byId.get(s.codecId)?.mimeType });
        } else if (s.type === 'transport') {
          const pair = byId.get(s.selectedCandidatePairId);
          out.transports.push({ pc: index, ice: pc.iceConnectionState, dtls: s.dtlsState, tls: s.tlsVersion, cipher: s.srtpCipher, rtt: pair?.currentRoundTripTime,
            remotePort: byId.get(pair?.remoteCandidateId)?.port, remoteAddress: byId.get(pair?.remoteCandidateId)?.address, remoteType: byId.get(pair?.remoteCandidateId)?.candidateType,
            localType: byId.get(pair?.localCandidateId)?.candidateType, localPort: byId.get(pair?.localCandidateId)?.port, protocol: byId.get(pair?.localCandidateId)?.protocol, relayProtocol: byId.get(pair?.localCandidateId)?.relayProtocol });
        } else if (s.type === 'data-channel') {
          out.channels.push({ pc: index, label: s.label, state: s.state, received: s.messagesReceived, sent: s.messagesSent });
        }
      }
    }
    return out;
  };
})();
