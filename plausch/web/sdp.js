// Session descriptions as text: the bridge's side written from an offer, our side read and given simulcast. Pure, no browser needed.

// An offer (see jingle.js): { audio, video: { payloads, extensions, mixed }, transport, sctpPort }.
const NAMES = { audio: 'audio', video: 'video' };
// The codec we send first; the bridge rewrites its layers best.
const PREFERRED = ['VP8', 'VP9', 'H264', 'AV1'];

// Our picture of the bridge: what it offered, and one section per stream it sends to us or we send to it.
export class RemoteDescription {
  constructor(offer) {
    this.offer = offer;
    this.version = 1;
    this.sections = [
      { mid: '0', kind: 'audio', direction: 'recvonly' },
      { mid: '1', kind: 'video', direction: 'recvonly' },
    ];
    if (offer.sctpPort) this.sections.push({ mid: '2', kind: 'application' });
    this.next = 3;
  }

  // A section for something we will send (a second video) and gives its mid.
  addOurs(kind) { return this.#add({ kind, direction: 'recvonly' }); }

  // A section for one stream of the bridge.
  addTheirs(kind, { ssrc, rtx }) { return this.#add({ kind, direction: 'sendonly', ssrc, rtx }); }

  #add(section) {
    const mid = String(this.next++);
    this.sections.push({ mid, ...section });
    return mid;
  }

  text() {
    const lines = [
      'v=0', `o=- 1 ${this.version++} IN IP4 127.0.0.1`, 's=-', 't=0 0',
      `a=group:BUNDLE ${this.sections.map((s) => s.mid).join(' ')}`, 'a=extmap-allow-mixed', 'a=msid-semantic: WMS *',
    ];
    for (const s of this.sections) lines.push(...(s.kind === 'application' ? this.#application(s) : this.#media(s)));
    return `${lines.join('\r\n')}\r\n`;
  }

  #transport(mid) {
    const { ufrag, pwd, fingerprint, candidates } = this.offer.transport;
    return [
      'c=IN IP4 0.0.0.0', `a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`, `a=fingerprint:${fingerprint.hash} ${fingerprint.value}`,
      `a=setup:${fingerprint.setup}`, `a=mid:${mid}`, ...(mid === '0' ? candidates.map(candidateLine) : []),
    ];
  }

  #application(s) {
    return ['m=application 9 UDP/DTLS/SCTP webrtc-datachannel', ...this.#transport(s.mid), `a=sctp-port:${this.offer.sctpPort}`, 'a=max-message-size:262144'];
  }

  #media(s) {
    const { payloads, extensions, mixed } = this.offer[s.kind];
    const ordered = orderPayloads(payloads);
    const lines = [`m=${NAMES[s.kind]} 9 UDP/TLS/RTP/SAVPF ${ordered.map((p) => p.id).join(' ')}`, ...this.#transport(s.mid)];
    for (const e of extensions) lines.push(`a=extmap:${e.id} ${e.uri}`);
    if (mixed) lines.push('a=extmap-allow-mixed');
    lines.push(`a=${s.direction}`, 'a=rtcp-mux');
    for (const p of ordered) lines.push(...payloadLines(p));
    if (s.ssrc) {
      const stream = `remote-${s.kind}-${s.mid}`;
      lines.push(`a=msid:${stream} ${stream}-track`);
      if (s.rtx) lines.push(`a=ssrc-group:FID ${s.ssrc} ${s.rtx}`);
      for (const ssrc of [s.ssrc, s.rtx]) {
        if (ssrc) lines.push(`a=ssrc:${ssrc} cname:${stream}`, `a=ssrc:${ssrc} msid:${stream} ${stream}-track`);
      }
    }
    return lines;
  }
}

// Preferred codecs first, each followed by its retransmission format.
export function orderPayloads(payloads) {
  const rank = (p) => {
    const i = PREFERRED.indexOf(p.name.toUpperCase());
    return i < 0 ? PREFERRED.length : i;
  };
  const apt = (p) => p.parameters.find(([n]) => n === 'apt')?.[1];
  const primary = payloads.filter((p) => !apt(p));
  const sorted = primary.map((p, i) => [rank(p), i, p]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((x) => x[2]);
  const out = sorted.flatMap((p) => [p, ...payloads.filter((r) => apt(r) === String(p.id))]);
  return [...out, ...payloads.filter((p) => !out.includes(p))];
}

function payloadLines(p) {
  const out = [`a=rtpmap:${p.id} ${p.name}/${p.clockrate}${p.channels > 1 ? `/${p.channels}` : ''}`];
  if (p.parameters.length) out.push(`a=fmtp:${p.id} ${p.parameters.map(([n, v]) => (n ? `${n}=${v}` : v)).join(';')}`);
  for (const f of p.feedback) out.push(`a=rtcp-fb:${p.id} ${f.type}${f.subtype ? ` ${f.subtype}` : ''}`);
  return out;
}

function candidateLine(c) {
  const related = c.relAddr ? ` raddr ${c.relAddr} rport ${c.relPort}` : '';
  const tcp = c.protocol === 'tcp' && c.tcptype ? ` tcptype ${c.tcptype}` : '';
  return `a=candidate:${c.foundation} ${c.component} ${c.protocol} ${c.priority} ${c.ip} ${c.port} typ ${c.type}${related}${tcp} generation ${c.generation}`;
}

// A description cut into its head and its media sections, each an array of lines.
export function sections(sdp) {
  const all = [[]];
  for (const line of sdp.split(/\r?\n/)) {
    if (line.startsWith('m=')) all.push([]);
    if (line) all.at(-1).push(line);
  }
  return { head: all[0], media: all.slice(1) };
}

const value = (lines, prefix) => lines.find((l) => l.startsWith(prefix))?.slice(prefix.length);
const values = (lines, prefix) => lines.filter((l) => l.startsWith(prefix)).map((l) => l.slice(prefix.length));

// Our own description as data: transport, and per section its formats, extensions and streams.
export function readLocal(sdp) {
  const { head, media } = sections(sdp);
  const first = media[0] ?? [];
  const [hash, print] = (value(first, 'a=fingerprint:') ?? value(head, 'a=fingerprint:') ?? ' ').split(' ');
  return {
    ufrag: value(first, 'a=ice-ufrag:'),
    pwd: value(first, 'a=ice-pwd:'),
    fingerprint: { hash, value: print, setup: value(first, 'a=setup:') },
    media: media.map((lines) => readSection(lines)),
  };
}

function readSection(lines) {
  const [kind, , , ...formats] = lines[0].slice(2).split(' ');
  const sources = new Map();
  for (const line of values(lines, 'a=ssrc:')) {
    const [ssrc, ...rest] = line.split(' ');
    const [key, ...v] = rest.join(' ').split(':');
    const s = sources.get(ssrc) ?? { ssrc };
    s[key] = v.join(':');
    sources.set(ssrc, s);
  }
  return {
    kind,
    mid: value(lines, 'a=mid:'),
    sends: lines.includes('a=sendonly') || lines.includes('a=sendrecv'),
    payloads: kind === 'application' ? [] : formats.map((id) => readPayload(lines, id)).filter((p) => p),
    extensions: values(lines, 'a=extmap:').map((l) => l.split(' ')).map(([id, uri]) => ({ id: id.split('/')[0], uri })),
    mixed: lines.includes('a=extmap-allow-mixed'),
    sources: [...sources.values()],
    groups: values(lines, 'a=ssrc-group:').map((l) => l.split(' ')).map(([semantics, ...ssrcs]) => ({ semantics, ssrcs })),
    sctpPort: value(lines, 'a=sctp-port:'),
  };
}

function readPayload(lines, id) {
  const map = value(lines, `a=rtpmap:${id} `);
  if (!map) return null;
  const [name, clockrate, channels] = map.split('/');
  const fmtp = value(lines, `a=fmtp:${id} `) ?? '';
  const parameters = fmtp.split(';').map((p) => p.trim()).filter((p) => p).map((p) => {
    const i = p.indexOf('=');
    return i < 0 ? ['', p] : [p.slice(0, i), p.slice(i + 1)];
  });
  const feedback = values(lines, `a=rtcp-fb:${id} `).map((l) => {
    const [type, ...sub] = l.split(' ');
    return { type, subtype: sub.join(' ') };
  });
  return { id, name, clockrate, channels: channels ?? '1', parameters, feedback };
}

// Gives the video section `mid` three encodings by SSRC (the form the focus and all Jitsi clients know), lowest first.
// `streams` keeps the numbers between calls, so that every later description repeats them; `random` gives new ones.
export function withSimulcast(sdp, mid, streams, random) {
  const { head, media } = sections(sdp);
  const out = media.map((lines) => {
    if (value(lines, 'a=mid:') !== mid || !lines.includes('a=sendonly')) return lines;
    if (lines.some((l) => l.startsWith('a=ssrc-group:SIM'))) return lines;
    const pair = value(lines, 'a=ssrc-group:FID ')?.split(' ');
    const primary = pair?.[0] ?? value(lines, 'a=ssrc:')?.split(' ')[0];
    if (!primary) return lines;
    if (streams.primary !== primary) {
      Object.assign(streams, { primary, layers: [primary, random(), random()], rtx: pair ? [pair[1], random(), random()] : [] });
    }
    const like = (from, to) => values(lines, `a=ssrc:${from} `).map((rest) => `a=ssrc:${to} ${rest}`);
    const own = lines.filter((l) => !l.startsWith('a=ssrc:') && !l.startsWith('a=ssrc-group:'));
    own.push(`a=ssrc-group:SIM ${streams.layers.join(' ')}`);
    streams.rtx.forEach((r, i) => own.push(`a=ssrc-group:FID ${streams.layers[i]} ${r}`));
    streams.layers.forEach((ssrc, i) => {
      own.push(...like(primary, ssrc));
      if (streams.rtx[i]) own.push(...like(primary, streams.rtx[i]));
    });
    return own;
  });
  return `${[...head, ...out.flat()].join('\r\n')}\r\n`;
}

// Which of `count` encodings (lowest first, each twice the height of the one before) may be sent when nobody wants
// more than `maxHeight` lines of a picture with `height` lines.
export function allowedEncodings(count, height, maxHeight) {
  if (maxHeight < 0) return Array(count).fill(true);
  if (maxHeight === 0) return Array(count).fill(false);
  const lines = (i) => height / 2 ** (count - 1 - i);
  return Array.from({ length: count }, (_, i) => i === 0 || lines(i) <= maxHeight * 1.05);
}
