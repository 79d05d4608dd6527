// Starts and stops one all-in-one Plausch: options in, base address, process figures and counters out.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const BINARY = process.env.PLAUSCH_BIN;
const PORTS = { http: 8000, https: 8443, media: 10000, admin: 8888, xmpp: 5222 };

export class Server {
  // `tls`: people come over TLS, with a certificate that the program makes itself. `at`: another address of ours than loopback, and
  // `publicly` the one that people use when a router stands in between.
  static async start({ web, tls = false, at, publicly = at, args = [], env = {} } = {}) {
    if (!BINARY) throw new Error('PLAUSCH_BIN must name the plausch binary');
    const server = new Server();
    server.log = path.join(os.tmpdir(), `plausch-${process.pid}-${Date.now()}.log`);
    const out = fs.openSync(server.log, 'w');
    // Without the public address the bridge tells nobody where its WebSocket is.
    const base = at ? `https://${host(publicly)}` : tls ? `https://localhost:${PORTS.https}` : `http://localhost:${PORTS.http}`;
    const all = ['--public-url', base, ...(at ? ['--https', `${host(at)}:443`] : tls ? ['--https', `127.0.0.1:${PORTS.https}`] : []), ...(web ? ['--web', web] : []), ...args];
    server.child = spawn(BINARY, all, { stdio: ['ignore', out, out], env: { ...process.env, RUST_LOG: process.env.RUST_LOG ?? 'info', ...env } });
    server.exited = new Promise((resolve) => server.child.on('exit', (code, signal) => { server.exit = { code, signal }; resolve(server.exit); }));
    server.base = base;
    await until('the server to be healthy', async () => {
      if (server.exit) throw new Error(`plausch ended at start: ${JSON.stringify(server.exit)}\n${server.tail()}`);
      return (await fetch(`http://127.0.0.1:${PORTS.admin}/about/health`).catch(() => null))?.ok;
    }, 15000);
    return server;
  }

  tail(lines = 60) { return fs.readFileSync(this.log, 'utf8').split('\n').slice(-lines).join('\n'); }

  // Resident memory of the process in kB.
  memory() { return +/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))[1]; }

  // What the admin's listener answers.
  async admin(where) { return (await fetch(`http://127.0.0.1:${PORTS.admin}${where}`)).json(); }

  async stats() { return (await fetch(`http://127.0.0.1:${PORTS.admin}/colibri/stats`)).json(); }

  // A metric's value summed over its labels; undefined when there is none.
  async metric(name) {
    const text = await (await fetch(`http://127.0.0.1:${PORTS.admin}/metrics`)).text();
    const rows = text.split('\n').filter((l) => l.startsWith(name) && /^[{ ]/.test(l.slice(name.length)));
    return rows.length ? rows.reduce((sum, l) => sum + Number(l.split(' ').pop()), 0) : undefined;
  }

  async stop() {
    if (!this.exit) this.child.kill('SIGINT');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10000);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
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
