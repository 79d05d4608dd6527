// The test-call page as the town's helpdesk: what it tells people, in both languages, on large and small screens, light and dark.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { Album, fonts, seen } from '../rig/album.mjs';
import { Participant, launch } from '../rig/browser.mjs';
import { Behind } from '../rig/network.mjs';
import { alike, difference } from '../rig/picture.mjs';
import { Server, until } from '../rig/server.mjs';

// The page's scripts and style out of this folder, not out of the program: for looking at changes without a build.
const PAGE_FILES = process.env.PAGE_FILES;
const AXE = fs.readFileSync(path.join(path.dirname(fileURLToPath(import.meta.url)), '../node_modules/axe-core/axe.min.js'), 'utf8');
const LARGE = { width: 1100, height: 760 };
const SMALL = { width: 360, height: 640 };
const INSECURE = `Object.defineProperty(window, 'isSecureContext', { value: false });
  Object.defineProperty(navigator, 'mediaDevices', { value: undefined });
  for (const name of ['randomUUID', 'subtle']) Object.defineProperty(crypto, name, { value: undefined });`;

// What a check and a meeting may come to, the same in every run, drawn by the page's own code.
const WELL = {
  secure: true, errors: {}, heard: true, server: 'reached', status: null, ice: 'connected', path: { type: 'host', protocol: 'udp' }, rtt: 20, lossUp: 0, lossDown: 0,
  sent: { audio: true, video: true }, back: { audio: true, video: true },
};
const BLOCKED = { ...WELL, errors: { video: 'NotAllowedError' }, ice: 'failed', path: null, rtt: null, sent: { audio: true, video: false }, back: { audio: false, video: false } };
const REPORT = {
  ice: 'connected', dtls: 'connected', dtlsVersion: '1.2', cipher: 'AEAD_AES_256_GCM', local: { type: 'srflx', protocol: 'udp', family: 'IPv4' }, remote: null, rtt: 180, estimateUp: 2500,
  up: 2345, down: 1234, channel: true, lossUp: 0.021, lossDown: 0,
  sent: [{ kind: 'audio', codec: 'opus', kbits: 32 }, ...[[320, 180, 150], [640, 360, 500], [1280, 720, 1700]].map(([width, height, kbits]) => ({ kind: 'video', codec: 'VP8', width, height, fps: 30, kbits }))],
  received: ['a', 'b'].flatMap((owner) => [{ kind: 'audio', owner, source: `${owner}-a0`, codec: 'opus', kbits: 32 }, { kind: 'video', owner, source: `${owner}-v0`, codec: 'VP8', width: 640, height: 360, fps: 30, kbits: 480 }]),
};
const drawn = (page, facts) => page.evaluate(async (given) => {
  const [ui, { verdict }] = await Promise.all(['ui', 'verdict'].map((name) => import(`/_plausch/${name}.js`)));
  if (!document.getElementById('check').open) document.getElementById('check').showModal();
  document.getElementById('check-again').hidden = !given;
  if (given) { ui.drawVerdict(verdict(given), null); ui.drawCode({ code: 'XKBD', minutes: 30 }); } else ui.drawProgress('back');
}, facts);
const reported = (page) => page.evaluate((report) => {
  window.plausch.stats = async () => report;
  [...Object.keys(window.plausch.members)].forEach((id, n) => report.received.filter((s) => s.owner === 'ab'[n]).forEach((s) => { s.owner = id; }));
}, REPORT);

const SLOW_DEVICES = `{ const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => { await new Promise((r) => setTimeout(r, 1500)); return ask(wish); }; }`;

describe('the test-call page', () => {
  let server, browser;
  const rooms = { n: 0 };
  const room = () => `page${++rooms.n}x${process.pid}`;
  const [letters, album] = [fonts(), new Album()];
  before(async () => { server = await Server.start({ web: 'none' }); browser = await launch({ letters }); });
  after(async () => { await browser?.close(); await server?.stop(); letters.end(); });

  const open = async (where, { locale = 'de-DE', viewport = LARGE, colorScheme = 'light', script } = {}) => {
    const context = await browser.newContext({ locale, viewport, colorScheme });
    const page = await context.newPage();
    page.errors = [];
    page.on('pageerror', (e) => page.errors.push(e.message));
    page.on('console', (m) => m.type() === 'error' && page.errors.push(m.text()));
    if (script) await page.addInitScript(script);
    if (PAGE_FILES) {
      // The page itself stays the program's: a browser lets no page from nowhere talk to this machine.
      await context.route(/\/_plausch\/\w+\.(js|css)$/, (route) => {
        const name = path.basename(route.request().url());
        return route.fulfill({ body: fs.readFileSync(path.join(PAGE_FILES, name)), contentType: name.endsWith('.js') ? 'text/javascript' : 'text/css' });
      });
    }
    await page.goto(`${server.base}/${where}`);
    await page.waitForFunction(() => document.title !== 'Plausch');
    return page;
  };
  const enter = async (page, name) => {
    await page.fill('#name', name);
    await page.click('#join');
    await page.waitForFunction(() => window.plausch.state === 'joined', null, { timeout: 20000 });
  };
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

  for (const [language, colorScheme] of [['de-DE', 'light'], ['en-US', 'dark']]) {
    const short = language.slice(0, 2);
    test(`all states on a telephone and on a screen look as they did: ${language}`, async () => {
      const where = `page-${short}`;
      const both = async (options) => Promise.all([[SMALL, 'small'], [LARGE, 'large']].map(async ([viewport, size]) => {
        const page = await open(where, { locale: language, viewport, ...options });
        page.size = size;
        return page;
      }));
      const at = async (state, ...pages) => {
        for (const page of pages) {
          await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
          assert.deepEqual(await faults(page), [], `${state}, ${page.size}`);
          await album.look(page, `${state}-${page.size}-${short}`);
        }
      };
      const insecure = await both({ script: INSECURE });
      await at('insecure', ...insecure);
      for (const page of insecure) await page.context().close();

      const pages = await both();
      const [small, large] = pages;
      for (const page of pages) await page.waitForFunction(() => document.getElementById('preview').videoWidth > 0);
      await at('lobby', ...pages);
      for (const page of pages) {
        await page.fill('#room', '');
        await page.click('#join');
        assert.match(await page.textContent('#room-error'), language === 'de-DE' ? /Namen/ : /name/);
        await page.click('#devices summary');
      }
      await at('lobby-error', ...pages);
      for (const [state, facts] of [['check', null], ['check-good', WELL], ['check-poor', BLOCKED]]) {
        for (const page of pages) await drawn(page, facts);
        await at(state, ...pages);
      }
      for (const page of pages) {
        await page.click('#close-check');
        await page.click('#devices summary');
        await page.fill('#room', where);
        // What a server that is too full says.
        await page.route('**/conference-request/**', (route) => route.fulfill({ status: 503, body: '' }));
        await page.fill('#name', page === small ? 'Anna Musterfrau-Beispielhausen' : 'Ben');
        await page.click('#join');
        await page.waitForFunction(() => window.plausch.state === 'failed');
        await page.unroute('**/conference-request/**');
      }
      await at('failed', ...pages);
      await enter(small, 'Anna Musterfrau-Beispielhausen');
      assert.ok(await small.isVisible('#invite'), 'whoever is alone can send the link');
      await at('alone', small);
      await enter(large, 'Ben');
      const third = await Participant.open(browser, server, { path: '/third' });
      await third.join(where, { resolution: 180, name: 'Cem' });
      for (const page of pages) await page.waitForFunction(() => [...document.querySelectorAll('.tile:not(.own) video')].filter((v) => v.videoWidth > 0).length === 2, null, { timeout: 20000 });
      await third.call('mute', 'audio');
      for (const page of pages) await page.waitForFunction(() => document.querySelectorAll('.tile .off:not([hidden])').length === 1);
      await at('meeting', ...pages);
      for (const page of pages) {
        await reported(page);
        await page.click('#open-report');
        await page.waitForSelector('#report td');
      }
      await at('report', ...pages);
      for (const page of pages) await page.click('#open-chat');
      for (const [page, text] of [[small, 'Guten Tag!'], [large, 'Eine längere Nachricht, die in der schmalen Spalte über mehrere Zeilen geht: https://beispiel.example/rathaus/sitzung']]) {
        await page.fill('#chat-text', text);
        await page.press('#chat-text', 'Enter');
        for (const other of pages) await other.waitForFunction((t) => document.getElementById('messages').innerText.includes(t), text);
      }
      await at('chat', ...pages);
      for (const page of pages) await page.click('#open-chat');
      await third.call('share');
      for (const page of pages) await page.waitForFunction(() => [...document.querySelectorAll('.tile.stage video')].some((v) => v.videoWidth > 0), null, { timeout: 20000 });
      await at('screen', ...pages);

      // Removing somebody is asked first, and can be thought better of.
      await small.click('.tile:not(.own) .more summary');
      await at('menu', small);
      await small.click('.tile:not(.own) .more div button:last-child');
      await small.waitForSelector('#sure[open]');
      await at('sure', small);
      await small.click('#sure-no');
      assert.equal(await small.evaluate(() => window.plausch.participants.length), 2, 'nobody was removed');

      await small.click('#leave');
      await small.waitForSelector('#lobby:not([hidden])');
      assert.equal(await small.evaluate(() => document.getElementById('lobby-note').classList.contains('note')), false, 'to leave is nothing wrong');
      await at('left', small);
      for (const page of pages) assert.deepEqual(page.errors.filter((e) => !/503/.test(e)), []);
      await Promise.all([...pages.map((page) => page.context().close()), third.close()]);
      assert.deepEqual(album.complaints(), []);
    });
  }

  test('every picture that is kept is looked at', () => assert.deepEqual(album.left(), []));

  test('the comparison of pictures sees what people see, and no more', async () => {
    const page = await open('page-de', { viewport: SMALL });
    await page.waitForFunction(() => document.getElementById('preview').videoWidth > 0);
    const right = await seen(page);
    const differs = async (css) => {
      const sheet = await page.evaluateHandle((text) => {
        const s = new CSSStyleSheet();
        s.replaceSync(text);
        document.adoptedStyleSheets.push(s);
        return s;
      }, css);
      const found = difference(right, await seen(page));
      await page.evaluate((s) => { document.adoptedStyleSheets = document.adoptedStyleSheets.filter((x) => x !== s); }, sheet);
      return found.squares;
    };
    for (const same of ['', '#join-form { transform: translateX(1px) }', 'body { -webkit-font-smoothing: none; letter-spacing: .01em }', '#join { filter: brightness(1.02) }']) {
      const squares = await differs(same);
      assert.ok(alike({ squares }), `${same}: ${squares}`);
    }
    for (const other of [
      '#join { visibility: hidden }', '[data-device=video] { visibility: hidden }', '.language { visibility: hidden }',
      '#join { font-size: 0 }', '[data-device=audio] .word { display: block; width: 3ch; overflow: hidden }', '.hint { height: 1.4em; overflow: hidden }',
      '#join-form .row { margin-bottom: -34px }', '[data-device=video] { margin-left: -64px }',
      '.primary { background: var(--warn) }', '.tool .round { background: var(--off) }', 'h1 { color: var(--soft) }', ':root { --ground: #e8e2d8 }',
    ]) {
      const squares = await differs(other);
      assert.ok(!alike({ squares }), `${other}: ${squares}`);
    }
    await page.context().close();
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
