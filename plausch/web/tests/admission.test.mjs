// What a room answers in; what the page takes it for, and how waiting in a lobby ends, out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Knock, TurnedAway, askedBy } from '../admission.js';

// As much of an element as the page's readers look at.
const node = (localName, namespaceURI, attributes = {}, ...kids) => ({
  localName, namespaceURI, children: kids.filter((k) => typeof k !== 'string'),
  textContent: kids.map((k) => (typeof k === 'string' ? k : k.textContent)).join(''), getAttribute: (name) => attributes[name] ?? null,
});
const CLIENT = 'jabber:client';
const JITMEET = 'http://jitsi.org/jitmeet';
const MUC_USER = 'http://jabber.org/protocol/muc#user';
const refused = (condition, ...details) => ({ condition, stanza: node('presence', CLIENT, {}, node('error', CLIENT, {}, ...details)) });

test('a refusal says what is missing', () => {
  assert.deepEqual(askedBy(refused('not-authorized')), { what: 'password' });
  assert.deepEqual(askedBy(refused('not-acceptable', node('displayname-required', JITMEET, { lobby: 'true' }))), { what: 'name' });
  const lobby = node('lobbyroom', JITMEET, {}, 'r@lobby.meet');
  assert.deepEqual(askedBy(refused('registration-required', lobby)), { what: 'wait', lobby: 'r@lobby.meet', forHost: false });
  assert.deepEqual(askedBy(refused('registration-required', lobby, node('waiting-for-host', JITMEET))), { what: 'wait', lobby: 'r@lobby.meet', forHost: true });
  assert.deepEqual(askedBy(refused('not-allowed')), { what: 'request' });
  for (const nothing of [refused('registration-required'), refused('conflict'), refused('service-unavailable'), new Error('no answer')]) assert.equal(askedBy(nothing), null);
});

function knocking() {
  const xmpp = { stanzaHandlers: [], sent: [], send(s) { this.sent.push(String(s)); } };
  const knock = new Knock({ xmpp, lobby: 'r@lobby.meet', room: 'r@muc.meet', nick: 'abc', name: 'Clara' });
  return { xmpp, knock, answer: knock.answer(), hears: (s) => xmpp.stanzaHandlers.forEach((handle) => handle(s)) };
}
const presence = (from, type, ...inX) => node('presence', CLIENT, { from, type }, node('x', MUC_USER, {}, ...inX));

test('an invitation by the meeting is the way in, and only one by the meeting', async () => {
  const { xmpp, knock, answer, hears } = knocking();
  assert.match(xmpp.sent[0], /to="r@lobby\.meet\/abc".*Clara/);
  hears(presence('r@lobby.meet/abc'));
  const invite = (from) => node('message', CLIENT, { from }, node('x', MUC_USER, {}, node('invite', MUC_USER), node('password', MUC_USER, {}, 'geheim')));
  hears(invite('other@muc.meet'));
  hears(presence('r@lobby.meet/moderator', 'unavailable'));
  hears(invite('r@muc.meet'));
  assert.equal(await answer, 'geheim');
  knock.leave();
  assert.match(xmpp.sent.at(-1), /type="unavailable"/);
  assert.deepEqual([xmpp.sent.length, xmpp.stanzaHandlers.length], [2, 0]);
});

test('who is removed from the lobby is turned away; a lobby that closes leads in, or ends', async () => {
  const end = async (...inX) => {
    const { answer, hears } = knocking();
    hears(presence('r@lobby.meet/abc'));
    hears(presence('r@lobby.meet/abc', 'unavailable', ...inX));
    return answer.then((password) => ['in', password], (e) => [e instanceof TurnedAway && e.why]);
  };
  assert.deepEqual(await end(node('status', MUC_USER, { code: '307' })), ['denied']);
  assert.deepEqual(await end(node('destroy', MUC_USER, { jid: 'r@muc.meet' })), ['in', null]);
  assert.deepEqual(await end(node('destroy', MUC_USER)), ['over']);
});
