// Upstream's compose file with our three images laid over by docker/plausch.yml: a meeting of two through prosody, jicofo and jvb.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { clients } from '../rig/clients.mjs';
import { Compose } from '../rig/containers.mjs';
import { bridgeTransport, everybodySeesEverybody } from '../rig/media.mjs';
import { until } from '../rig/server.mjs';

const SHAPES = {
  'since June 2026: read-only': 'upstream-shaped.yml',
  'older: state below /config': 'upstream-shaped-old.yml',
};
const SERVICES = ['prosody', 'jicofo', 'jvb'];
const client = clients['library of 2021'];
const PAGE = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../plausch/web');
const CONFIG = {
  hosts: { domain: 'meet.jitsi', muc: 'muc.meet.jitsi', focus: 'focus.meet.jitsi' },
  websocket: 'ws://localhost:8000/xmpp-websocket', bosh: '/http-bind', conferenceRequestUrl: '/conference-request/v1',
};

// In place of upstream's web container: the client's files, and the routes of its nginx to the others.
async function web(folder, prosody, jicofo, jvb) {
  const route = (url) => {
    if (url.startsWith('/conference-request/')) return [jicofo, 8888];
    // Routed by old web containers only, as the bridges of newer files name no such address.
    return url.startsWith('/colibri-ws/') ? [jvb, 9090] : [prosody, 5280];
  };
  const headers = (request) => ({ ...request.headers, host: 'meet.jitsi', 'x-forwarded-for': request.socket.remoteAddress });
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname === '/config.js') {
      response.end(`var config = ${JSON.stringify(CONFIG)};`);
    } else if (/^\/(http-bind|conference-request)/.test(pathname)) {
      const [host, port] = route(pathname);
      const onward = http.request({ host, port, path: request.url, method: request.method, headers: headers(request) }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      request.pipe(onward);
    } else {
      const file = path.join(folder, path.basename(pathname));
      response.setHeader('content-type', { '.js': 'text/javascript', '.css': 'text/css' }[path.extname(pathname)] ?? 'text/html');
      response.end(fs.readFileSync(pathname.includes('.') && fs.existsSync(file) ? file : path.join(folder, 'index.html')));
    }
  });
  server.on('upgrade', (request, socket, head) => {
    const [host, port] = route(request.url);
    const onward = net.connect(port, host, () => {
      const lines = Object.entries(headers(request)).map(([k, v]) => `${k}: ${v}\r\n`).join('');
      onward.write(`GET ${request.url} HTTP/1.1\r\n${lines}\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    // Also when one side is through: nobody reads what is left of the other, and the server would wait for its end.
    for (const s of [socket, onward]) for (const over of ['error', 'close']) s.on(over, () => { socket.destroy(); onward.destroy(); });
  });
  await new Promise((resolve) => server.listen(8000, '127.0.0.1', resolve));
  return server;
}

// Two meet through these containers. `page`: on the test-call page, which asks for the meeting over HTTP; else with a library of 2021,
// which asks over XMPP.
async function meet(compose, page, room = 'schule', then = async () => {}) {
  const prosody = await compose.address('prosody');
  // Debian's Prosody says nothing about its health.
  await until('the XMPP server', () => fetch(`http://${prosody}:5280/`).then(() => true, () => false), 20000);
  const front = await web(page ? PAGE : client.web(), prosody, await compose.address('jicofo'), await compose.address('jvb'));
  const browser = await launch();
  try {
    const all = [];
    for (const httpConferenceRequest of [page, true]) {
      const p = await Participant.open(browser, { base: 'http://localhost:8000' }, { path: `/${room}` });
      await p.join(room, { resolution: 360, httpConferenceRequest });
      all.push(p);
    }
    await everybodySeesEverybody(all);
    for (const p of all) await p.until('bridge channel', () => client.channelOpen);
    for (const p of all) assert.ok(bridgeTransport(await p.media()), 'media goes through the bridge');
    await then(all, async (options) => {
      const p = await Participant.open(browser, { base: 'http://localhost:8000' }, { path: `/${room}` });
      all.push(p);
      return { p, joining: p.join(room, { resolution: 360, httpConferenceRequest: page, ...options }) };
    });
    for (const p of all) await p.close();
  } finally {
    await browser.close();
    front.closeAllConnections();
    await new Promise((resolve) => front.close(resolve));
  }
}

// What a meeting is besides sound and picture: chat, a shared screen, a lobby, and a third, who comes through it.
async function allOfIt([a, b], more) {
  await a.call('chat', 'Guten Tag');
  await b.until('chat', () => window.client.messages.some((m) => m.text === 'Guten Tag'));
  const had = await a.page.evaluate((id) => window.client.remoteVideoSources(id), b.id);
  await b.call('share');
  await a.until('a shared screen', ([id, n]) => window.client.remoteVideoSources(id) === n, [b.id, had + 1], 20000);
  await b.call('unshare');
  await a.until('moderator', () => window.client.role() === 'moderator');
  await a.call('setLobby', true);
  const { p: c, joining } = await more({ name: 'Clara' });
  await c.until('to wait', () => window.client.asked?.what === 'wait');
  await until('a knock', async () => (await a.call('knocking')).length === 1);
  await a.call('admit', (await a.call('knocking'))[0].id);
  await joining;
  await everybodySeesEverybody([a, b, c]);
}

for (const [shape, file] of Object.entries(SHAPES)) {
  describe(`upstream's file, ${shape}`, () => {
    let compose;
    after(async () => { await compose?.end(); });

    test('up with plausch.yml beside it, all healthy, two browsers with sound and picture, down', async () => {
      compose = new Compose([`tests/browser/containers/${file}`, 'docker/plausch.yml'],
        ['CONFIG=./config', 'PUBLIC_URL=http://localhost:8000', 'JICOFO_AUTH_PASSWORD=one', 'JVB_AUTH_PASSWORD=two', 'JVB_ADVERTISE_IPS=127.0.0.1', 'ENABLE_AUTH=', 'TZ=UTC']);
      await compose.up();
      for (const service of SERVICES) {
        const container = await compose.inspect(service);
        assert.equal(container.Config.Image, `plausch/${service}`);
        assert.equal(container.Config.User, '1000:1000');
        assert.equal(container.HostConfig.ReadonlyRootfs, file === 'upstream-shaped.yml');
        assert.equal(container.RestartCount, 0, 'no restart loop');
      }
      // Where load balancers and exporters ask upstream's.
      for (const [port, where] of [[8080, '/about/health'], [8080, '/colibri/stats'], [8080, '/metrics'], [8888, '/about/health'], [8888, '/stats']]) {
        assert.equal((await fetch(`http://127.0.0.1:${port}${where}`)).status, 200, `${port}${where}`);
      }
      assert.equal((await fetch(`http://${await compose.address('prosody')}:5280/health`)).status, 200);
      await meet(compose, false);
      if (file === 'upstream-shaped.yml') await meet(compose, true, 'rat', allOfIt);
    });

    // Under upstream's names: Debian's Prosody, and our images in place of Jicofo and JVB, which come from a registry.
    for (const service of SERVICES) test(`${service} of ours alone: the file stays a whole`, { timeout: 300000 }, async () => {
      const line = fs.readFileSync(path.join(compose.dir, 'plausch.yml'), 'utf8').split('\n').find((l) => l.startsWith(`  ${service}:`));
      fs.writeFileSync(path.join(compose.dir, 'alone.yml'), `services:\n${line}\n`);
      const alone = Object.assign(Object.create(Compose.prototype), compose, { files: [compose.files[0], 'alone.yml'] });
      const image = (s) => (s === service ? `plausch/${s}` : `upstream.invalid/${s}:stable`);
      assert.deepEqual((await alone.do('config', '--images')).trim().split('\n').sort(), SERVICES.map(image).sort());
      if (file !== 'upstream-shaped.yml') return;
      await alone.up();
      for (const s of SERVICES) assert.equal((await alone.inspect(s)).Config.Image, image(s));
      // Over XMPP, a module of Jitsi's passes requests on, which Debian's Prosody does not have.
      // Each time in a room of its own: who is gone stays in that of before until Prosody gives its session up.
      await meet(alone, service !== 'prosody', `schule-${service}`);
    });
  });
}
