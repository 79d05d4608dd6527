// Cuts this network namespace's loopback for the meeting's ports, and heals it; makes a network of its own for browsers, behind a firewall.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Duplex } from 'node:stream';

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

// A network namespace that reaches the server over one wire, at SERVER (at SERVER6 where there is no IPv4). It is gone with the
// process that holds it, and that with us.
export class Behind {
  static SERVER = '10.99.0.1';
  static SERVER6 = 'fd99::1';

  static async open({ v6 = false, mtu = 1500 } = {}) {
    ours();
    const it = new Behind();
    it.holder = await hold();
    run('ip', 'link', 'add', 'server', 'type', 'veth', 'peer', 'name', 'client', 'netns', `${it.holder.pid}`);
    const address = (a) => (v6 ? ['addr', 'add', `${a}/64`, 'nodad'] : ['addr', 'add', `${a}/24`]);
    still(it.holder, v6);
    run('ip', ...address(v6 ? Behind.SERVER6 : Behind.SERVER), 'dev', 'server');
    run('ip', 'link', 'set', 'server', 'mtu', `${mtu}`, 'up');
    for (const args of [[...address(v6 ? 'fd99::2' : '10.99.0.2'), 'dev', 'client'], ['link', 'set', 'client', 'mtu', `${mtu}`, 'up'], ['link', 'set', 'lo', 'up']]) inside(it.holder, 'ip', ...args);
    return it;
  }

  // Only this leaves: a rule of nftables for packets that may go, such as `tcp dport 443`. Two browsers do not reach each other by UDP either.
  lets(rule) {
    this.#nft(`table inet firewall {}\ndelete table inet firewall\ntable inet firewall {
 chain out {\n  type filter hook output priority 0; policy drop;\n  oif lo meta l4proto != udp accept\n  meta l4proto ipv6-icmp accept\n  ${rule} accept\n  counter name refused drop\n }
 counter refused { }\n}\n`);
  }

  // How many packets the firewall did not let out.
  refused() {
    const text = execFileSync('nsenter', ['-t', `${this.holder.pid}`, '-n', 'nft', 'list', 'counter', 'inet', 'firewall', 'refused']).toString();
    return Number(/packets (\d+)/.exec(text)[1]);
  }

  // A program that starts another one in here.
  wrap(program) {
    const script = path.join(os.tmpdir(), `plausch-behind-${this.holder.pid}-${path.basename(program)}`);
    fs.writeFileSync(script, `#!/bin/sh\nexec nsenter -t ${this.holder.pid} -n "${program}" "$@"\n`, { mode: 0o755 });
    (this.scripts ??= []).push(script);
    return script;
  }

  // A connection to a port of this network's own loopback, through the wall.
  dial(port) {
    const pipe = `const s = require('net').connect(${port}, '127.0.0.1'); process.stdin.pipe(s).pipe(process.stdout)`;
    const child = spawn('nsenter', ['-t', `${this.holder.pid}`, '-n', process.execPath, '-e', pipe], { stdio: ['pipe', 'pipe', 'inherit'] });
    return Duplex.from({ writable: child.stdin, readable: child.stdout });
  }

  close() {
    for (const script of this.scripts ?? []) fs.rmSync(script, { force: true });
    // By itself it would go a moment later, and the next one has its name.
    run('ip', 'link', 'del', 'server');
    this.holder.stdin.end();
    return new Promise((resolve) => this.holder.on('exit', resolve));
  }

  #nft(script) { nft(this.holder, script); }
}

// A house: the server (us, at SERVER) and people in one inner network, behind a router that has the public address and leads its
// ports 443 and 10000 back in, also for those inside (hairpin NAT). People's own way to the server's inner address is shut. A STUN
// server beyond the router, STUN, sees the public address.
export class House extends Behind {
  static SERVER = '192.168.77.5';
  static PUBLIC = '203.0.113.7';
  static STUN = '203.0.113.7:3478';

  static async open() {
    ours();
    const it = new House();
    it.router = await hold();
    it.holder = await hold();
    const [router, people] = [it.router, it.holder].map((h) => `${h.pid}`);
    run('ip', 'link', 'add', 'server', 'type', 'veth', 'peer', 'name', 's', 'netns', router);
    run('ip', 'addr', 'add', `${House.SERVER}/24`, 'dev', 'server');
    run('ip', 'link', 'set', 'server', 'up');
    run('ip', 'route', 'add', 'default', 'via', '192.168.77.1');
    for (const args of [['link', 'add', 'c', 'type', 'veth', 'peer', 'name', 'client', 'netns', people], ['link', 'add', 'house', 'type', 'bridge'],
      ['link', 'set', 's', 'master', 'house'], ['link', 'set', 'c', 'master', 'house'], ['addr', 'add', '192.168.77.1/24', 'dev', 'house'],
      ['addr', 'add', `${House.PUBLIC}/32`, 'dev', 'lo'], ...['lo', 's', 'c', 'house'].map((d) => ['link', 'set', d, 'up'])]) inside(it.router, 'ip', ...args);
    inside(it.router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    nft(it.router, `table ip nat {\n chain in {\n  type nat hook prerouting priority dstnat;\n  ip daddr ${House.PUBLIC} tcp dport 443 dnat to ${House.SERVER}\n  ip daddr ${House.PUBLIC} udp dport 10000 dnat to ${House.SERVER}\n }
 chain out {\n  type nat hook postrouting priority srcnat;\n  ip saddr 192.168.77.0/24 ip daddr ${House.SERVER} ct status dnat masquerade\n }\n}\n`);
    still(it.holder);
    for (const args of [['link', 'set', 'lo', 'up'], ['addr', 'add', '192.168.77.9/24', 'dev', 'client'], ['link', 'set', 'client', 'up'], ['route', 'add', 'default', 'via', '192.168.77.1']]) inside(it.holder, 'ip', ...args);
    it.lets(`ip daddr != ${House.SERVER}`);
    const [address, port] = House.STUN.split(':');
    const seen = House.PUBLIC.split('.').map((part, n) => part ^ [0x21, 0x12, 0xa4, 0x42][n]);
    it.stun = spawn('nsenter', ['-t', router, '-n', process.execPath, '-e', `const s = require('dgram').createSocket('udp4');
      s.on('message', (m, from) => s.send(Buffer.concat([Buffer.from([1, 1, 0, 12]), m.subarray(4, 20), Buffer.from([0, 32, 0, 8, 0, 1, 1, 2, ${seen}])]), from.port, from.address));
      s.bind(${port}, '${address}'); process.stdin.resume().on('end', () => process.exit());`], { stdio: ['pipe', 'ignore', 'inherit'] });
    return it;
  }

  async close() {
    await super.close();
    this.stun.stdin.end();
    this.router.stdin.end();
    await new Promise((resolve) => this.router.on('exit', resolve));
  }
}

// People behind a router that hides them (NAT), whose address to the outside can become another one, as providers do at night. Nobody
// inside is told: packets leave under the new address, and what is sent to the old one is lost.
export class Moving extends Behind {
  static async open() {
    ours();
    const it = new Moving();
    it.router = await hold();
    it.holder = await hold();
    const [router, people] = [it.router, it.holder].map((h) => `${h.pid}`);
    it.last = 2;
    run('ip', 'link', 'add', 'server', 'type', 'veth', 'peer', 'name', 'ext', 'netns', router);
    run('ip', 'addr', 'add', `${Behind.SERVER}/24`, 'dev', 'server');
    run('ip', 'link', 'set', 'server', 'up');
    for (const args of [['link', 'add', 'int', 'type', 'veth', 'peer', 'name', 'client', 'netns', people], ['addr', 'add', '10.99.0.2/24', 'dev', 'ext'],
      ['addr', 'add', '192.168.88.1/24', 'dev', 'int'], ...['lo', 'ext', 'int'].map((d) => ['link', 'set', d, 'up'])]) inside(it.router, 'ip', ...args);
    inside(it.router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
    nft(it.router, 'table ip nat {\n chain out {\n  type nat hook postrouting priority srcnat;\n  oif ext masquerade\n }\n}\n');
    still(it.holder);
    for (const args of [['link', 'set', 'lo', 'up'], ['addr', 'add', '192.168.88.9/24', 'dev', 'client'], ['link', 'set', 'client', 'up'],
      ['route', 'add', 'default', 'via', '192.168.88.1']]) inside(it.holder, 'ip', ...args);
    return it;
  }

  // With its interface down the router forgets under which address whom it has hidden.
  move() {
    const [old, next] = [`10.99.0.${this.last}/24`, `10.99.0.${(this.last += 1)}/24`];
    for (const args of [['link', 'set', 'ext', 'down'], ['addr', 'del', old, 'dev', 'ext'], ['addr', 'add', next, 'dev', 'ext'], ['link', 'set', 'ext', 'up']]) inside(this.router, 'ip', ...args);
  }

  async close() {
    await super.close();
    this.router.stdin.end();
    await new Promise((resolve) => this.router.on('exit', resolve));
  }
}

// A proxy as companies have it: CONNECT on its port, the only way out. To the server alone; counts how often. A browser also asks for
// its maker's hosts, which it gets from nobody.
export class Proxy {
  static PORT = 3128;

  static async open(address) {
    const it = new Proxy();
    it.connected = 0;
    it.open = new Set();
    it.server = http.createServer((_, answer) => answer.writeHead(405).end());
    it.server.on('connect', (request, from, head) => {
      if (request.url !== `${address}:443`) {
        from.end('HTTP/1.1 403 Forbidden\r\n\r\n');
        return;
      }
      it.connected += 1;
      const to = net.connect(443, address, () => { from.write('HTTP/1.1 200 OK\r\n\r\n'); to.write(head); from.pipe(to).pipe(from); });
      for (const s of [from, to]) { it.open.add(s); s.on('error', () => { from.destroy(); to.destroy(); }); s.on('close', () => it.open.delete(s)); }
    });
    await new Promise((resolve) => it.server.listen(Proxy.PORT, address, resolve));
    it.url = `http://${address}:${Proxy.PORT}`;
    return it;
  }

  close() {
    for (const s of this.open) s.destroy();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

// A process in a network namespace of its own, which ends when we close its input.
async function hold() {
  const holder = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'ignore', 'inherit'] });
  const own = fs.readlinkSync('/proc/self/ns/net');
  while (fs.readlinkSync(`/proc/${holder.pid}/ns/net`) === own) await new Promise((r) => setTimeout(r, 20));
  return holder;
}

// An address that comes by itself, seconds after the wire is there, is a change of the network to Chromium, which breaks off all that it is
// loading (ERR_NETWORK_CHANGED). For `client`, before it is up.
function still(holder, v6 = false) {
  const setting = v6 ? 'echo 0 > /proc/sys/net/ipv6/conf/client/accept_dad' : 'echo 1 > /proc/sys/net/ipv6/conf/client/disable_ipv6';
  inside(holder, 'sh', '-c', setting);
}

const inside = (holder, ...command) => run('nsenter', '-t', `${holder.pid}`, '-n', ...command);
const nft = (holder, script) => execFileSync('nsenter', ['-t', `${holder.pid}`, '-n', 'nft', '-f', '-'], { input: script });

const run = (program, ...args) => execFileSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
