// What a check of devices and network found in, lines for people out: what is well, what is not, and what to do next. Pure.

// Beyond these, people notice: lost packets as a share, milliseconds there and back.
const FAIR = { loss: 0.01, rtt: 150 };
const POOR = { loss: 0.05, rtt: 300 };

// One word for the connection; `ice` as the browser says it.
export function quality({ ice, lossUp = 0, lossDown = 0, rtt = null }) {
  if (ice !== 'connected' && ice !== 'completed') return 'poor';
  const beyond = ({ loss, rtt: most }) => Math.max(lossUp, lossDown) > loss || (rtt ?? 0) > most;
  return beyond(POOR) ? 'poor' : beyond(FAIR) ? 'fair' : 'good';
}

const DEVICE_ERRORS = ['NotAllowedError', 'NotFoundError', 'NotReadableError'];

function device(kind, { error, heard, secure }) {
  if (!secure) return null;
  if (error) return { level: 'poor', say: `${kind}Failed`, next: DEVICE_ERRORS.includes(error) ? `next${error}` : 'nextDevice' };
  if (kind === 'mic' && heard === false) return { level: 'fair', say: 'micSilent', next: 'nextMicSilent' };
  return { level: 'good', say: `${kind}Works` };
}

function server({ server: answer, status }) {
  if (answer === 'reached') return { level: 'good', say: 'serverReached' };
  return { level: 'poor', say: status === 503 ? 'serverBusy' : 'serverUnreached', next: status === 503 ? 'nextServerBusy' : 'nextServer' };
}

function media({ server: answer, ice, path }) {
  if (answer !== 'reached') return null;
  if (ice !== 'connected' && ice !== 'completed') return { level: 'poor', say: 'udpBlocked', next: 'nextUdp' };
  if (path?.type === 'relay' || path?.protocol === 'tcp') return { level: 'fair', say: 'throughRelay', next: 'nextRelay' };
  return { level: 'good', say: 'mediaDirect' };
}

function back(kind, { ice, sent, back: seen }) {
  if (!sent[kind] || (ice !== 'connected' && ice !== 'completed')) return null;
  return seen[kind] ? { level: 'good', say: `${kind}Back` } : { level: 'poor', say: `${kind}Lost`, next: 'nextLost' };
}

function speed(facts) {
  if (facts.ice !== 'connected' && facts.ice !== 'completed') return null;
  const level = quality(facts);
  return { level, say: `network_${level}`, next: level === 'good' ? undefined : 'nextNetwork' };
}

// Lines in the order in which things have to work; what could not be tried is left out.
export function verdict(facts) {
  return [
    facts.secure ? null : { level: 'poor', say: 'needsHttps', next: 'nextHttps' },
    device('cam', { ...facts, error: facts.errors.video }),
    device('mic', { ...facts, error: facts.errors.audio }),
    server(facts),
    media(facts),
    back('video', facts),
    back('audio', facts),
    speed(facts),
  ].filter(Boolean);
}
