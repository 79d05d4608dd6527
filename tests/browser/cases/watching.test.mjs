// A meeting that is watched: who comes when it is full sees and hears, is seen by nobody, and takes part when it asks to.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { everybodySeesEverybody, stream } from '../rig/media.mjs';
import { Server, until } from '../rig/server.mjs';

describe('test-call page: watching', () => {
  let server, browser;
  before(async () => {
    server = await Server.start({ web: 'none', env: { ENABLE_VISITORS: '1', VISITORS_MAX_PARTICIPANTS: '2' } });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  for (const [way, httpConferenceRequest] of [['HTTP', true], ['XMPP', false]]) test(`the third watches, writes, asks and takes part; asked over ${way}`, async () => {
    const r = `sitzung-${way.toLowerCase()}-${process.pid}`;
    const open = async (name) => {
      const p = await Participant.open(browser, server, { path: `/${r}` });
      await p.join(r, { resolution: 180, name, httpConferenceRequest });
      return p;
    };
    const [a, b] = [await open('Anna'), await open('Ben')];
    await everybodySeesEverybody([a, b]);
    const c = await open('Vera');
    assert.equal(await c.call('role'), 'visitor');
    assert.deepEqual(await c.page.evaluate(() => window.client.media.muted), { audio: true, video: true }, 'the camera is given back');
    const grows = async (from, kind, counter) => {
      const then = stream(await c.media(), kind, from.id)?.[counter] ?? 0;
      await until(`${kind} of ${from.id} where one watches`, async () => (stream(await c.media(), kind, from.id)?.[counter] ?? 0) > then, 15000);
    };
    for (const p of [a, b]) { await grows(p, 'video', 'frames'); await grows(p, 'audio', 'samples'); }
    assert.deepEqual((await c.media()).outbound ?? [], [], 'nothing is sent');
    for (const p of [a, b]) {
      await p.until('how many watch', () => window.client.watchers === 1, null, 20000);
      assert.equal(Object.keys(await p.get('members')).length, 1, 'nobody sees who watches');
    }

    await a.call('chat', 'Willkommen');
    await c.until('chat', () => window.client.messages.some((m) => m.text === 'Willkommen' && m.name === 'Anna'));
    await c.call('chat', 'Danke');
    for (const p of [a, b]) await p.until('chat of who watches', () => window.client.messages.some((m) => m.text === 'Danke' && m.name === 'Vera'));

    await c.page.click('#hand');
    await c.until('to take part', () => window.client.state === 'joined' && !window.client.watching, null, 20000);
    c.id = await c.get('id');
    assert.deepEqual(await c.page.evaluate(() => window.client.media.muted), { audio: true, video: true }, 'unseen and unheard at first');
    for (const kind of ['audio', 'video']) await c.call('unmute', kind);
    await everybodySeesEverybody([a, b, c]);
    for (const p of [a, b, c]) await p.close();
  });
});
