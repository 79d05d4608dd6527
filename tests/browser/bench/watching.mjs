// A browser that watches four cameras over a bad network, with real pictures: one JSON object with what it saw, network by network. The cameras send a film that the browser has encoded before, so
// that they need no processor; the network is a proxy. Arguments: seconds of each network, joins, networks (all when none is named).
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import { launch } from '../rig/browser.mjs';
import { Server, sleep, until } from '../rig/server.mjs';

const LAYERS = [[320, 180, 150], [640, 360, 500], [1280, 720, 1700]];
const FRAMES = 240;
const LINES = 720;
const HERE = path.dirname(fileURLToPath(import.meta.url));

// Whoever shows the film, and what it is told.
class Cameras {
  constructor(token, film) {
    const words = ['watched', '--bridge', 'http://127.0.0.1:8888', '--token-file', token, '--film', film];
    this.child = spawn(process.env.LOADGEN_BIN, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
    this.exited = new Promise((resolve) => this.child.on('exit', resolve));
  }

  async tell(what) {
    this.child.stdin.write(`${JSON.stringify(what)}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`the cameras are gone: ${JSON.stringify(what)}`);
    return JSON.parse(value);
  }

  network(way) { return this.tell({ network: { up: { delay_ms: 20, ...way.up }, down: { delay_ms: 20, ...way.down } } }); }

  async stop() { this.child.stdin.end(); await this.exited; }
}

async function film(page) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'plausch-film-'));
  for (const [width, height, kbits] of LAYERS) {
    const frames = await page.evaluate((layer) => window.watching.film(layer), { width, height, kbits, frames: FRAMES });
    const head = Buffer.alloc(32);
    head.write('DKIF\0\0\x20\0VP80', 'latin1');
    const parts = frames.flatMap((text) => {
      const data = Buffer.from(text, 'base64');
      const size = Buffer.alloc(12);
      size.writeUInt32LE(data.length);
      return [size, data];
    });
    fs.writeFileSync(path.join(folder, `${height}.ivf`), Buffer.concat([head, ...parts]));
  }
  return folder;
}

// Joins a viewer; what it is told goes through the cameras, which know the bridge.
async function join(page, cameras, id) {
  const { offer } = await cameras.tell({ invite: id });
  const mine = await page.evaluate(([sdp, lines]) => window.watching.watch(sdp, lines), [offer, LINES]);
  await cameras.tell({ accept: id, ...mine });
}

const look = (page, from = 0) => page.evaluate((f) => window.watching.look(f), from);

// What somebody notices of pictures between two moments.
function noticed(sources, from, to) {
  const each = sources.map((all) => {
    const pictures = all.filter(([at]) => at >= from && at <= to);
    const times = [from, ...pictures.map(([at]) => at), to];
    const gaps = times.slice(1).map((at, n) => at - times[n]);
    const height = (lines) => pictures.filter(([, h]) => h >= lines).length / Math.max(1, pictures.length);
    return { fps: pictures.length * 1000 / (to - from), still: Math.max(...gaps), frozen: gaps.filter((gap) => gap > 250).reduce((a, b) => a + b, 0), 180: height(180), 360: height(360), 720: height(720) };
  });
  const worst = (of) => Math.max(...each.map((e) => e[of]));
  const mean = (of) => each.reduce((sum, e) => sum + e[of], 0) / each.length;
  return { fps: mean('fps'), fps_worst: Math.min(...each.map((e) => e.fps)), still_ms: worst('still'), frozen_ms: worst('frozen'), frozen_mean_ms: mean('frozen'), at_180: mean('180'), at_360: mean('360'), at_720: mean('720') };
}

// When from `from` on all sources have this height and keep it for a second.
function backAt(sources, from, lines) {
  const each = sources.map((all) => {
    const after = all.filter(([at]) => at >= from);
    const low = after.findLastIndex(([, h]) => h < lines);
    return low + 1 < after.length ? after[low + 1][0] - from : null;
  });
  return each.includes(null) ? null : Math.max(...each);
}

async function run(seconds, joins, only) {
  const token = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'plausch-watching-')), 'token');
  const server = await Server.start({ web: 'none', env: { PLAUSCH_ADMIN_TOKEN_FILE: token } });
  const browser = await launch();
  const page = await (await browser.newContext()).newPage();
  await page.addInitScript(fs.readFileSync(path.join(HERE, '../pages/watching.js'), 'utf8'));
  await page.goto(server.base, { waitUntil: 'load' });
  const folder = await film(page);
  const cameras = new Cameras(token, folder);
  const out = { joins_ms: [], phases: {} };
  const whole = { down: { rate: 10_000_000 }, up: {} };
  try {
    for (let n = 0; n < joins; n++) {
      await join(page, cameras, `2000000${n.toString(16)}`);
      const { sources, begun } = await until('a first picture of everybody', async () => {
        const seen = await look(page);
        return seen.sources.length === 4 && seen.sources.every((s) => s.length) && seen;
      }, 15000, 50);
      out.joins_ms.push(Math.min(...sources.map((s) => s[0][0])) - begun);
      await page.evaluate(() => window.watching.leave());
      await cameras.tell({ leave: `2000000${n.toString(16)}` });
    }
    await join(page, cameras, '30000000');
    await cameras.network(whole);
    await until('720 lines of everybody', async () => (await look(page)).sources.every((s) => s.at(-1)?.[1] === LINES), 30000);
    await sleep(3000);
    const phases = [
      ['10M', whole, seconds],
      // As long as in the scenes of the simulation: the queue of the step itself is a second.
      ['500k', { down: { rate: 500_000, queue: 64 * 1024 } }, Math.max(seconds, 30)],
      ['10M again', whole, seconds],
      ['loss 5 %', { down: { rate: 10_000_000, loss: 0.05 }, up: { loss: 0.05 } }, seconds],
      ['between', whole, 5],
      ['loss 12 %', { down: { rate: 10_000_000, loss: 0.12 }, up: { loss: 0.12 } }, seconds],
      ['again', whole, 5],
      ['loss 20 %', { down: { rate: 10_000_000, loss: 0.2 }, up: { loss: 0.2 } }, seconds],
    ];
    for (const [name, way, time] of phases.filter(([n]) => !only || only.includes(n))) {
      await cameras.tell({ waited: true });
      const before = await look(page, Infinity);
      await cameras.network(way);
      await sleep(time * 1000);
      const after = await look(page, before.now);
      const heard = after.heard - before.heard;
      const back = backAt(after.sources, before.now, LINES);
      out.phases[name] = { ...noticed(after.sources, before.now, after.now), back_ms: back, concealed: heard ? (after.concealed - before.concealed) / heard : null, ...(await cameras.tell({ waited: true })) };
    }
    await page.evaluate(() => window.watching.leave());
    await cameras.tell({ leave: '30000000' });
  } finally {
    await cameras.stop();
    await browser.close();
    await server.stop();
    fs.rmSync(folder, { recursive: true, force: true });
    if (!process.env.KEEP) fs.rmSync(server.log, { force: true });
  }
  return out;
}

console.log(JSON.stringify(await run(Number(process.argv[2] ?? 12), Number(process.argv[3] ?? 9), process.argv[4]?.split(','))));
