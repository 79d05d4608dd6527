// What we tell a room about ourselves and read about others: features, sources, names.
import { attr, child, children, el, text } from './xml.js';

export const FEATURES = [
  'urn:xmpp:jingle:1', 'urn:xmpp:jingle:apps:rtp:1', 'urn:xmpp:jingle:transports:ice-udp:1', 'urn:xmpp:jingle:apps:dtls:0',
  'urn:xmpp:jingle:transports:dtls-sctp:1', 'urn:xmpp:jingle:apps:rtp:audio', 'urn:xmpp:jingle:apps:rtp:video',
  'http://jitsi.org/json-encoded-sources', 'urn:ietf:rfc:4588', 'http://jitsi.org/tcc', 'http://jitsi.org/source-name',
  'http://jitsi.org/receive-multiple-video-streams', 'http://jitsi.org/ssrc-rewriting-1', 'http://jitsi.org/visitors-1',
  'http://jitsi.org/start-muted-room-metadata', 'http://jabber.org/protocol/caps',
].sort();

const CAPS = 'http://jabber.org/protocol/caps';
const MUC_USER = 'http://jabber.org/protocol/muc#user';
const NICK = 'http://jabber.org/protocol/nick';
const NODE = 'urn:plausch:test-call';

// XEP-0115 §5.1 of these features. Written down: browsers compute digests on pages with https only.
export const CAPS_VERSION = '7jz8HO7kxmZeN9XXjcpkMDuPDjk=';

// The children of our presence. Clients repeat all of them in every update.
export function presenceContent({ name, ver, sources, codecs, statsId, more = null }) {
  return [
    el('stats-id', {}, statsId),
    el('c', { xmlns: CAPS, hash: 'sha-1', node: NODE, ver }),
    el('SourceInfo', {}, JSON.stringify(sources)),
    el('jitsi_participant_codecList', {}, codecs.join(',')),
    name ? el('nick', { xmlns: NICK }, name) : null,
    more,
  ];
}

export function discoInfo(query) {
  return el('query', { xmlns: 'http://jabber.org/protocol/disco#info', node: attr(query, 'node') ?? undefined }, FEATURES.map((f) => el('feature', { var: f })));
}

// A presence of somebody in the room as plain data.
export function readPresence(presence) {
  const user = child(presence, 'x', MUC_USER);
  const item = child(user, 'item');
  const destroy = child(user, 'destroy');
  return {
    nick: (attr(presence, 'from') ?? '').split('/').slice(1).join('/'),
    unavailable: attr(presence, 'type') === 'unavailable',
    codes: children(user, 'status').map((s) => attr(s, 'code')),
    jid: attr(item, 'jid'),
    role: attr(item, 'role'),
    affiliation: attr(item, 'affiliation'),
    name: text(presence, 'nick', NICK).slice(0, 50),
    sources: readSourceInfo(text(presence, 'SourceInfo')),
    reason: text(child(item, 'reason')) || text(child(destroy, 'reason')),
    actor: attr(child(item, 'actor'), 'nick'),
    destroyed: destroy && { next: attr(destroy, 'jid') },
    bridgeMissing: !!child(presence, 'bridgeNotAvailable'),
    // How many watch, as the focus tells.
    watchers: Number(attr(children(child(presence, 'conference-properties'), 'property').find((p) => attr(p, 'key') === 'visitor-count'), 'value') ?? 0) || 0,
  };
}

export function readSourceInfo(json) {
  try {
    const map = JSON.parse(json || '{}');
    return map && typeof map === 'object' ? map : {};
  } catch {
    return {};
  }
}
