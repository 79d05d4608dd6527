// A public server that somebody set up by a page for admins: two browsers meet there over TLS, by its name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { bridgeTransport, everybodySeesEverybody } from '../rig/media.mjs';

const base = process.env.PLAUSCH_BASE;

test(`two browsers meet at ${base}`, async () => {
  const browser = await launch({ more: [`--host-resolver-rules=MAP ${new URL(base).hostname} ${process.env.PLAUSCH_AT}`] });
  try {
    const all = [];
    for (let i = 0; i < 2; i++) {
      const p = await Participant.open(browser, { base }, { path: '/rathaus' });
      assert.equal(new URL(p.page.url()).protocol, 'https:');
      await p.join('rathaus', { resolution: 360 });
      all.push(p);
    }
    await everybodySeesEverybody(all);
    for (const p of all) assert.ok(bridgeTransport(await p.media()), 'media goes through the bridge');
    for (const p of all) await p.close();
  } finally {
    await browser.close();
  }
});
