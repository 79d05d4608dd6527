// One headless Firefox of Debian with fake media, driven by WebDriver BiDi: the few calls of a page that the cases need, as Playwright has them.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ws as WebSocket } from 'playwright-core/lib/utilsBundle';

// Playwright's own driver wants commands that the Firefox of a long-term release does not have.
const PREFERENCES = {
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.autoplay.default': 0,
  'media.autoplay.block-webaudio': false,
  'media.peerconnection.ice.loopback': true,
  // Nothing goes out by itself.
  'app.update.enabled': false, 'browser.safebrowsing.update.enabled': false, 'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false, 'network.connectivity-service.enabled': false, 'toolkit.telemetry.enabled': false,
  'media.gmp-manager.updateEnabled': false, 'extensions.update.enabled': false, 'browser.shell.checkDefaultBrowser': false,
};

// `behind`: the network in which it runs (network.mjs). `name`: leads to the server, as every other name does here.
export async function launch({ behind, name } = {}) {
  const installed = process.env.FIREFOX ?? '/usr/bin/firefox-esr';
  if (!fs.existsSync(installed)) throw new Error(`no browser at ${installed}: run \`cargo xtask test\`, which installs it`);
  const it = new Firefox();
  it.profile = fs.mkdtempSync(path.join(os.tmpdir(), 'plausch-firefox-'));
  const lines = Object.entries({ ...PREFERENCES, ...(name ? { 'network.dns.forceResolve': behind.constructor.SERVER } : {}) }).map(([k, v]) => `user_pref(${JSON.stringify(k)}, ${JSON.stringify(v)});\n`);
  fs.writeFileSync(path.join(it.profile, 'user.js'), lines.join(''));
  const args = ['--headless', '--no-remote', '--profile', it.profile, '--remote-debugging-port', '0'];
  // Its debugging port is on its own loopback: what drives it there is a pipe through the network's wall.
  it.child = spawn(behind?.wrap(installed) ?? installed, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: it.profile } });
  it.gone = new Promise((resolve) => it.child.on('exit', resolve));
  const url = await new Promise((resolve, reject) => {
    let said = '';
    it.child.stderr.on('data', (d) => { said = (said + d).slice(-4000); const at = /WebDriver BiDi listening on (ws:\S+)/.exec(said); if (at) resolve(at[1]); });
    it.child.on('exit', () => reject(new Error(`Firefox ended at start\n${said}`)));
    setTimeout(() => reject(new Error(`Firefox does not listen\n${said}`)), 60000).unref();
  });
  await it.connect(`${url}/session`, behind);
  await it.send('session.new', { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } });
  await it.send('session.subscribe', { events: ['log.entryAdded'] });
  return it;
}

class Firefox {
  #next = 0;
  #waiting = new Map();
  pages = new Map();

  async connect(url, behind) {
    this.socket = new WebSocket(url, behind ? { createConnection: () => behind.dial(Number(new URL(url).port)) } : {});
    await new Promise((resolve, reject) => { this.socket.on('open', resolve); this.socket.on('error', reject); });
    this.socket.on('message', (data) => {
      const m = JSON.parse(data);
      if (m.type === 'event') {
        this.pages.get(m.params.source?.context)?.said(m.params);
        return;
      }
      const { resolve, reject } = this.#waiting.get(m.id) ?? {};
      this.#waiting.delete(m.id);
      if (m.type === 'success') resolve?.(m.result); else reject?.(new Error(`${m.error}: ${m.message}`));
    });
    this.socket.on('close', () => { for (const w of this.#waiting.values()) w.reject(new Error('Firefox has gone')); });
  }

  send(method, params) {
    const id = ++this.#next;
    return new Promise((resolve, reject) => { this.#waiting.set(id, { resolve, reject }); this.socket.send(JSON.stringify({ id, method, params })); });
  }

  async newContext() {
    const { userContext } = await this.send('browser.createUserContext', { acceptInsecureCerts: true });
    return {
      newPage: async () => {
        const { context } = await this.send('browsingContext.create', { type: 'window', userContext });
        await this.send('browsingContext.setViewport', { context, viewport: { width: 900, height: 700 } });
        const page = new Page(this, context);
        this.pages.set(context, page);
        return page;
      },
      close: () => this.send('browser.removeUserContext', { userContext }),
    };
  }

  async close() {
    this.socket?.terminate();
    // The program that was started is a script's or the launcher's; what it started goes with it.
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10000);
    await this.gone;
    clearTimeout(timer);
    fs.rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Page {
  #listeners = [];

  constructor(browser, context) { Object.assign(this, { browser, context }); }

  on(event, listener) { if (event === 'console') this.#listeners.push(listener); }

  said(entry) { for (const l of this.#listeners) l({ type: () => entry.level, text: () => `${entry.text}${entry.level === 'error' ? JSON.stringify(entry.stackTrace ?? '') : ''}` }); }

  addInitScript(text) {
    return this.browser.send('script.addPreloadScript', { functionDeclaration: `() => {${text}\n}`, contexts: [this.context] });
  }

  goto(url) { return this.browser.send('browsingContext.navigate', { context: this.context, url, wait: 'complete' }); }

  // Arguments and answers go as JSON: everything that the cases say is.
  async evaluate(what, argument) {
    const call = typeof what === 'function' ? `(${what})(${JSON.stringify(argument) ?? ''})` : what;
    const done = await this.browser.send('script.evaluate', {
      target: { context: this.context }, awaitPromise: true, userActivation: true,
      expression: `(async () => JSON.stringify(await (async () => (${call}))()))()`,
    });
    if (done.type === 'exception') throw new Error(`${done.exceptionDetails.text}\n${JSON.stringify(done.exceptionDetails.stackTrace?.callFrames?.slice(0, 4))}`);
    return done.result.type === 'string' ? JSON.parse(done.result.value) : undefined;
  }

  async waitForFunction(condition, ms = 20000) {
    for (const end = Date.now() + ms; Date.now() < end; await new Promise((r) => setTimeout(r, 50))) {
      if (await this.evaluate(`Boolean(await (${condition})())`)) return;
    }
    throw new Error(`timed out waiting for ${condition}`);
  }
}
