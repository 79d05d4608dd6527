// What people are told about their devices and their network.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { texts } from '../i18n.js';
import { columns } from '../stage.js';
import { reportOf } from '../support.js';
import { quality, verdict } from '../verdict.js';

const WELL = {
  secure: true, errors: {}, heard: true, server: 'reached', status: null, ice: 'connected', path: { type: 'host', protocol: 'udp' }, rtt: 20,
  lossUp: 0, lossDown: 0, sent: { audio: true, video: true }, back: { audio: true, video: true },
};
const bad = (change) => verdict({ ...WELL, ...change }).filter((l) => l.level !== 'good').map((l) => [l.level, l.say, l.next]);

test('when all is well every line is good', () => {
  assert.deepEqual(bad({}), []);
  assert.deepEqual(verdict(WELL).map((l) => l.say), ['camWorks', 'micWorks', 'serverReached', 'mediaDirect', 'videoBack', 'audioBack', 'network_good']);
});

test('what is wrong has a line of its own with what to do next', () => {
  assert.deepEqual(bad({ errors: { video: 'NotAllowedError' }, sent: { audio: true, video: false }, back: { audio: true, video: false } }), [['poor', 'camFailed', 'nextNotAllowedError']]);
  assert.deepEqual(bad({ errors: { audio: 'SomethingNew' }, sent: { audio: false, video: true } }), [['poor', 'micFailed', 'nextDevice']]);
  assert.deepEqual(bad({ heard: false }), [['fair', 'micSilent', 'nextMicSilent']]);
  assert.deepEqual(bad({ back: { audio: true, video: false } }), [['poor', 'videoLost', 'nextLost']]);
  assert.deepEqual(bad({ path: { type: 'relay', protocol: 'udp' } }), [['fair', 'throughRelay', 'nextRelay']]);
  assert.deepEqual(bad({ lossUp: 0.02 }), [['fair', 'network_fair', 'nextNetwork']]);
  assert.deepEqual(bad({ rtt: 301 }), [['poor', 'network_poor', 'nextNetwork']]);
});

test('what could not be tried is not called broken', () => {
  assert.deepEqual(bad({ ice: 'failed', back: {} }), [['poor', 'udpBlocked', 'nextUdp']]);
  assert.deepEqual(bad({ server: 'unreached', ice: 'new', back: {} }), [['poor', 'serverUnreached', 'nextServer']]);
  assert.deepEqual(bad({ server: 'unreached', status: 503, ice: 'new', back: {} }), [['poor', 'serverBusy', 'nextServerBusy']]);
  assert.deepEqual(bad({ secure: false, errors: { audio: 'insecure', video: 'insecure' }, sent: {}, back: {} }), [['poor', 'needsHttps', 'nextHttps']]);
});

test('a connection is good, fair or poor at these borders', () => {
  const at = (change) => quality({ ...WELL, ...change });
  assert.deepEqual([at({ rtt: 150 }), at({ rtt: 151 }), at({ rtt: 300 }), at({ rtt: 301 })], ['good', 'fair', 'fair', 'poor']);
  assert.deepEqual([at({ lossDown: 0.01 }), at({ lossDown: 0.011 }), at({ lossDown: 0.05 }), at({ lossDown: 0.051 })], ['good', 'fair', 'fair', 'poor']);
  assert.equal(at({ ice: 'disconnected' }), 'poor');
});

test('every line that can be said has its words', () => {
  const said = ['camWorks', 'camFailed', 'micWorks', 'micFailed', 'micSilent', 'serverReached', 'serverBusy', 'serverUnreached', 'mediaDirect', 'udpBlocked', 'throughRelay', 'videoBack', 'audioBack',
    'videoLost', 'audioLost', 'network_good', 'network_fair', 'network_poor', 'needsHttps', 'nextHttps', 'nextNotAllowedError', 'nextNotFoundError', 'nextNotReadableError', 'nextDevice', 'nextMicSilent',
    'nextServer', 'nextServerBusy', 'nextUdp', 'nextRelay', 'nextLost', 'nextNetwork'];
  for (const key of said) assert.ok(texts.de[key] && texts.en[key], key);
});

test('pictures are as large as the window lets them be', () => {
  assert.equal(columns(1, 360, 600), 1);
  assert.equal(columns(3, 360, 600), 1, 'three people on a telephone stand below each other');
  assert.equal(columns(2, 900, 500), 2);
  assert.equal(columns(4, 900, 500), 2);
  assert.equal(columns(9, 900, 500), 3);
  assert.equal(columns(0, 0, 0), 1);
});

test('all that can be found, and nothing else, is known to the server with the same weight', () => {
  const server = fs.readFileSync(new URL('../../src/support/report.rs', import.meta.url), 'utf8');
  const known = new Set([...server.matchAll(/^ {4}(good|fair|poor)\(\s*"(\w+)"/gm)].map(([, level, name]) => `${level} ${name}`));
  const said = new Set();
  for (const change of [{}, { secure: false }, { errors: { audio: 'x', video: 'x' } }, { heard: false }, { server: 'unreached' }, { server: 'unreached', status: 503 }, { ice: 'failed' },
    { path: { type: 'relay' } }, { back: {} }, { rtt: 200 }, { rtt: 400 }]) for (const l of verdict({ ...WELL, ...change })) said.add(`${l.level} ${l.say}`);
  assert.deepEqual([...said].sort(), [...known].sort());
});

test('a report for the helpdesk has figures only when there was a connection, and nothing but lines and figures', () => {
  const facts = { ...WELL, recording: 'film', rtt: 20 };
  assert.deepEqual(reportOf(facts, [{ say: 'camWorks', level: 'good' }]), { found: ['camWorks'], path: WELL.path, rtt: 20, lossUp: 0, lossDown: 0 });
  assert.deepEqual(reportOf({ ...facts, ice: 'failed' }, [{ say: 'udpBlocked' }]), { found: ['udpBlocked'] });
});
