// Music as a file for Chromium's fake microphone, and how far a recording of it is from what was played: a loop in, decibels out.

export const RATE = 48000;
const LOOP_SECONDS = 6;
const FRAME = 2048;
const BANDS = 40;
const [LOWEST, HIGHEST] = [60, 15000];
// Frames of the loop are this close, those of a recording further apart.
const [FINE, HOP] = [120, 480];
// What is this much quieter than the loudest band of the loop nobody hears.
const FLOOR_DB = 60;

// Piano-like: struck strings, each with partials that are a little sharp and die away the faster the higher they are; the left hand on the
// left, the right hand on the right. It goes on seamlessly where it ends.
export function piano() {
  const length = RATE * LOOP_SECONDS;
  const [left, right] = [new Float64Array(length), new Float64Array(length)];
  const strike = (at, key, loud, pan) => {
    const pitch = 440 * 2 ** ((key - 69) / 12);
    for (let n = 1; n <= 12; n++) {
      const f = n * pitch * Math.sqrt(1 + 0.0004 * n * n);
      if (f > 18000) break;
      const [level, decay] = [loud / n ** 1.2, 0.9 / n ** 0.6];
      for (let i = 0; i < length; i++) {
        const t = i / RATE;
        const v = level * Math.min(1, t / 0.004) * Math.exp(-t / decay) * Math.sin(2 * Math.PI * f * t);
        const k = (Math.floor(at * RATE) + i) % length;
        left[k] += v * (1 - pan);
        right[k] += v * pan;
      }
    }
  };
  [45, 52, 50, 57, 48, 55].forEach((key, n) => strike(n, key, 0.25, 0.15));
  [69, 72, 76, 74, 71, 81, 79, 76, 72, 84, 83, 77].forEach((key, n) => strike(n / 2, key, 0.25, 0.85));
  return [left, right];
}

export function wav(channels) {
  const frames = channels[0].length;
  const out = Buffer.alloc(44 + frames * 4);
  out.write('RIFF', 0); out.writeUInt32LE(36 + frames * 4, 4); out.write('WAVEfmt ', 8);
  out.writeUInt32LE(16, 16); out.writeUInt16LE(1, 20); out.writeUInt16LE(2, 22); out.writeUInt32LE(RATE, 24);
  out.writeUInt32LE(RATE * 4, 28); out.writeUInt16LE(4, 32); out.writeUInt16LE(16, 34); out.write('data', 36); out.writeUInt32LE(frames * 4, 40);
  for (let i = 0; i < frames; i++) for (let c = 0; c < 2; c++) out.writeInt16LE(Math.round(Math.max(-1, Math.min(1, channels[c][i])) * 32767), 44 + i * 4 + c * 2);
  return out;
}

// A recording of both channels as the pages give it.
export function recording(base64) {
  const bytes = Buffer.from(base64, 'base64');
  const all = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  return [0, 1].map((c) => Float64Array.from({ length: all.length / 2 }, (_, i) => all[2 * i + c] / 32768));
}

function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) { [re[i], re[j]] = [re[j], re[i]]; [im[i], im[j]] = [im[j], im[i]]; }
  }
  for (let len = 2; len <= n; len <<= 1) {
    const [wr, wi] = [Math.cos(2 * Math.PI / len), -Math.sin(2 * Math.PI / len)];
    for (let i = 0; i < n; i += len) {
      let [cr, ci] = [1, 0];
      for (let k = i; k < i + len / 2; k++) {
        const m = k + len / 2;
        const [xr, xi] = [re[m] * cr - im[m] * ci, re[m] * ci + im[m] * cr];
        [re[m], im[m], re[k], im[k]] = [re[k] - xr, im[k] - xi, re[k] + xr, im[k] + xi];
        [cr, ci] = [cr * wr - ci * wi, cr * wi + ci * wr];
      }
    }
  }
}

// Loudness of each band in each frame, in decibels. `around`: the samples go on at their beginning.
function spectrum(samples, hop, around) {
  const window = Float64Array.from({ length: FRAME }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / FRAME));
  const edges = Array.from({ length: BANDS + 1 }, (_, b) => Math.round(LOWEST * (HIGHEST / LOWEST) ** (b / BANDS) * FRAME / RATE));
  const out = [];
  for (let at = 0; around ? at < samples.length : at + FRAME <= samples.length; at += hop) {
    const re = Float64Array.from({ length: FRAME }, (_, i) => samples[(at + i) % samples.length] * window[i]);
    const im = new Float64Array(FRAME);
    fft(re, im);
    const bands = new Float64Array(BANDS);
    for (let b = 0; b < BANDS; b++) {
      let power = 1e-9;
      for (let k = edges[b]; k < Math.max(edges[b] + 1, edges[b + 1]); k++) power += re[k] * re[k] + im[k] * im[k];
      bands[b] = 10 * Math.log10(power);
    }
    out.push(bands);
  }
  return out;
}

// How far two frames are apart in what can be heard, both at `gain`.
function apart(one, other, gain, floor) {
  let sum = 0;
  for (let b = 0; b < BANDS; b++) sum += Math.abs(Math.max(one[b], floor) - Math.max(other[b] + gain, floor));
  return sum / BANDS;
}

// Mean distance of a recording from the loop, wherever it began and however loud it is. Channels are compared as they are.
export class Loop {
  constructor(channels) {
    this.spectra = channels.map((c) => spectrum(c, FINE, true));
    this.floor = Math.max(...this.spectra.flat().map((f) => Math.max(...f))) - FLOOR_DB;
  }

  distance(channels) {
    const heard = channels.map((c) => spectrum(c, HOP, false));
    const mean = (frames) => frames.flat().reduce((sum, f) => sum + Math.max(...f), 0) / frames.flat().length;
    const gain = mean(this.spectra) - mean(heard);
    const [fine, step] = [this.spectra[0].length, HOP / FINE];
    const at = (offset, every) => {
      let [sum, n] = [0, 0];
      for (const c of [0, 1]) {
        for (let i = 0; i < heard[c].length; i += every, n++) sum += apart(this.spectra[c][(offset + i * step) % fine], heard[c][i], gain, this.floor);
      }
      return sum / n;
    };
    let best = [Infinity, 0];
    for (let offset = 0; offset < fine; offset++) { const d = at(offset, 12); if (d < best[0]) best = [d, offset]; }
    return at(best[1], 1);
  }
}
