// Runs in a page before anything else, after `window.wanted` was set: has it send video with one codec, in the layers that today's web client
// uses. `wanted`: { codec, mode, streams, svc, port }. `mode`: a scalability mode of webrtc-svc. `streams`: how many are signalled. With `svc`
// the first of them has all layers, else each encoding is a stream of its own. `port`: where the bridge is reached instead of its own port.
(() => {
  const { codec, mode, streams = 3, svc = false, fps = 15, port } = window.wanted;

  // The codec comes first in the bridge's offer, so it is what is sent.
  const preferred = (section) => {
    if (!codec || !section.startsWith('m=video')) return section;
    const [first, ...rest] = section.split('\r\n');
    const [media, at, protocol, ...formats] = first.split(' ');
    const mine = [...section.matchAll(new RegExp(`^a=rtpmap:(\\d+) ${codec}/`, 'gmi'))].map((m) => m[1]);
    if (!mine.length) throw new Error(`the bridge offers no ${codec}`);
    return [[media, at, protocol, ...mine, ...formats.filter((f) => !mine.includes(f))].join(' '), ...rest].join('\r\n');
  };
  const elsewhere = (sdp) => (port ? sdp.replace(/^(a=candidate:\S+ \d+ udp \d+ )\S+ \d+/gmi, `$1127.0.0.1 ${port}`) : sdp);
  const { setRemoteDescription } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.setRemoteDescription = function (description) {
    const sdp = elsewhere(description.sdp.split(/(?=^m=)/m).map(preferred).join(''));
    return setRemoteDescription.call(this, { type: description.type, sdp });
  };

  // The page signals a simulcast in Chromium alone.
  if (streams === 1) Object.defineProperty(navigator, 'userAgent', { value: navigator.userAgent.replace('Chrome/', 'Chromium ') });

  const { setParameters } = RTCRtpSender.prototype;
  RTCRtpSender.prototype.setParameters = function (parameters) {
    if (this.track?.kind === 'video') {
      const { encodings } = parameters;
      parameters.degradationPreference = 'maintain-resolution';
      if (mode) for (const e of encodings) e.scalabilityMode = mode;
      if (svc) {
        const active = encodings.some((e) => e.active);
        encodings.forEach((e, i) => Object.assign(e, { active: active && i === 0 }));
        Object.assign(encodings[0], { scaleResolutionDownBy: 1, maxBitrate: 2_500_000 });
      }
    }
    return setParameters.call(this, parameters);
  };
  // After the page has said what it knows of layers.
  window.asToday = async () => {
    for (const pc of window.rig.pcs) {
      for (const sender of pc.getSenders()) if (sender.track?.kind === 'video') await sender.setParameters(sender.getParameters());
    }
  };

  // As many pictures as a machine that encodes and decodes for everybody can make.
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (wish) => ask({ ...wish, video: wish?.video && { ...wish.video, frameRate: { ideal: fps, max: fps } } });
})();
