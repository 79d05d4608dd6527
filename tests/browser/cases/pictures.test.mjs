// All states of the test-call page, in both languages, on a telephone and on a screen, light and dark: as the pictures that are kept.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Album, fonts, seen } from '../rig/album.mjs';
import { Participant, launch } from '../rig/browser.mjs';
import { INSECURE, LARGE, SMALL, Wire, enter, faults, open as openPage, seesOthers } from '../rig/page.mjs';
import { alike, difference } from '../rig/picture.mjs';
import { Server } from '../rig/server.mjs';

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

// A browser whose camera takes its time when the case says so, until it says `go`.
const SLOW_WHEN_TOLD = `{ const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  const told = new Promise((resolve) => { window.go = resolve; });
  navigator.mediaDevices.getUserMedia = async (wish) => { if (window.slow) await told; return ask(wish); }; }`;

const [letters, album] = [fonts(), new Album()];
after(() => letters.end());

// What the camera shows is in no picture: a small one leaves the machine to those.
const LITTLE = `{ const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = (wish) => ask({ ...wish, video: wish.video && { width: 160, height: 90, frameRate: 5 } }); }`;

// Two of a page, small and large, and the same state of each in both languages, between which it is switched.
const pair = (open, where, options) => Promise.all([[SMALL, 'small'], [LARGE, 'large']].map(async ([viewport, size]) => Object.assign(await open(where, { viewport, ...options, script: `${LITTLE}\n${options?.script ?? ''}` }), { size })));
const each = async (state, ...pages) => {
  for (const page of pages) {
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
    assert.deepEqual(await faults(page), [], `${state}, ${page.size}`);
    for (const language of ['de', 'en']) {
      await album.look(page, `${state}-${page.size}-${language}`);
      await page.click('.language:visible');
    }
  }
};

describe('the test-call page looks as it did', () => {
  let server, browser;
  const open = (where, options) => openPage(browser, server, where, options);
  before(async () => { server = await Server.start({ web: 'none' }); browser = await launch({ letters }); });
  after(async () => { await browser?.close(); await server?.stop(); });

  for (const [language, colorScheme] of [['de-DE', 'light'], ['en-US', 'dark']]) {
    const short = language.slice(0, 2);
    const both = (where, options) => pair(open, where, { locale: language, ...options });
    const at = async (state, ...pages) => {
      for (const page of pages) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        assert.deepEqual(await faults(page), [], `${state}, ${page.size}`);
        await album.look(page, `${state}-${page.size}-${short}`);
      }
    };

    test(`all states on a telephone and on a screen: ${language}`, async () => {
      const where = `page-${short}`;
      const insecure = await both(where, { script: INSECURE });
      await at('insecure', ...insecure);
      for (const page of insecure) await page.context().close();

      const pages = await both(where);
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
      for (const page of pages) await seesOthers(page, 2);
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

  const two = (where, options) => pair(open, where, options);

  test('what comes between somebody and a meeting', async () => {
    const wire = new Wire();
    const host = await Participant.open(browser, server, { path: '/host' });
    await host.join('troubles', { resolution: 180, name: 'Cem' });
    const pages = await two('troubles', { before: wire.before, script: SLOW_WHEN_TOLD });
    await enter(pages[0], 'Anna');
    await enter(pages[1], 'Ben');
    for (const page of pages) await seesOthers(page, 2);
    const ids = () => Promise.all(pages.map((page) => page.evaluate(() => window.plausch.id)));
    const were = await ids();

    await wire.cut();
    for (const page of pages) await page.waitForFunction(() => window.plausch.connection === 'reconnecting');
    // Of those who are there already the server tells in any order.
    await pages[1].evaluate(() => {
      const others = [...document.querySelectorAll('#stage .tile:not(.own)')].sort((a, b) => a.innerText.localeCompare(b.innerText));
      document.getElementById('stage').prepend(...others);
    });
    await each('reconnecting', ...pages);
    wire.mend();
    for (const page of pages) await page.waitForFunction(() => window.plausch.connection === 'online', null, { timeout: 20000 });
    assert.deepEqual(await ids(), were, 'the same session');

    // The server has forgotten them: they are out, and their browsers take their time with the camera.
    await wire.cut();
    for (const page of pages) await page.evaluate(() => { window.slow = true; });
    wire.mend({ forgotten: true });
    for (const page of pages) await page.waitForFunction(() => window.plausch.state === 'failed', null, { timeout: 20000 });
    await each('rejoining', ...pages);
    wire.mend();
    for (const page of pages) await page.evaluate(() => window.go());
    for (const page of pages) await page.waitForFunction((old) => window.plausch.state === 'joined' && !old.includes(window.plausch.id), were, { timeout: 30000 });

    for (const id of await ids()) await host.call('kick', id);
    for (const page of pages) await page.waitForSelector('#lobby:not([hidden])');
    await each('removed', ...pages);
    for (const page of pages) assert.deepEqual(page.errors, []);
    await Promise.all([...pages.map((page) => page.context().close()), host.close()]);
    assert.deepEqual(album.complaints(), []);
  });

  test('a password and a lobby, on both sides of the door', async () => {
    const [moderators, guests] = [await two('door'), await two('door')];
    await enter(moderators[0], 'Anna');
    await enter(moderators[1], 'Ben');
    await moderators[0].evaluate(() => window.plausch.grant(window.plausch.participants[0].id));
    for (const page of moderators) {
      await page.click('#open-entry');
      await page.waitForSelector('#lobby-switch:visible');
    }
    await each('entry', ...moderators);
    await moderators[0].fill('#new-password', 'Geheim 1');
    await moderators[0].click('#password-button');
    for (const page of moderators) await page.waitForFunction(() => window.plausch.entry.locked);

    const asked = async (what) => { for (const page of guests) await page.waitForFunction((w) => window.plausch.asked?.what === w, what); };
    for (const page of guests) await page.click('#join');
    await asked('password');
    await each('asks-password', ...guests);
    for (const page of guests) {
      await page.fill('#password', 'Falsch 1');
      await page.press('#password', 'Enter');
      await page.waitForFunction(() => window.plausch.asked?.wrong);
    }
    await each('wrong-password', ...guests);
    for (const page of guests) {
      await page.click('#give-up');
      await page.waitForFunction(() => window.plausch.state === 'left');
    }

    await moderators[1].click('#lobby-switch');
    for (const page of moderators) await page.waitForFunction(() => window.plausch.entry.lobby);
    await each('entry-guarded', ...moderators);
    for (const page of guests) await page.click('#join');
    await asked('name');
    await each('asks-name', ...guests);
    for (const [page, name] of [[guests[0], 'Clara Musterfrau-Beispielhausen'], [guests[1], 'Dora']]) {
      await page.fill('#name', name);
      await page.press('#name', 'Enter');
      await moderators[0].waitForFunction((n) => window.plausch.knocking().some((k) => k.name === n), name);
    }
    await asked('wait');
    await each('waiting', ...guests);
    for (const page of moderators) {
      await page.click('[data-close=entry]');
      await page.waitForFunction(() => window.plausch.knocking().length === 2);
    }
    await each('knocks', ...moderators);
    for (const page of guests) {
      await moderators[1].click('#knocking .secondary >> nth=0');
      await page.waitForFunction(() => window.plausch.state === 'failed');
    }
    await each('turned-away', ...guests);
    for (const page of [...moderators, ...guests]) assert.deepEqual(page.errors, []);
    await Promise.all([...moderators, ...guests].map((page) => page.context().close()));
    assert.deepEqual(album.complaints(), []);
  });

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
});

describe('where people log in, the test-call page looks as it did', () => {
  let server, browser;
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'plausch-pictures-'));
  before(async () => {
    const [state, logins] = [['--state', path.join(folder, 'state')], { ENABLE_AUTH: '1', ENABLE_GUESTS: '1' }];
    server = await Server.start({ web: 'none', tls: true, args: state, env: logins });
    browser = await launch({ letters });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    fs.rmSync(folder, { recursive: true });
  });

  test('a guest waits for a host, who may log in', async () => {
    const pages = await pair((where, options) => openPage(browser, server, where, options), 'host');
    for (const page of pages) {
      await page.fill('#name', 'Eva');
      await page.click('#join');
      await page.waitForFunction(() => window.plausch.asked?.what === 'host');
    }
    await each('waiting-host', ...pages);
    for (const page of pages) {
      await page.click('#host summary');
      await page.fill('#account', 'anna');
      await page.fill('#account-password', 'falsch');
      await page.press('#account-password', 'Enter');
      await page.waitForSelector('#host-note:not(:empty)');
    }
    await each('login-failed', ...pages);
    for (const page of pages) assert.deepEqual([page.errors, (await page.evaluate(() => window.plausch.state))], [[], 'joining']);
    await Promise.all(pages.map((page) => page.context().close()));
    assert.deepEqual(album.complaints(), []);
  });
});

describe('where one watches, the test-call page looks as it did', () => {
  let server, browser;
  before(async () => {
    server = await Server.start({ web: 'none', env: { ENABLE_VISITORS: '1', VISITORS_MAX_PARTICIPANTS: '1', PLAUSCH_VISITORS_COME_IN: '0' } });
    browser = await launch({ letters });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test('somebody watches, and asks to take part', async () => {
    const host = await Participant.open(browser, server, { path: '/host' });
    await host.join('gallery', { resolution: 180, name: 'Cem' });
    const pages = await pair((where, options) => openPage(browser, server, where, options), 'gallery');
    for (const page of pages) {
      await page.click('#join');
      await page.waitForFunction(() => window.plausch.state === 'joined' && window.plausch.watching);
      await seesOthers(page, 1);
    }
    await each('watching', ...pages);
    for (const page of pages) await page.click('#hand');
    await each('hand-up', ...pages);
    for (const page of pages) assert.deepEqual(page.errors, []);
    await Promise.all([...pages.map((page) => page.context().close()), host.close()]);
    assert.deepEqual(album.complaints(), []);
  });
});

test('every picture that is kept is looked at', () => assert.deepEqual(album.left(), []));
