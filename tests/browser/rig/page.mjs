// The test-call page as people open it: a browser, a server and how large, dark and German it is in; the page, what axe finds and what hangs over the edge out.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

// The page's scripts and style out of this folder, not out of the program: for looking at changes without a build.
const PAGE_FILES = process.env.PAGE_FILES;
const AXE = fs.readFileSync(path.join(path.dirname(fileURLToPath(import.meta.url)), '../node_modules/axe-core/axe.min.js'), 'utf8');
export const LARGE = { width: 1100, height: 760 };
export const SMALL = { width: 360, height: 640 };

// What a browser has on a page without https.
export const INSECURE = `Object.defineProperty(window, 'isSecureContext', { value: false });
  Object.defineProperty(navigator, 'mediaDevices', { value: undefined });
  for (const name of ['randomUUID', 'subtle']) Object.defineProperty(crypto, name, { value: undefined });`;

// `before`: what is done to the page before it loads.
export async function open(browser, server, where, { locale = 'de-DE', viewport = LARGE, colorScheme = 'light', script, before } = {}) {
  const context = await browser.newContext({ locale, viewport, colorScheme, ignoreHTTPSErrors: true });
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
  await before?.(page);
  await page.goto(`${server.base}/${where}`);
  await page.waitForFunction(() => document.title !== 'Plausch');
  return page;
}

export async function enter(page, name) {
  await page.fill('#name', name);
  await page.click('#join');
  await page.waitForFunction(() => window.plausch.state === 'joined', null, { timeout: 20000 });
}

// Pictures of so many others are there.
export const seesOthers = (page, count) => page.waitForFunction(
  (n) => [...document.querySelectorAll('.tile:not(.own) video')].filter((v) => v.videoWidth > 0).length === n, count, { timeout: 20000 });

export async function faults(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const found = violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`);
  const sizes = await page.evaluate(() => {
    const texts = [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
    const small = texts.filter((e) => parseFloat(getComputedStyle(e).fontSize) < 16).map((e) => e.outerHTML.slice(0, 80));
    return { small, wide: document.documentElement.scrollWidth > innerWidth };
  });
  return [...found, ...sizes.small.map((s) => `below 16 px: ${s}`), ...(sizes.wide ? ['wider than the window'] : [])];
}

// The page's way to the XMPP server, to be given to `open` as `before`: `cut()` ends what is open and lets nothing through, `mend()` lets through
// again, with `forgotten` as if the server knew nothing of the session.
export class Wire {
  constructor() {
    this.sockets = new Set();
    this.whole = true;
    this.forgotten = false;
    this.before = (page) => page.routeWebSocket(/\/xmpp-websocket/, (socket) => {
      if (!this.whole) { socket.close(); return; }
      const server = socket.connectToServer();
      this.sockets.add(socket);
      socket.onMessage((stanza) => server.send(this.forgotten ? stanza.replace(/(<resume[^>]* previd=")[^"]*/, '$1unknown') : stanza));
    });
  }

  async cut() {
    this.whole = false;
    for (const socket of this.sockets) await socket.close({ code: 1001 });
    this.sockets.clear();
  }

  mend({ forgotten = false } = {}) {
    this.forgotten = forgotten;
    this.whole = true;
  }
}
