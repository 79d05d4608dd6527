// Watching a meeting: a place to watch and what the room says in; where the place is, the wish to take part and its answer out.
import { attr, child, el } from './xml.js';

const VISITORS = 'jitsi:visitors';
// Below this name clients look for places to watch, whatever the server's own is.
const PARENT = 'meet.jitsi';

// Where to go: who logs in, and in which domain the room is then.
export function gallery(hosts, vnode) {
  const domain = `${vnode}.${PARENT}`;
  return { domain, muc: hosts.muc.replace(hosts.domain, domain) };
}

// What a raised hand is in a presence.
export const raisedHand = (since) => (since ? el('jitsi_participant_raisedHand', {}, String(since)) : null);

// The answer to a raised hand as the room sends it; null when it is something else. `username`: by this name one is let in.
export function readAnswer(iq) {
  const visitors = iq.firstElementChild;
  if (visitors?.localName !== 'visitors' || visitors.namespaceURI !== VISITORS) return null;
  const answer = child(visitors, 'promotion-response');
  if (!answer) return null;
  return { allowed: attr(answer, 'allow') === 'true', username: attr(answer, 'username'), focusJid: attr(visitors, 'focusjid') };
}
