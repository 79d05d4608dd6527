// A meeting with oneself through the bridge: configuration and own devices in, facts and a short recording of what came back out.
import { LocalMedia } from './media.js';
import { Meeting } from './meeting.js';
import { hex } from './random.js';

// Long enough for a router that lets nothing through to be told from a slow one.
const CONNECT_MS = 20000;
const MEASURE_MS = 5000;
const LOOK_MS = 250;

const pause = (ms) => new Promise((r) => { setTimeout(r, ms); });
const connected = (ice) => ice === 'connected' || ice === 'completed';

// `heard()`: whether the microphone has heard anything. `progress` hears 'server', 'media' and 'back' as they begin.
export async function check({ config, media, heard, progress = () => {} }) {
  const facts = {
    secure: globalThis.isSecureContext !== false, errors: { ...media.errors }, heard: undefined, server: 'unreached', status: null, ice: 'new',
    path: null, rtt: null, lossUp: 0, lossDown: 0, sent: { audio: !!media.track('audio'), video: !!media.track('video') }, back: { audio: false, video: false }, recording: null,
  };
  // Nobody guesses it, and it is gone afterwards.
  const room = `check-${hex(16)}`;
  const [speaker, listener] = [new Meeting(config), new Meeting(config)];
  try {
    progress('server');
    await speaker.join(room, { media: media.clone() });
    await listener.join(room, { devices: [] });
    facts.server = 'reached';
    progress('media');
    for (const end = performance.now() + CONNECT_MS; performance.now() < end; await pause(LOOK_MS)) {
      if (await look(facts, speaker, listener)) break;
    }
    if (connected(facts.ice)) {
      progress('back');
      const record = recorder(listener);
      const end = performance.now() + MEASURE_MS;
      while (performance.now() < end) { await pause(LOOK_MS); await look(facts, speaker, listener); }
      facts.recording = await record();
      if (facts.sent.audio) facts.heard = heard();
    }
  } catch (e) {
    facts.status = Number(/\((\d{3})\)/.exec(e.message)?.[1]) || null;
  } finally {
    await Promise.allSettled([listener.leave(), speaker.leave()]);
  }
  return facts;
}

// Whether all that was sent has come back.
async function look(facts, speaker, listener) {
  const [up, down] = [await speaker.stats(), await listener.stats()];
  if (!up || !down) return false;
  Object.assign(facts, { ice: connected(down.ice) ? up.ice : down.ice, path: up.local, rtt: up.rtt, lossUp: up.lossUp, lossDown: down.lossDown });
  for (const s of down.received) {
    if (s.owner === speaker.id) facts.back[s.kind] ||= s.kind === 'video' ? s.frames > 0 : true;
  }
  return connected(facts.ice) && ['audio', 'video'].every((kind) => facts.back[kind] || !facts.sent[kind]);
}

// Records what the listener gets; gives a function that ends it. Played later, so that loudspeaker and microphone do not howl.
function recorder(listener) {
  const [from] = listener.participants;
  const tracks = [...(from?.audio ?? []), from?.camera].map((s) => s?.track).filter(Boolean);
  if (!tracks.length || !globalThis.MediaRecorder) return async () => null;
  const pieces = [];
  const stream = new MediaStream(tracks);
  // Browsers decode what comes from afar only for those who play it.
  const player = Object.assign(document.createElement('video'), { muted: true, playsInline: true, srcObject: stream });
  player.play().catch(() => {});
  try {
    const taking = new MediaRecorder(stream);
    taking.ondataavailable = (e) => pieces.push(e.data);
    taking.start();
    return () => new Promise((resolve) => {
      taking.onstop = () => { player.srcObject = null; resolve(new Blob(pieces, { type: taking.mimeType })); };
      taking.onerror = () => resolve(null);
      if (taking.state === 'inactive') resolve(pieces.length ? new Blob(pieces) : null); else taking.stop();
    });
  } catch {
    return async () => null;
  }
}
