// Starts and stops a process of ours, and one that is an all-in-one: options in, base address, process figures and counters out.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const BINARY = process.env.PLAUSCH_BIN;
const PORTS = { http: 8000, https: 8443, media: 10000, admin: 8888, xmpp: 5222 };

// One process: it may end and be started again. `admin`: the port where it says that it is well.
export class Process {
  constructor(name, args, env, admin) {
    Object.assign(this, { name, args, env, port: admin });
    this.log = path.join(os.tmpdir(), `plausch-${process.pid}-${name}-${Date.now()}.log`);
  }

  async start() {
    if (!BINARY) throw new Error('PLAUSCH_BIN must name the plausch binary');
    const out = fs.openSync(this.log, 'a');
    const child = spawn(BINARY, this.args, { stdio: ['ignore', out, out], env: { ...process.env, RUST_LOG: process.env.RUST_LOG ?? 'info', ...this.env } });
    fs.closeSync(out);
    this.child = child;
    this.exit = undefined;
    this.exited = new Promise((resolve) => child.on('exit', (code, signal) => {
      if (this.child === child) this.exit = { code, signal };
      resolve({ code, signal });
    }));
    await until(`${this.name} to be healthy`, async () => {
      if (this.exit) throw new Error(`${this.name} ended at start: ${JSON.stringify(this.exit)}\n${this.tail()}`);
      return (await this.asks('/about/health').catch(() => null))?.ok;
    }, 15000);
    return this;
  }

  signal(name) { this.child.kill(name); }

  // Without goodbye.
  async kill() {
    this.signal('SIGKILL');
    await this.exited;
  }

  // Ends it, also one that stands still.
  async stop() {
    if (!this.child || this.exit) return this.exit;
    this.signal('SIGCONT');
    this.signal('SIGINT');
    const timer = setTimeout(() => this.signal('SIGKILL'), 10000);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  asks(where, options) { return fetch(`http://127.0.0.1:${this.port}${where}`, options); }

  async stats() { return (await this.asks('/colibri/stats')).json(); }

  tail(lines = 60) { return fs.readFileSync(this.log, 'utf8').split('\n').slice(-lines).join('\n'); }
}

export class Server extends Process {
  // `tls`: people come over TLS, with a certificate that the program makes itself. `at`: another address of ours than loopback, and
  // `publicly` the one that people use when a router stands in between.
  static async start({ web, tls = false, at, publicly = at, args = [], env = {} } = {}) {
    // Without the public address the bridge tells nobody where its WebSocket is.
    const base = at ? `https://${host(publicly)}` : tls ? `https://localhost:${PORTS.https}` : `http://localhost:${PORTS.http}`;
    const all = ['--public-url', base, ...(at ? ['--https', `${host(at)}:443`] : tls ? ['--https', `127.0.0.1:${PORTS.https}`] : []), ...(web ? ['--web', web] : []), ...args];
    const server = new Server('server', all, env, PORTS.admin);
    server.base = base;
    return server.start();
  }

  // Resident memory of the process in kB.
  memory() { return +/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))[1]; }

  // What the admin's listener answers.
  async admin(where) { return (await this.asks(where)).json(); }

  // A metric's value summed over its labels; undefined when there is none.
  async metric(name) {
    const text = await (await this.asks('/metrics')).text();
    const rows = text.split('\n').filter((l) => l.startsWith(name) && /^[{ ]/.test(l.slice(name.length)));
    return rows.length ? rows.reduce((sum, l) => sum + Number(l.split(' ').pop()), 0) : undefined;
  }

  async stop() {
    if (!this.successor) return super.stop();
    // After an upgrade it is another process, which is not ours; it ends the one before it, too.
    process.kill(this.successor, 'SIGINT');
    await until('the end of the new process', () => !fs.existsSync(`/proc/${this.successor}`), 10000);
    return super.stop();
  }
}

const host = (address) => (address.includes(':') ? `[${address}]` : address);

// Polls until `probe` is truthy and returns what it gave; fails by name after `ms`.
export async function until(what, probe, ms = 15000, every = 100) {
  const end = Date.now() + ms;
  let last;
  while (Date.now() < end) {
    last = await probe();
    if (last) return last;
    await new Promise((r) => setTimeout(r, every));
  }
  throw new Error(`timed out after ${ms} ms waiting for ${what}; last answer: ${JSON.stringify(last)}`);
}

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
