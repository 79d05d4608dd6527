// The browser's own statistics in, a network report out: how media travels, how well, and what of whom arrives.

const kbits = (bytes, ms) => (ms > 0 ? Math.round(bytes * 8 / ms) : 0);

// Rates need two readings; the last one is kept per session.
const before = new WeakMap();

export async function report(session) {
  const stats = [...(await session.pc.getStats()).values()];
  const byId = new Map(stats.map((s) => [s.id, s]));
  const now = performance.now();
  const last = before.get(session) ?? { at: now, bytes: new Map() };
  const current = { at: now, bytes: new Map() };
  const rate = (s, bytes) => {
    current.bytes.set(s.id, bytes);
    return kbits(bytes - (last.bytes.get(s.id) ?? bytes), now - last.at);
  };
  const transport = stats.find((s) => s.type === 'transport');
  const pair = byId.get(transport?.selectedCandidatePairId);
  const candidate = (id) => {
    const c = byId.get(id);
    return c ? { type: c.candidateType, protocol: c.relayProtocol ?? c.protocol, family: c.address?.includes(':') ? 'IPv6' : 'IPv4' } : null;
  };
  const codec = (s) => byId.get(s.codecId)?.mimeType?.split('/')[1] ?? '';
  const sources = new Map(session.sources().map((s) => [s.ssrc, s]));
  const out = {
    ice: session.pc.iceConnectionState,
    dtls: transport?.dtlsState ?? 'new',
    dtlsVersion: { FEFD: '1.2', FEFC: '1.3' }[transport?.tlsVersion] ?? transport?.tlsVersion ?? '',
    cipher: transport?.srtpCipher ?? '',
    local: candidate(pair?.localCandidateId),
    remote: candidate(pair?.remoteCandidateId),
    rtt: pair?.currentRoundTripTime === undefined ? null : Math.round(pair.currentRoundTripTime * 1000),
    estimateUp: pair?.availableOutgoingBitrate ? Math.round(pair.availableOutgoingBitrate / 1000) : null,
    up: transport ? rate({ id: 'up' }, transport.bytesSent) : 0,
    down: transport ? rate({ id: 'down' }, transport.bytesReceived) : 0,
    channel: session.channel.open,
    lossUp: 0,
    lossDown: 0,
    sent: [],
    received: [],
  };
  let lost = 0;
  let all = 0;
  for (const s of stats) {
    if (s.type === 'outbound-rtp' && s.packetsSent) {
      out.sent.push({ kind: s.kind, codec: codec(s), width: s.frameWidth, height: s.frameHeight, fps: s.framesPerSecond, kbits: rate(s, s.bytesSent), limited: s.qualityLimitationReason, ssrc: s.ssrc });
    } else if (s.type === 'remote-inbound-rtp') {
      out.lossUp = Math.max(out.lossUp, s.fractionLost ?? 0);
    } else if (s.type === 'inbound-rtp' && s.packetsReceived) {
      const source = sources.get(s.ssrc);
      lost += Math.max(0, s.packetsLost ?? 0);
      all += s.packetsReceived;
      out.received.push({
        kind: s.kind, owner: source?.owner, source: source?.source, codec: codec(s), width: s.frameWidth, height: s.frameHeight, fps: s.framesPerSecond,
        kbits: rate(s, s.bytesReceived), lost: s.packetsLost, jitter: Math.round((s.jitter ?? 0) * 1000), frames: s.framesDecoded, freezes: s.freezeCount,
      });
    }
  }
  out.lossDown = all ? lost / (lost + all) : 0;
  before.set(session, current);
  return out;
}
