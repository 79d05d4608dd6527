// The test-call page as the town's helpdesk: what it tells people, in both languages, on large and small screens, light and dark.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { Behind } from '../rig/network.mjs';
import { Server, until } from '../rig/server.mjs';

const AXE = fs.readFileSync(path.join(path.dirname(fileURLToPath(import.meta.url)), '../node_modules/axe-core/axe.min.js'), 'utf8');
// A folder in which pictures of all states are left for whoever wants to look at them.
const PICTURES = process.env.PICTURES;
const LARGE = { width: 1100, height: 760 };
const SMALL = { width: 360, height: 640 };
const INSECURE = `Object.defineProperty(window, 'isSecureContext', { value: false });
  Object.defineProperty(navigator, 'mediaDevices', { value: undefined });
  for (const name of ['randomUUID', 'subtle']) Object.defineProperty(crypto, name, { value: undefined });`;

const SLOW_DEVICES = `{ const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => { await new Promise((r) => setTimeout(r, 1500)); return ask(wish); }; }`;

describe('the test-call page', () => {
  let server, browser;
  const rooms = { n: 0 };
  const room = () => `page${++rooms.n}x${process.pid}`;
  before(async () => { server = await Server.start({ web: 'none' }); browser = await launch(); });
  after(async () => { await browser?.close(); await server?.stop(); });

  const open = async (where, { locale = 'de-DE', viewport = LARGE, colorScheme = 'light', script } = {}) => {
    const context = await browser.newContext({ locale, viewport, colorScheme });
    const page = await context.newPage();
    page.errors = [];
    page.on('pageerror', (e) => page.errors.push(e.message));
    page.on('console', (m) => m.type() === 'error' && page.errors.push(m.text()));
    if (script) await page.addInitScript(script);
    await page.goto(`${server.base}/${where}`);
    await page.waitForFunction(() => document.title !== 'Plausch');
    return page;
  };
  const enter = async (page, name) => {
    await page.fill('#name', name);
    await page.click('#join');
    await page.waitForFunction(() => window.plausch.state === 'joined', null, { timeout: 20000 });
  };
  const look = (page, name) => (PICTURES ? page.screenshot({ path: path.join(PICTURES, `${name}.png`) }) : null);
  // What axe finds, and what hangs over the edge.
  const faults = async (page) => {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    const found = violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`);
    const sizes = await page.evaluate(() => {
      const texts = [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
      const small = texts.filter((e) => parseFloat(getComputedStyle(e).fontSize) < 16).map((e) => e.outerHTML.slice(0, 80));
      return { small, wide: document.documentElement.scrollWidth > innerWidth };
    });
    return [...found, ...sizes.small.map((s) => `below 16 px: ${s}`), ...(sizes.wide ? ['wider than the window'] : [])];
  };

  test('devices and network are checked alone, through the bridge, and the verdict is in plain words', async () => {
    // Pressed before the browser has given camera and microphone, it tried neither.
    const page = await open(room(), { script: SLOW_DEVICES });
    await page.click('#join-form [data-check]');
    await page.waitForSelector('#check-again:not([hidden])', { timeout: 60000 });
    const lines = await page.$$eval('#check-body li', (all) => all.map((l) => [l.className, l.querySelector('b').textContent]));
    assert.deepEqual(lines.map(([level]) => level).slice(0, 6), Array(6).fill('good'), JSON.stringify(lines));
    assert.deepEqual(lines.slice(0, 6).map(([, say]) => say), ['Die Kamera geht.', 'Das Mikrofon geht.', 'Der Server antwortet.', 'Bild und Ton erreichen den Server.', 'Ihr Bild kam zurück.', 'Ihr Ton kam zurück.']);
    await page.waitForFunction(() => document.getElementById('check-film').videoWidth > 0, null, { timeout: 10000 });
    assert.deepEqual(await faults(page), []);
    await look(page, 'check-de');
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
    await look(page, 'insecure-de');
    await enter(page, 'Ohne');
    await page.waitForFunction(() => [...document.querySelectorAll('#stage video')].some((v) => v.videoWidth > 0), null, { timeout: 20000 });
    assert.deepEqual(page.errors, []);
    await page.context().close();
    await speaker.close();
  });

  for (const [language, colorScheme] of [['de-DE', 'light'], ['en-US', 'dark']]) {
    test(`all states on a telephone and on a screen: ${language}, ${colorScheme}`, async () => {
      const where = room();
      const [small, large] = [await open(where, { locale: language, colorScheme, viewport: SMALL }), await open(where, { locale: language, colorScheme })];
      const at = async (state) => {
        for (const [page, size] of [[small, 'small'], [large, 'large']]) {
          assert.deepEqual(await faults(page), [], `${state}, ${size}`);
          await look(page, `${state}-${size}-${language.slice(0, 2)}`);
        }
      };
      await at('lobby');
      await small.fill('#room', '');
      await small.click('#join');
      assert.match(await small.textContent('#room-error'), language === 'de-DE' ? /Namen/ : /name/);
      await small.fill('#room', where);
      await enter(small, 'Anna Musterfrau-Beispielhausen');
      assert.ok(await small.isVisible('#invite'), 'whoever is alone can send the link');
      await look(small, `alone-small-${language.slice(0, 2)}`);
      await enter(large, 'Ben');
      const third = await Participant.open(browser, server, { path: '/third' });
      await third.join(where, { resolution: 180, name: 'Cem' });
      await small.waitForFunction(() => [...document.querySelectorAll('.tile:not(.own) video')].filter((v) => v.videoWidth > 0).length === 2, null, { timeout: 20000 });
      await at('meeting');
      for (const page of [small, large]) await page.click('#open-report');
      await small.waitForSelector('#report td');
      await at('report');
      for (const page of [small, large]) await page.click('#open-chat');
      await at('chat');
      await small.click('#open-chat');

      // Removing somebody is asked first, and can be thought better of.
      await small.click('.tile:not(.own) .more summary');
      await small.click('.tile:not(.own) .more div button:last-child');
      await small.waitForSelector('#sure[open]');
      await look(small, `sure-small-${language.slice(0, 2)}`);
      assert.deepEqual(await faults(small), []);
      await small.click('#sure-no');
      assert.equal(await small.evaluate(() => window.plausch.participants.length), 2, 'nobody was removed');

      await small.click('#leave');
      await small.waitForSelector('#lobby:not([hidden])');
      assert.equal(await small.evaluate(() => document.getElementById('lobby-note').classList.contains('note')), false, 'to leave is nothing wrong');
      await look(small, `left-small-${language.slice(0, 2)}`);
      for (const page of [small, large]) assert.deepEqual(page.errors, []);
      await Promise.all([small.context().close(), large.context().close(), third.close()]);
    });
  }

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
      await context.close();
      await server.stop();
    });
  }
});
