// A lesson at a music school: a piano in stereo through the bridge sounds as it does from browser to browser.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Participant, launch } from '../rig/browser.mjs';
import { stream } from '../rig/media.mjs';
import { Loop, piano, recording, wav } from '../rig/music.mjs';
import { Server, sleep, until } from '../rig/server.mjs';

const MUSIC = fs.readFileSync(path.join(path.dirname(fileURLToPath(import.meta.url)), '../pages/music.js'), 'utf8');
const SECONDS = 4;

test('how far a recording is from what was played is measured', () => {
  const played = piano();
  const loop = new Loop(played);
  const cut = (channels, from, seconds) => channels.map((c) => Float64Array.from({ length: seconds * 48000 }, (_, i) => 0.5 * c[(from + i) % c.length]));
  const same = loop.distance(cut(played, 77777, 2));
  assert.ok(same < 0.7, `the same, later and less loud: ${same.toFixed(2)} dB`);
  const mono = played[0].map((v, i) => (v + played[1][i]) / 2);
  assert.ok(loop.distance(cut([mono, mono], 77777, 2)) > same + 2, 'one channel is noticed');
  // 20 ms are missing four times a second, as when packets are lost.
  const gaps = cut(played, 77777, 2).map((c) => c.map((v, i) => (i % 12000 < 960 ? 0 : v)));
  assert.ok(loop.distance(gaps) > same + 1, 'gaps are noticed');
  const dull = cut(played, 77777, 2).map((c) => { let y = 0; return c.map((v) => (y += 0.15 * (v - y))); });
  assert.ok(loop.distance(dull) > same + 1, 'missing heights are noticed');
});

test('a piano in stereo through the bridge is as near to what was played as from browser to browser', async () => {
  const played = piano();
  const file = path.join(os.tmpdir(), `plausch-piano-${process.pid}.wav`);
  fs.writeFileSync(file, wav(played));
  const server = await Server.start({ web: 'none' });
  const browser = await launch({ more: [`--use-file-for-fake-audio-capture=${file}`] });
  try {
    const room = `music${process.pid}`;
    const open = async (devices) => {
      const p = await Participant.open(browser, server, { path: `/${room}?test`, scripts: [MUSIC] });
      await p.join(room, { devices });
      return p;
    };
    const [teacher, pupil] = [await open(['audio']), await open([])];
    await until('sound', async () => (stream(await pupil.media(), 'audio', teacher.id)?.samples ?? 0) > 3 * 48000, 20000, 250);
    const before = stream(await pupil.media(), 'audio', teacher.id);
    const through = await pupil.page.evaluate(([id, s]) => window.recordOf(id, s), [teacher.id, SECONDS]);
    const after = stream(await pupil.media(), 'audio', teacher.id);
    await Promise.all([teacher, pupil].map((p) => p.close()));
    await sleep(500);
    const alone = await Participant.open(browser, server, { path: `/${room}?test`, scripts: [MUSIC] });
    const direct = await alone.page.evaluate((s) => window.recordDirect(s), SECONDS);
    await alone.close();

    assert.deepEqual([through.channels, direct.channels], [2, 2], 'stereo');
    const loop = new Loop(played);
    const [far, near] = [through, direct].map((r) => loop.distance(recording(r.pcm)));
    const concealed = (after.concealed - before.concealed) / (after.samples - before.samples);
    console.log(`      through the bridge ${far.toFixed(2)} dB, directly ${near.toFixed(2)} dB from what was played; ${(concealed * 100).toFixed(2)} % made up`);
    assert.ok(concealed < 0.005, `${(concealed * 100).toFixed(2)} % of the sound was made up`);
    assert.ok(far <= near * 1.15 + 0.3, `through the bridge ${far.toFixed(2)} dB, directly ${near.toFixed(2)} dB`);
  } finally {
    await browser.close();
    await server.stop();
    fs.rmSync(file, { force: true });
  }
});
