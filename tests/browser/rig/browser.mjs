// One headless Chromium with fake media: pages in, participants out.
import { chromium } from 'playwright-core';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './server.mjs';

const FLAGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', '--mute-audio',
  '--autoplay-policy=no-user-gesture-required', '--allow-loopback-in-peer-connection', '--disable-renderer-backgrounding',
  '--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows', '--auto-select-desktop-capture-source=Entire screen'];
const HERE = path.dirname(fileURLToPath(import.meta.url));
const INIT = fs.readFileSync(path.join(HERE, '../pages/init.js'), 'utf8');

// `behind`: the network in which it runs (network.mjs). `proxy`: the HTTP proxy that it uses. `name`: leads to the server, for it alone. `letters`: its fonts (album.mjs). `more`: further flags.
export async function launch({ behind, proxy, name, letters, more = [] } = {}) {
  const installed = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!fs.existsSync(installed)) throw new Error(`no browser at ${installed}: run \`cargo xtask test\`, which installs it`);
  const executablePath = behind?.wrap(installed) ?? installed;
  // Playwright's own way to trust a certificate does not reach TURN over TLS.
  const args = [...FLAGS, ...(behind ? ['--ignore-certificate-errors'] : []), ...(proxy ? [`--proxy-server=${proxy}`] : []), ...(name ? [`--host-resolver-rules=MAP ${name} ${behind.constructor.SERVER}`] : []), ...(letters?.flags ?? []), ...more];
  return chromium.launch({ executablePath, headless: true, args, env: { ...process.env, ...letters?.env } });
}

// A page with one participant. `scripts`: what runs in it before anything of its own.
export class Participant {
  static async open(browser, server, { path: where, keepFrames = false, scripts = [] } = {}) {
    const p = new Participant();
    p.context = await browser.newContext({ locale: 'en-US', viewport: { width: 900, height: 700 }, ignoreHTTPSErrors: true });
    p.page = await p.context.newPage();
    p.console = [];
    p.frames = [];
    p.page.on('console', (m) => { p.console.push(`${m.type()}: ${m.text()}`); if (p.console.length > 3000) p.console.splice(0, 1000); });
    p.page.on('pageerror', (e) => p.console.push(`pageerror: ${e.stack}`));
    if (keepFrames || process.env.KEEP_FRAMES) p.page.on('websocket', (ws) => {
      ws.on('framesent', (f) => p.frames.push(`> ${f.payload}`));
      ws.on('framereceived', (f) => p.frames.push(`< ${f.payload}`));
    });
    // One after the other for certain.
    await p.page.addInitScript([INIT, ...scripts].join('\n'));
    await p.page.goto(server.base + where, { waitUntil: 'load' });
    // Our own page has the same verbs under its own name.
    await p.page.waitForFunction(() => window.plausch || window.client);
    await p.page.evaluate(() => { window.client ??= window.plausch; });
    return p;
  }

  call(name, ...args) { return this.page.evaluate(([n, a]) => window.client[n](...a), [name, args]); }

  get(name) { return this.page.evaluate((n) => window.client[n], name); }

  media() { return this.page.evaluate(() => window.rig.media()); }

  loudness(value) { return this.page.evaluate((v) => window.rig.loudness(v), value); }

  until(what, expression, arg, ms = 15000) {
    return until(`${this.id}: ${what}`, () => this.page.evaluate(expression, arg), ms);
  }

  async join(room, options) {
    try {
      this.id = await this.call('join', room, options);
    } catch (e) {
      throw new Error(`${e.message}\nconsole:\n${this.console.slice(-40).join('\n')}`);
    }
    return this.id;
  }

  close() { return this.context.close(); }
}
