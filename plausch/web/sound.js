// A microphone in, how loud it is out; and two tones out of the loudspeaker that was chosen.

const LOOK_MS = 100;
// What somebody says quietly; noise of a room stays below.
const HEARD = 0.04;

// Watches one microphone at a time.
export class Ear {
  constructor(show) {
    this.show = show;
    this.heard = false;
    this.context = null;
  }

  listen(track) {
    this.stop();
    this.show(0);
    if (!track) return;
    const context = this.context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const look = () => {
      if (this.context !== context) return;
      analyser.getFloatTimeDomainData(samples);
      const level = Math.min(1, Math.sqrt(samples.reduce((sum, s) => sum + s * s, 0) / samples.length) * 4);
      this.show(level);
      this.heard ||= level > HEARD;
      setTimeout(look, LOOK_MS);
    };
    look();
  }

  stop() {
    this.context?.close().catch(() => {});
    this.context = null;
  }
}

// `speaker`: the id of a loudspeaker; '' is the browser's choice.
export async function playTones(speaker) {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  const player = Object.assign(new Audio(), { srcObject: out.stream });
  if (speaker) await player.setSinkId?.(speaker).catch(() => {});
  for (const [tone, at] of [[523, 0], [659, 0.4]]) {
    const [oscillator, gain] = [context.createOscillator(), context.createGain()];
    oscillator.frequency.value = tone;
    gain.gain.setValueAtTime(0.2, context.currentTime + at);
    gain.gain.exponentialRampToValueAtTime(0.001, context.currentTime + at + 0.5);
    oscillator.connect(gain).connect(out);
    oscillator.start(context.currentTime + at);
    oscillator.stop(context.currentTime + at + 0.5);
  }
  await player.play().catch(() => {});
  setTimeout(() => { player.pause(); context.close().catch(() => {}); }, 1200);
}
