// Figures of the whole product: start to healthy, idle memory, and joined → first remote picture on loopback.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { Participant, launch } from '../rig/browser.mjs';
import { clients } from '../rig/clients.mjs';
import { Server, sleep } from '../rig/server.mjs';

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const rows = [];
const row = (what, values, unit, goal) => rows.push({ what, median: median(values), min: Math.min(...values), max: Math.max(...values), unit, goal });

async function startTimes(rounds) {
  const times = [];
  for (let i = 0; i < rounds; i++) {
    const from = performance.now();
    const child = spawn(process.env.PLAUSCH_BIN, [], { stdio: 'ignore' });
    const ended = new Promise((r) => child.on('exit', r));
    while (!(await fetch('http://127.0.0.1:8888/about/health').catch(() => null))?.ok) await sleep(2);
    times.push(performance.now() - from);
    child.kill('SIGINT');
    await ended;
  }
  return times;
}

async function joinTimes(rounds) {
  const client = clients['newest library'] ?? clients['library of 2021'];
  const server = await Server.start({ web: client.web() });
  await sleep(3000);
  row('idle memory (resident)', [server.memory() / 1024], 'MB', '≤ 40');
  const browser = await launch();
  const times = [];
  for (let i = 0; i < rounds; i++) {
    const room = `bench${i}`;
    const a = await Participant.open(browser, server, { path: client.page(room) });
    await a.join(room, { resolution: 360 });
    const b = await Participant.open(browser, server, { path: client.page(room) });
    // The page itself notes the first decoded remote frame, so that polling from outside does not blur the figure.
    await b.page.evaluate(() => {
      const timer = setInterval(() => {
        const v = document.querySelector('video[data-participant]');
        if (v && !v.dataset.watched) {
          v.dataset.watched = '1';
          v.requestVideoFrameCallback((now) => { window.firstFrameAt = now; clearInterval(timer); });
        }
      }, 5);
    });
    await b.join(room, { resolution: 360 });
    await b.until('a first frame', () => window.firstFrameAt, null, 20000);
    times.push(await b.page.evaluate(() => window.firstFrameAt - client.joinedAt));
    for (const p of [b, a]) { await p.call('leave').catch(() => {}); await p.close(); }
  }
  await browser.close();
  await server.stop();
  fs.rmSync(server.log, { force: true });
  return times;
}

row('start to healthy', await startTimes(7), 'ms', '≤ 200');
row('joined → first remote picture', await joinTimes(9), 'ms', '≤ 1000');
console.log(`${'figure'.padEnd(34)}${'median'.padStart(10)}${'min'.padStart(10)}${'max'.padStart(10)}  unit  goal`);
for (const r of rows) console.log(`${r.what.padEnd(34)}${r.median.toFixed(1).padStart(10)}${r.min.toFixed(1).padStart(10)}${r.max.toFixed(1).padStart(10)}  ${r.unit.padEnd(4)}  ${r.goal}`);
