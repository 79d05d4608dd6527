// Cuts this network namespace's loopback for the meeting's ports, and heals it; makes a network of its own for browsers, behind a firewall.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

// Drops all traffic of the web and media ports. Returns the function that lets it through again.
export async function drop() {
  ours();
  const nft = (script) => execFileSync('nft', ['-f', '-'], { input: script });
  nft('table inet plausch {\n chain cut {\n  type filter hook input priority 0;\n  tcp dport 8000 drop\n  tcp sport 8000 drop\n  udp dport 10000 drop\n  udp sport 10000 drop\n }\n}\n');
  return async () => nft('delete table inet plausch\n');
}

function ours() {
  if (process.env.PLAUSCH_TEST_NAMESPACE !== '1') throw new Error('this needs the network namespace that `cargo xtask test` makes');
}

// A network namespace that reaches the server over one wire, at SERVER. It is gone with the process that holds it, and that with us.
export class Behind {
  static SERVER = '10.99.0.1';

  static async open() {
    ours();
    const it = new Behind();
    it.holder = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'ignore', 'inherit'] });
    const own = fs.readlinkSync('/proc/self/ns/net');
    while (fs.readlinkSync(`/proc/${it.holder.pid}/ns/net`) === own) await new Promise((r) => setTimeout(r, 20));
    run('ip', 'link', 'add', 'server', 'type', 'veth', 'peer', 'name', 'client', 'netns', `${it.holder.pid}`);
    run('ip', 'addr', 'add', `${Behind.SERVER}/24`, 'dev', 'server');
    run('ip', 'link', 'set', 'server', 'up');
    for (const args of [['addr', 'add', '10.99.0.2/24', 'dev', 'client'], ['link', 'set', 'client', 'up'], ['link', 'set', 'lo', 'up']]) it.#inside('ip', ...args);
    return it;
  }

  // Only this leaves: a rule of nftables for packets that may go, such as `tcp dport 443`. Two browsers do not reach each other by UDP either.
  lets(rule) {
    this.#nft(`table inet firewall {}\ndelete table inet firewall\ntable inet firewall {
 chain out {\n  type filter hook output priority 0; policy drop;\n  oif lo meta l4proto != udp accept\n  ${rule} accept\n  counter name refused drop\n }
 counter refused { }\n}\n`);
  }

  // How many packets the firewall did not let out.
  refused() {
    const text = execFileSync('nsenter', ['-t', `${this.holder.pid}`, '-n', 'nft', 'list', 'counter', 'inet', 'firewall', 'refused']).toString();
    return Number(/packets (\d+)/.exec(text)[1]);
  }

  // A program that starts another one in here.
  wrap(program) {
    this.script = path.join(os.tmpdir(), `plausch-behind-${this.holder.pid}`);
    fs.writeFileSync(this.script, `#!/bin/sh\nexec nsenter -t ${this.holder.pid} -n "${program}" "$@"\n`, { mode: 0o755 });
    return this.script;
  }

  close() {
    if (this.script) fs.rmSync(this.script, { force: true });
    this.holder.stdin.end();
    return new Promise((resolve) => this.holder.on('exit', resolve));
  }

  #inside(...command) { run('nsenter', '-t', `${this.holder.pid}`, '-n', ...command); }

  #nft(script) { execFileSync('nsenter', ['-t', `${this.holder.pid}`, '-n', 'nft', '-f', '-'], { input: script }); }
}

const run = (program, ...args) => execFileSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
