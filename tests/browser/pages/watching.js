// A browser that encodes a film once (`film`), and one that watches cameras which send it (`watch`, `look`): when each picture was shown, and how high it was.
window.watching = {
  // Frames of one size, in the order in which they are sent: a key frame, then three temporal layers in turns.
  async film({ width, height, kbits, frames }) {
    const all = [];
    const encoder = new VideoEncoder({
      output: (chunk) => { const data = new Uint8Array(chunk.byteLength); chunk.copyTo(data); all.push(data); },
      error: (e) => { throw e; },
    });
    encoder.configure({ codec: 'vp8', width, height, bitrate: kbits * 1000, framerate: 30, scalabilityMode: 'L1T3', latencyMode: 'realtime' });
    const canvas = new OffscreenCanvas(width, height);
    const g = canvas.getContext('2d');
    for (let n = 0; n < frames; n++) {
      this.paint(g, width, height, n);
      const frame = new VideoFrame(canvas, { timestamp: n * 33333 });
      encoder.encode(frame, { keyFrame: n === 0 });
      frame.close();
      while (encoder.encodeQueueSize > 4) await new Promise((r) => setTimeout(r, 5));
    }
    await encoder.flush();
    encoder.close();
    return all.map((data) => btoa(String.fromCharCode.apply(null, data)));
  },

  // Somebody before a wall: a little of the picture moves, and all of it has the noise of a camera.
  paint(g, width, height, n) {
    this.noise ??= (() => {
      const tile = new OffscreenCanvas(256, 256);
      const t = tile.getContext('2d');
      const data = t.createImageData(256, 256);
      for (let i = 0; i < data.data.length; i++) data.data[i] = i % 4 === 3 ? 24 : Math.random() * 255;
      t.putImageData(data, 0, 0);
      return tile;
    })();
    const gradient = g.createLinearGradient(0, 0, width, height);
    gradient.addColorStop(0, '#345');
    gradient.addColorStop(1, '#a98');
    g.fillStyle = gradient;
    g.fillRect(0, 0, width, height);
    g.fillStyle = '#dba';
    g.beginPath();
    g.ellipse(width * (0.5 + 0.06 * Math.sin(n / 9)), height * (0.5 + 0.03 * Math.sin(n / 5)), width * 0.13, height * 0.3, 0, 0, 7);
    g.fill();
    for (let x = -(n * 37 % 256); x < width; x += 256) for (let y = -(n * 91 % 256); y < height; y += 256) g.drawImage(this.noise, x, y);
  },

  // Answers the offer; gives the own side back. From here on every picture of every source is noted.
  async watch(offer, lines) {
    const pc = new RTCPeerConnection();
    this.pc = pc;
    this.begun = performance.now();
    this.seen = [];
    pc.ontrack = ({ track, transceiver }) => {
      if (track.kind !== 'video') { const audio = new Audio(); audio.srcObject = new MediaStream([track]); audio.play(); this.audio = audio; return; }
      const video = document.createElement('video');
      Object.assign(video, { muted: true, autoplay: true, width: 320, srcObject: new MediaStream([track]) });
      document.body.append(video);
      const pictures = [];
      this.seen[Number(transceiver.mid)] = pictures;
      const note = (now) => { pictures.push([now, video.videoHeight]); video.requestVideoFrameCallback(note); };
      video.requestVideoFrameCallback(note);
    };
    const channel = pc.createDataChannel('JVB data channel', { protocol: 'http://jitsi.org/protocols/colibri' });
    channel.onopen = () => channel.send(JSON.stringify({ colibriClass: 'ReceiverVideoConstraints', lastN: -1, defaultConstraints: { maxHeight: lines } }));
    await pc.setRemoteDescription({ type: 'offer', sdp: offer });
    this.microphone ??= (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks()[0];
    const [speech] = pc.getTransceivers();
    speech.direction = 'sendrecv';
    await speech.sender.replaceTrack(this.microphone);
    await pc.setLocalDescription(await pc.createAnswer());
    const word = (pattern) => pattern.exec(pc.localDescription.sdp)[1].trim();
    return { ufrag: word(/a=ice-ufrag:(.*)/), pwd: word(/a=ice-pwd:(.*)/), fingerprint: word(/a=fingerprint:sha-256 (.*)/), speaks: Number(word(/a=ssrc:(\d+) cname/)) };
  },

  // What was shown since the moment `from`, source by source, and how much of the sound was made up.
  async look(from) {
    const sources = this.seen.filter(Boolean).map((pictures) => pictures.filter(([at]) => at >= from));
    const report = [...(await this.pc.getStats()).values()].find((r) => r.type === 'inbound-rtp' && r.kind === 'audio');
    return { now: performance.now(), begun: this.begun, sources, heard: report?.totalSamplesReceived ?? 0, concealed: (report?.concealedSamples ?? 0) - (report?.silentConcealedSamples ?? 0) };
  },

  leave() { this.pc.close(); document.body.replaceChildren(); },
};
