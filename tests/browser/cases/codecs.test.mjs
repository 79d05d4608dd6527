// Every codec and kind of layers that browsers of today send: who shows a small picture gets a small one, who shows a large one a large one, also
// when they change places; and behind a link of 300 kbit/s everything is heard and something seen.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Participant, launch } from '../rig/browser.mjs';
import { stream } from '../rig/media.mjs';
import { Narrow } from '../rig/narrow.mjs';
import { Server, sleep, until } from '../rig/server.mjs';

const CODECS = fs.readFileSync(path.join(path.dirname(fileURLToPath(import.meta.url)), '../pages/codecs.js'), 'utf8');
const ONLY = process.env.ONLY_CODEC;
const [LOW, HIGH] = [180, 720];

const ROWS = [
  ['VP9, one stream, three and three layers', { codec: 'VP9', mode: 'L3T3', streams: 1, svc: true }],
  ['VP9, layers that part after the key frame, signalled as three streams', { codec: 'VP9', mode: 'L3T3_KEY', svc: true }],
  ['VP9 simulcast', { codec: 'VP9', mode: 'L1T3' }],
  ['AV1, one stream, three and three layers', { codec: 'AV1', mode: 'L3T3', streams: 1, svc: true }],
  ['AV1, layers that part after the key frame, signalled as three streams', { codec: 'AV1', mode: 'L3T3_KEY', svc: true }],
  ['AV1 simulcast', { codec: 'AV1', mode: 'L1T3' }],
  ['H.264 simulcast', { codec: 'H264' }],
  ['VP8 simulcast', { codec: 'VP8', mode: 'L1T3' }],
];

describe('codecs', () => {
  let server, browser, narrow;
  before(async () => {
    server = await Server.start({ web: 'none' });
    browser = await launch();
    narrow = await Narrow.open();
  });
  after(async () => {
    narrow?.close();
    await browser?.close();
    await server?.stop();
  });

  // Who is left of a case that failed takes the machine from the next one.
  const here = [];
  afterEach(() => Promise.all(here.splice(0).map((p) => p.close())));
  const open = async (room, wanted, options) => {
    const p = await Participant.open(browser, server, { path: `/${room}?test`, scripts: [`window.wanted = ${JSON.stringify(wanted)};`, CODECS] });
    here.push(p);
    await p.join(room, { resolution: HIGH, ...options });
    return p;
  };
  const wants = (p, height) => p.page.evaluate((maxHeight) => {
    window.plausch.options.receiveHeight = maxHeight;
    window.plausch.session.channel.send({ colibriClass: 'ReceiverVideoConstraints', assumedBandwidthBps: -1, lastN: -1, selectedSources: [], onStageSources: [], defaultConstraints: { maxHeight }, constraints: {} });
  }, height);
  const video = async (p, from) => stream(await p.media(), 'video', from.id);
  // The picture has this height and new pictures come.
  const shows = async (p, from, height, ms = 15000) => {
    let last;
    await until(`${p.id} to show ${height} lines`, async () => {
      const now = await video(p, from);
      const [was, same] = [last, now && Math.abs(now.height - height) <= height * 0.05];
      last = now;
      return same && was && now.frames > was.frames;
    }, ms, 250).catch(async (e) => { throw new Error(`${e.message}: ${JSON.stringify(await video(p, from))}; sent: ${JSON.stringify((await from.media()).outbound)}`); });
  };
  // Watches so many seconds: what comes new in them.
  const watch = async (p, from, seconds) => {
    const at = async () => { const m = await p.media(); return [stream(m, 'video', from.id), stream(m, 'audio', from.id)]; };
    const [v, a] = await at();
    let longest = 0;
    for (let i = 0, was = v.frames, since = performance.now(); i < seconds * 10; i++) {
      await sleep(100);
      const { frames } = await video(p, from);
      const now = performance.now();
      if (frames > was) [was, since] = [frames, now];
      longest = Math.max(longest, now - since);
    }
    const [v2, a2] = await at();
    return { frames: v2.frames - v.frames, height: v2.height, stood: longest, concealed: (a2.concealed - a.concealed) / Math.max(1, a2.samples - a.samples), heard: a2.samples - a.samples };
  };

  const fluent = (seen) => seen.frames >= 6 && seen.stood < 2000 && seen.height < HIGH * 0.95 && seen.heard > 2.7 * 48000 && seen.concealed <= 0.01;

  for (const [what, wanted] of ROWS) {
    if (ONLY && !what.includes(ONLY)) continue;
    test(what, async () => {
      const room = `codec${ROWS.findIndex(([w]) => w === what)}x${process.pid}`;
      narrow.rate = null;
      const camera = await open(room, wanted);
      const near = await open(room, {}, { devices: ['audio'], receiveHeight: HIGH });
      const far = await open(room, { port: narrow.port }, { devices: ['audio'], receiveHeight: LOW });
      await camera.page.evaluate(() => window.asToday());
      await Promise.all([shows(near, camera, HIGH, 25000), shows(far, camera, LOW, 25000)]);
      const { codec } = await video(near, camera);
      assert.equal(codec, `video/${wanted.codec}`);

      // They change places.
      await Promise.all([wants(near, LOW), wants(far, HIGH)]);
      await Promise.all([shows(near, camera, LOW), shows(far, camera, HIGH)]);
      for (const [p, height] of [[near, LOW], [far, HIGH]]) {
        const seen = await watch(p, camera, 1.5);
        assert.ok(seen.stood < 1000 && Math.abs(seen.height - height) <= height * 0.05, `after the change ${p.id} got ${JSON.stringify(seen)}`);
      }

      // The link gets narrow, and wide again.
      narrow.rate = 300_000;
      await until('a smaller picture', async () => (await video(far, camera)).height < HIGH, 8000, 250);
      const from = performance.now();
      let seen;
      do seen = await watch(far, camera, 3); while (!fluent(seen) && performance.now() - from < 15000);
      console.log(`      at 300 kbit/s, ${((performance.now() - from) / 1000).toFixed(0)} s after: ${seen.frames} pictures of ${seen.height} lines in 3 s, ${(seen.concealed * 100).toFixed(1)} % of the sound made up`);
      assert.ok(fluent(seen), `a picture and all of the sound: ${JSON.stringify(seen)}`);
      narrow.rate = null;
      await shows(far, camera, HIGH, 20000);
    });
  }
});
