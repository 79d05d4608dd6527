// How long a browser waits from its join to the first remote picture, on loopback: one JSON object, `join_ms` with one
// value a join. The number of joins is the argument.
import fs from 'node:fs';
import { Participant, launch } from '../rig/browser.mjs';
import { clients } from '../rig/clients.mjs';
import { Server } from '../rig/server.mjs';

async function joinTimes(rounds) {
  const client = clients['newest library'] ?? clients['library of 2021'];
  const server = await Server.start({ web: client.web() });
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

console.log(JSON.stringify({ join_ms: await joinTimes(Number(process.argv[2] ?? 9)) }));
