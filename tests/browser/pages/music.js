// Runs in a page before anything else: the microphone as it is (Chromium's own fake one plays a file), music as apps send it, and a recorder
// for what comes from others.
(() => {
  window.rig.sound = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 2 };

  // Opus in stereo at a rate for music, both in what the other side is said to want and in what we say we take.
  const music = (sdp) => {
    const opus = /a=rtpmap:(\d+) opus\/48000/.exec(sdp)?.[1];
    const wish = 'stereo=1;sprop-stereo=1;maxaveragebitrate=192000;useinbandfec=1';
    if (!opus) return sdp;
    return sdp.includes(`a=fmtp:${opus} `) ? sdp.replaceAll(`a=fmtp:${opus} `, `a=fmtp:${opus} ${wish};`) : sdp.replaceAll(`a=rtpmap:${opus} opus/48000/2\r\n`, `a=rtpmap:${opus} opus/48000/2\r\na=fmtp:${opus} ${wish}\r\n`);
  };
  const { setRemoteDescription, setLocalDescription } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.setRemoteDescription = function (d) { return setRemoteDescription.call(this, { type: d.type, sdp: music(d.sdp) }); };
  RTCPeerConnection.prototype.setLocalDescription = function (d) { return setLocalDescription.call(this, d && { type: d.type, sdp: music(d.sdp) }); };

  const record = async (track, seconds) => {
    const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 1000 }).readable.getReader();
    const parts = [];
    let frames = 0;
    const channels = new Set();
    while (frames < seconds * 48000) {
      const { value } = await reader.read();
      if (value.sampleRate !== 48000) throw new Error(`${value.sampleRate} samples a second`);
      channels.add(value.numberOfChannels);
      const planes = [0, 1].map((c) => {
        const plane = new Float32Array(value.numberOfFrames);
        value.copyTo(plane, { planeIndex: Math.min(c, value.numberOfChannels - 1), format: 'f32-planar' });
        return plane;
      });
      parts.push(Int16Array.from({ length: value.numberOfFrames * 2 }, (_, i) => Math.round(Math.max(-1, Math.min(1, planes[i % 2][i >> 1])) * 32767)));
      frames += value.numberOfFrames;
      value.close();
    }
    reader.cancel();
    const bytes = parts.flatMap((p) => [new Uint8Array(p.buffer)]);
    const blob = new Blob(bytes);
    const url = await new Promise((resolve) => { const r = new FileReader(); r.onload = () => resolve(r.result); r.readAsDataURL(blob); });
    return { channels: Math.max(...channels), pcm: url.slice(url.indexOf(',') + 1) };
  };
  window.recordOf = (id, seconds) => record([...document.querySelectorAll(`audio[data-participant="${id}"]`)].map((e) => e.srcObject?.getAudioTracks()[0]).find((t) => t), seconds);

  // The same from one connection to another in this page, with nobody in between.
  window.recordDirect = async (seconds) => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const [from, to] = [new RTCPeerConnection(), new RTCPeerConnection()];
    from.onicecandidate = (e) => e.candidate && to.addIceCandidate(e.candidate);
    to.onicecandidate = (e) => e.candidate && from.addIceCandidate(e.candidate);
    const came = new Promise((resolve) => { to.ontrack = (e) => resolve(e.track); });
    from.addTrack(stream.getAudioTracks()[0], stream);
    await from.setLocalDescription(await from.createOffer());
    await to.setRemoteDescription(from.localDescription);
    await to.setLocalDescription(await to.createAnswer());
    await from.setRemoteDescription(to.localDescription);
    const track = await came;
    const loudspeaker = new Audio();
    loudspeaker.srcObject = new MediaStream([track]);
    await loudspeaker.play();
    await new Promise((resolve) => { setTimeout(resolve, 2000); });
    const got = await record(track, seconds);
    from.close();
    to.close();
    return got;
  };
})();
