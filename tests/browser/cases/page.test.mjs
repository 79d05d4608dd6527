// The test-call page as the town's helpdesk: what it finds out, what it tells people, and how it comes back by itself.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { Behind } from '../rig/network.mjs';
import { INSECURE, Wire, enter, faults, open as openPage } from '../rig/page.mjs';
import { Server, sleep, until } from '../rig/server.mjs';

const SLOW_DEVICES = `{ const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => { await new Promise((r) => setTimeout(r, 1500)); return ask(wish); }; }`;

describe('the test-call page', () => {
  let server, browser;
  const rooms = { n: 0 };
  const room = () => `page${++rooms.n}x${process.pid}`;
  const open = (where, options) => openPage(browser, server, where, options);
  before(async () => { server = await Server.start({ web: 'none' }); browser = await launch(); });
  after(async () => { await browser?.close(); await server?.stop(); });

  test('devices and network are checked alone, through the bridge, and the verdict is in plain words', async () => {
    // Pressed before the browser has given camera and microphone, it tried neither.
    const page = await open(room(), { script: SLOW_DEVICES });
    await page.click('#join-form [data-check]');
    await page.waitForSelector('#check-again:not([hidden])', { timeout: 60000 });
    const lines = await page.$$eval('#check-body li', (all) => all.map((l) => [l.className, l.querySelector('b').textContent]));
    assert.deepEqual(lines.map(([level]) => level).slice(0, 6), Array(6).fill('good'), JSON.stringify(lines));
    assert.deepEqual(lines.slice(0, 6).map(([, say]) => say), ['Die Kamera geht.', 'Das Mikrofon geht.', 'Der Server antwortet.', 'Bild und Ton erreichen den Server.', 'Ihr Bild kam zurück.', 'Ihr Ton kam zurück.']);
    // Four letters for the helpdesk: only the admin's side tells what is behind them.
    const code = (await page.textContent('#code')).replaceAll(' ', '');
    assert.match(code, /^[BCDFHKLMNPRTVWXY]{4}$/);
    assert.match(await page.innerText('#check-code'), /Hotline.*keinen Namen.*30 Minuten/s);
    const behind = await server.admin(`/_plausch/support/${code}`);
    assert.deepEqual([behind.verdict, behind.path.type, behind.path.transport, behind.findings.map((f) => f.de)[4]], [lines.some(([l]) => l !== 'good') ? 'fair' : 'good', 'host', 'udp', 'das Bild kam zurück']);
    assert.ok(behind.rtt_ms >= 0 && behind.loss_up <= 1 && behind.loss_down <= 1, JSON.stringify(behind));
    assert.equal((await fetch(`${server.base}/_plausch/support/${code}`)).status, 404, 'not by the public front');
    await page.waitForFunction(() => document.getElementById('check-film').videoWidth > 0, null, { timeout: 10000 });
    assert.deepEqual(await faults(page), []);
    await page.click('#close-check');
    assert.ok(await page.evaluate(() => document.getElementById('preview').srcObject.getVideoTracks()[0].readyState === 'live'), 'the preview goes on');
    await until('the check to be over at the server', async () => (await server.stats()).conferences === 0, 15000);
    assert.deepEqual(page.errors, []);
    await page.context().close();
  });

  test('a page without https was black and ended with an error; it says what to do, and one can listen', async () => {
    const [where, speaker] = [room(), await Participant.open(browser, server, { path: '/other' })];
    await speaker.join(where, { resolution: 180 });
    const page = await open(where, { script: INSECURE });
    assert.match(await page.textContent('#insecure'), /https/);
    assert.ok(!await page.isVisible('#preview-frame'), 'no black picture');
    assert.deepEqual(await faults(page), []);
    await enter(page, 'Ohne');
    await page.waitForFunction(() => [...document.querySelectorAll('#stage video')].some((v) => v.videoWidth > 0), null, { timeout: 20000 });
    assert.deepEqual(page.errors, []);
    await page.context().close();
    await speaker.close();
  });

  test('who comes back by itself waits in the lobby like everybody, and once turned away does not knock again', async () => {
    const [where, wire] = [room(), new Wire()];
    const [host, guest] = [await open(where), await open(where, { before: wire.before })];
    await enter(host, 'Anna');
    await enter(guest, 'Ben');
    await host.evaluate(() => window.plausch.setLobby(true));
    await wire.cut();
    wire.mend({ forgotten: true });
    await host.waitForFunction(() => window.plausch.knocking().some((k) => k.name === 'Ben'), null, { timeout: 30000 });
    await host.click('#knocking .secondary');
    await guest.waitForFunction(() => /nicht eingelassen/.test(document.getElementById('lobby-note').textContent));
    await sleep(5000);
    assert.deepEqual(await host.evaluate(() => window.plausch.knocking()), []);
    for (const page of [host, guest]) await page.context().close();
  });

  test('after a restart of the server people are back in the meeting by themselves, muted if they were', async () => {
    const where = room();
    const pages = [await open(where), await open(where)];
    for (const page of pages) await enter(page, 'Anna');
    await pages[0].click('.tools [data-device=audio]');
    await pages[0].waitForFunction(() => window.plausch.localMuted('audio'));
    const were = await Promise.all(pages.map((page) => page.evaluate(() => window.plausch.id)));
    await server.stop();
    await pages[0].waitForFunction(() => /neuer Versuch|von selbst/.test(document.body.innerText), null, { timeout: 20000 });
    server = await Server.start({ web: 'none' });
    for (const page of pages) {
      await page.waitForFunction((old) => window.plausch.state === 'joined' && !old.includes(window.plausch.id) && window.plausch.participants.length === 1
        && !old.includes(window.plausch.participants[0].id), were, { timeout: 60000 });
    }
    assert.ok(await pages[0].evaluate(() => window.plausch.localMuted('audio')), 'still muted');
    for (const page of pages) {
      await page.waitForFunction(() => [...document.querySelectorAll('.tile:not(.own) video')].some((v) => v.videoWidth > 0), null, { timeout: 20000 });
    }
    for (const page of pages) await page.context().close();
  });
});

describe('the check behind a firewall that lets no UDP out', () => {
  let behind, browser, server;
  before(async () => { behind = await Behind.open(); behind.lets('meta l4proto != udp'); browser = await launch({ behind }); });
  after(async () => { await browser?.close(); await server?.stop(); await behind?.close(); });

  for (const [turn, level, say] of [[false, 'poor', 'Bild und Ton kommen nicht durch: UDP ist hier gesperrt.'], [true, 'fair', 'Bild und Ton nehmen einen Umweg.']]) {
    test(`${turn ? 'with' : 'without'} a TURN server`, async () => {
      server = await Server.start({ web: 'none', at: Behind.SERVER, args: ['--media', '0.0.0.0:10000', ...(turn ? ['--turn', '0.0.0.0:3478'] : [])] });
      const context = await browser.newContext({ locale: 'de-DE', ignoreHTTPSErrors: true });
      const page = await context.newPage();
      await page.goto(`${server.base}/page`);
      await page.click('#join-form [data-check]');
      await page.waitForSelector('#check-again:not([hidden])', { timeout: 90000 });
      const lines = await page.$$eval('#check-body li', (all) => all.map((l) => [l.className, l.querySelector('b').textContent]));
      assert.ok(lines.some(([l, s]) => l === level && s === say), JSON.stringify(lines));
      const { verdict, path } = await server.admin(`/_plausch/support/${(await page.textContent('#code')).replaceAll(' ', '')}`);
      assert.deepEqual([verdict, path && `${path.type} ${path.transport}`], turn ? ['fair', 'relay tls'] : ['poor', null]);
      await context.close();
      await server.stop();
    });
  }
});
