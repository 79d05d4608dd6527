// Jingle with the focus (XEP-0166 and Jitsi's additions): an offer's XML to data, our answer's data to XML.
import { attr, child, children, el, text } from './xml.js';

const JINGLE = 'urn:xmpp:jingle:1';
const RTP = 'urn:xmpp:jingle:apps:rtp:1';
const RTCP_FB = 'urn:xmpp:jingle:apps:rtp:rtcp-fb:0';
const HDREXT = 'urn:xmpp:jingle:apps:rtp:rtp-hdrext:0';
const SSMA = 'urn:xmpp:jingle:apps:rtp:ssma:0';
const ICE = 'urn:xmpp:jingle:transports:ice-udp:1';
const DTLS = 'urn:xmpp:jingle:apps:dtls:0';
const SCTP = 'urn:xmpp:jingle:transports:dtls-sctp:1';
const GROUPING = 'urn:xmpp:jingle:apps:grouping:0';
const FOCUS = 'http://jitsi.org/protocol/focus';
const COLIBRI = 'http://jitsi.org/protocol/colibri';

// A session-initiate as data; throws when something we need is missing.
export function readOffer(jingle) {
  const contents = new Map(children(jingle, 'content').map((c) => [attr(c, 'name'), c]));
  const transport = child(contents.get('audio') ?? contents.get('video'), 'transport', ICE);
  const fingerprint = child(transport, 'fingerprint', DTLS);
  if (!transport || !fingerprint) throw new Error('offer without transport');
  const sctpmap = child(child(contents.get('data'), 'transport'), 'sctpmap', SCTP);
  return {
    sid: attr(jingle, 'sid'),
    initiator: attr(jingle, 'initiator'),
    bridgeSession: attr(child(jingle, 'bridge-session', FOCUS), 'id'),
    region: attr(child(jingle, 'bridge-session', FOCUS), 'region'),
    audio: readMedia(contents.get('audio')),
    video: readMedia(contents.get('video')),
    sctpPort: sctpmap ? Number(attr(sctpmap, 'number')) : null,
    webSockets: [...contents.values()].flatMap((c) => children(child(c, 'transport'), 'web-socket', COLIBRI)).map((w) => attr(w, 'url')),
    transport: {
      ufrag: attr(transport, 'ufrag'),
      pwd: attr(transport, 'pwd'),
      fingerprint: { hash: attr(fingerprint, 'hash'), setup: attr(fingerprint, 'setup') ?? 'actpass', value: fingerprint.textContent.trim() },
      candidates: children(transport, 'candidate').map(readCandidate),
    },
  };
}

// The bridge's new credentials for an ICE restart within the session; null when it is about something else.
export function readRestart(jingle) {
  const transport = child(children(jingle, 'content')[0], 'transport', ICE);
  const generation = attr(transport, 'ice-generation');
  if (!generation) return null;
  return { generation, ufrag: attr(transport, 'ufrag'), pwd: attr(transport, 'pwd'), candidates: children(transport, 'candidate').map(readCandidate) };
}

function readMedia(content) {
  const description = child(content, 'description', RTP);
  if (!description) throw new Error('offer without media');
  return {
    payloads: children(description, 'payload-type').map((p) => ({
      id: attr(p, 'id'), name: attr(p, 'name'), clockrate: attr(p, 'clockrate'), channels: Number(attr(p, 'channels') ?? 1),
      parameters: children(p, 'parameter').map((x) => [attr(x, 'name') ?? '', attr(x, 'value') ?? '']),
      feedback: children(p, 'rtcp-fb', RTCP_FB).map((f) => ({ type: attr(f, 'type'), subtype: attr(f, 'subtype') ?? '' })),
    })),
    extensions: children(description, 'rtp-hdrext', HDREXT).map((e) => ({ id: attr(e, 'id'), uri: attr(e, 'uri') })),
    mixed: !!child(description, 'extmap-allow-mixed'),
  };
}

function readCandidate(c) {
  return {
    foundation: attr(c, 'foundation'), component: attr(c, 'component') ?? '1', protocol: (attr(c, 'protocol') ?? 'udp').toLowerCase(),
    priority: attr(c, 'priority'), ip: attr(c, 'ip'), port: attr(c, 'port'), type: attr(c, 'type'), generation: attr(c, 'generation') ?? '0',
    relAddr: attr(c, 'rel-addr'), relPort: attr(c, 'rel-port'), tcptype: attr(c, 'tcptype'),
  };
}

const jingle = (action, offer, extra, ...kids) => el('jingle', { xmlns: JINGLE, action, sid: offer.sid, initiator: offer.initiator, ...extra }, kids);

// `local` comes from sdp.js readLocal, `names` maps a section's mid to { name, videoType, msid }.
export function acceptXml(offer, local, names, responder) {
  const contents = local.media.filter((m) => m.mid in names || m.kind === 'application').map((m) => {
    const isData = m.kind === 'application';
    return el('content', { creator: 'responder', name: isData ? 'data' : m.kind, senders: 'both' },
      isData ? null : descriptionXml(m, names[m.mid]), transportXml(local, isData ? m.sctpPort ?? '5000' : null));
  });
  const group = el('group', { xmlns: GROUPING, semantics: 'BUNDLE' }, ['audio', 'video', 'data'].map((name) => el('content', { name })));
  return jingle('session-accept', offer, { responder }, group, contents);
}

function descriptionXml(m, named) {
  return el('description', { xmlns: RTP, media: m.kind },
    m.payloads.map((p) => el('payload-type', { id: p.id, name: p.name, clockrate: p.clockrate, channels: p.channels === '1' ? undefined : p.channels },
      p.parameters.map(([name, value]) => el('parameter', { name: name || undefined, value })),
      p.feedback.map((f) => el('rtcp-fb', { xmlns: RTCP_FB, type: f.type, subtype: f.subtype || undefined })))),
    m.extensions.map((e) => el('rtp-hdrext', { xmlns: HDREXT, id: e.id, uri: e.uri })),
    m.mixed ? el('extmap-allow-mixed', { xmlns: HDREXT }) : null,
    sourcesXml(m, named),
    el('rtcp-mux', {}));
}

function sourcesXml(m, { name, videoType, msid }) {
  return [
    m.sources.map((s) => el('source', { xmlns: SSMA, ssrc: s.ssrc, name, videoType: m.kind === 'video' ? videoType : undefined },
      el('parameter', { name: 'msid', value: msid }))),
    m.groups.map((g) => el('ssrc-group', { xmlns: SSMA, semantics: g.semantics }, g.ssrcs.map((ssrc) => el('source', { xmlns: SSMA, ssrc })))),
  ];
}

function transportXml(local, sctpPort, generation) {
  return el('transport', { xmlns: ICE, ufrag: local.ufrag, pwd: local.pwd, 'ice-generation': generation },
    el('fingerprint', { xmlns: DTLS, hash: local.fingerprint.hash, setup: local.fingerprint.setup }, local.fingerprint.value),
    sctpPort ? el('sctpmap', { xmlns: SCTP, number: sctpPort, protocol: 'webrtc-datachannel', streams: '0' }) : null);
}

// `section` is one of readLocal's.
export function sourceAddXml(offer, section, named) {
  return jingle('source-add', offer, {}, el('content', { creator: 'responder', name: section.kind, senders: 'both' },
    el('description', { xmlns: RTP, media: section.kind }, sourcesXml(section, named))));
}

// Asks for the bridge's new credentials, to look for another way while the old one is used.
export function restartIceXml(offer) {
  return jingle('session-info', offer, {}, el('bridge-session', { xmlns: FOCUS, id: offer.bridgeSession, 'ice-restart': 'true' }));
}

// Ours, in answer to those.
export function restartedXml(offer, local, generation) {
  return jingle('transport-info', offer, {}, el('content', { creator: 'responder', name: 'audio' }, transportXml(local, null, generation)));
}

export function terminateXml(offer, condition, message, restart) {
  return jingle('session-terminate', offer, {}, el('reason', {}, el(condition, {}), el('text', {}, message)),
    offer.bridgeSession ? el('bridge-session', { xmlns: FOCUS, id: offer.bridgeSession, restart: restart ? 'true' : undefined }) : null);
}

// Why the other side ended a session, in words for the log.
export function readReason(node) {
  const reason = child(node, 'reason');
  return [children(reason)[0]?.localName, text(reason, 'text')].filter(Boolean).join(': ');
}
