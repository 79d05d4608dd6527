// An XMPP server, a focus and bridges as processes of their own, each of them to be killed, frozen, cut off and started again: what to
// start in, addresses and what the focus knows of its bridges out.
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Process, until } from './server.mjs';

const XMPP = 5222;
const ADMIN = { xmpp: 8888, focus: 8889 };

// The TCP way from a part to the XMPP server. Cut, it takes connections and lets nothing through, as a network does that lost its way.
class Cable {
  static async open() {
    const it = new Cable();
    it.whole = true;
    it.pairs = new Set();
    it.server = net.createServer((near) => it.#join(near));
    await new Promise((resolve) => it.server.listen(0, '127.0.0.1', resolve));
    it.port = it.server.address().port;
    return it;
  }

  #join(near) {
    const pair = { near, far: null };
    this.pairs.add(pair);
    const end = () => { near.destroy(); pair.far?.destroy(); this.pairs.delete(pair); };
    near.on('error', end).on('close', end);
    if (!this.whole) return;
    pair.far = net.connect(XMPP, '127.0.0.1').on('error', end).on('close', end);
    near.pipe(pair.far);
    pair.far.pipe(near);
  }

  cut() {
    this.whole = false;
    for (const { near, far } of this.pairs) {
      near.unpipe();
      far?.unpipe();
      near.pause();
      far?.pause();
    }
  }

  // What was under way while it was cut comes now, as TCP brings it; what was opened meanwhile finds nobody.
  mend() {
    this.whole = true;
    for (const pair of this.pairs) {
      if (!pair.far) { pair.near.destroy(); continue; }
      pair.near.pipe(pair.far);
      pair.far.pipe(pair.near);
    }
  }

  close() {
    for (const { near, far } of this.pairs) { near.destroy(); far?.destroy(); }
    this.server.close();
  }
}

// The web server in front of all: pages come from an all-in-one that nobody meets at, the rest goes to the part whose it is.
class Front {
  static PAGES = 8300;

  static async open(focus) {
    const it = new Front();
    const part = (url) => {
      const [, what, more] = /^\/(?:[^/]+\/)?(xmpp-websocket|http-bind|conference-request|colibri-ws)\/?(?:jvb(\d))?/.exec(url) ?? [];
      return { 'xmpp-websocket': 8001, 'http-bind': 8001, 'conference-request': focus, 'colibri-ws': 8100 + Number(more) }[what] ?? Front.PAGES;
    };
    const onward = ({ url, method, headers }) => http.request({ host: '127.0.0.1', port: part(url), path: url, method, headers });
    it.server = http.createServer((asked, answer) => {
      const on = onward(asked).on('error', () => answer.writeHead(502).end());
      on.on('response', (r) => { answer.writeHead(r.statusCode, r.headers); r.pipe(answer); });
      asked.pipe(on);
    });
    it.server.on('upgrade', (asked, near, early) => {
      const on = onward(asked).on('error', () => near.destroy());
      on.on('upgrade', (r, far, first) => {
        const lines = Object.entries(r.headers).map(([k, v]) => `${k}: ${v}`);
        near.write(['HTTP/1.1 101 Switching Protocols', ...lines, '', ''].join('\r\n'));
        // What came with the headers, in one packet: a stock bridge says hello that early.
        near.write(first);
        far.write(early);
        for (const [a, b] of [[near, far], [far, near]]) a.pipe(b).on('error', () => a.destroy());
        near.on('close', () => far.destroy());
        far.on('close', () => near.destroy());
      });
      on.end();
    });
    await new Promise((resolve) => it.server.listen(8000, resolve));
    return it;
  }

  close() { this.server.closeAllConnections(); this.server.close(); }
}

export class Parts {
  // `bridges`: how many. `spread`: each of a meeting on another one. `focus`, `bridge`: variables for these.
  static async start({ web, bridges = 2, spread = false, focus = {}, bridge = {} } = {}) {
    const it = new Parts();
    it.base = 'http://localhost:8000';
    it.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'plausch-parts-'));
    it.token = path.join(it.folder, 'token');
    const env = { JICOFO_AUTH_PASSWORD: 'eins', JVB_AUTH_PASSWORD: 'zwei', ...(spread ? { ENABLE_OCTO: '1', OCTO_BRIDGE_SELECTION_STRATEGY: 'SplitBridgeSelectionStrategy' } : {}) };
    const common = (http, admin, xmpp) => ['--public-url', it.base, '--http', `127.0.0.1:${http}`, '--admin', `127.0.0.1:${admin}`, '--admin-token-file', it.token,
      ...(xmpp ? ['--xmpp-server', `127.0.0.1:${xmpp}`] : ['--xmpp', `127.0.0.1:${XMPP}`])];
    it.pages = new Process('pages', ['--public-url', it.base, '--http', `127.0.0.1:${Front.PAGES}`, '--admin', '127.0.0.1:8301', '--xmpp', '127.0.0.1:8302', '--media', '127.0.0.1:8303', '--web', web], {}, 8301);
    await it.pages.start();
    it.front = await Front.open(8200);
    it.xmpp = new Process('xmpp', ['xmpp', ...common(8001, ADMIN.xmpp)], env, ADMIN.xmpp);
    await it.xmpp.start();
    it.cables = [];
    const cable = async () => { const c = await Cable.open(); it.cables.push(c); return c; };
    it.bridges = [];
    for (let n = 1; n <= bridges; n++) {
      const way = await cable();
      const admin = 8890 + n;
      const args = ['videobridge', ...common(8100 + n, admin, way.port), '--media', `127.0.0.1:${10000 + n}`, '--bridge-name', `jvb${n}`];
      const part = new Process(`jvb${n}`, args, { ...env, ...(spread ? { JVB_OCTO_RELAY_ID: `jvb${n}` } : {}), ...bridge }, admin);
      part.cable = way;
      it.bridges.push(await part.start());
    }
    const way = await cable();
    it.focus = new Process('focus', ['focus', ...common(8200, ADMIN.focus, way.port)], { ...env, ...focus }, ADMIN.focus);
    it.focus.cable = way;
    await it.focus.start();
    await it.knows(bridges);
    return it;
  }

  // Waits until the focus has so many bridges that it may use.
  knows(count, ms = 30000) {
    return until(`a focus that knows ${count} bridges`, async () => {
      const { bridge_selector: known } = await (await this.focus.asks('/debug?full=true')).json();
      return Object.values(known.bridges).filter((b) => b.operational).length === count;
    }, ms);
  }

  // A bridge drains, or does no longer, and the focus knows it. Whoever drains gets nobody new, whatever load it says: that hangs on when
  // it looked at a machine on which all run.
  async drains(part, on) {
    await this.orders(`/colibri/drain/${on ? 'enable' : 'disable'}`, part);
    await until(`a focus that knows that ${part.name} drains, or not`, async () => {
      const { bridge_selector: known } = await (await this.focus.asks('/debug?full=true')).json();
      return Object.values(known.bridges).some((b) => b.drain) === on;
    }, 15000);
  }

  // How many conferences and people each has.
  async load() {
    const all = await Promise.all(this.bridges.map((b) => (b.exit ? null : b.stats().catch(() => null))));
    return all.map((s) => (s ? [s.conferences, s.participants] : null));
  }

  // The bridges that carry something, and the others.
  async sorted() {
    const load = await this.load();
    return { busy: this.bridges.filter((_, i) => load[i]?.[0] > 0), idle: this.bridges.filter((_, i) => load[i]?.[0] === 0) };
  }

  // Says something to the focus, or to another part, as its admin.
  async orders(where, part = this.focus) {
    const answer = await part.asks(where, { method: 'POST', headers: { authorization: `Bearer ${fs.readFileSync(this.token, 'utf8').trim()}` } });
    if (!answer.ok) throw new Error(`${where}: ${answer.status} ${await answer.text()}`);
    const text = await answer.text();
    return text ? JSON.parse(text) : null;
  }

  tail() { return [this.focus, ...this.bridges].map((p) => `── ${p.name}\n${p.tail()}`).join('\n'); }

  async stop() {
    for (const part of [this.focus, ...this.bridges, this.xmpp, this.pages]) await part?.stop();
    for (const c of [this.front, ...this.cables]) c.close();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
