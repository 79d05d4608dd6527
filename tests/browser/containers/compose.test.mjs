// Everything in one container, started as docs/admin/docker.md says: a meeting of two through published ports.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { Compose } from '../rig/containers.mjs';
import { bridgeTransport, everybodySeesEverybody, stream } from '../rig/media.mjs';
import { sleep, until } from '../rig/server.mjs';

// On a Debian, and from nothing.
const images = ['plausch/plausch', 'plausch-scratch/plausch'];

for (const image of images) describe(`one container of ${image}`, () => {
  let compose, browser;
  before(async () => { browser = await launch(); });
  after(async () => {
    await browser?.close();
    await compose?.end();
  });

  test('up, healthy, two browsers with sound and picture, down', async () => {
    // Where people reach the media port: in this namespace there is only loopback.
    compose = new Compose(['docker/compose.yml'], ['PUBLIC_URL=https://localhost', 'JVB_ADVERTISE_IPS=127.0.0.1'],
      image === 'plausch/plausch' ? undefined : `services: { plausch: { image: ${image} } }\n`);
    // As an admin of docker-jitsi-meet wrote it, in the folders that it makes.
    compose.write('config/jvb/custom-jvb.conf', 'videobridge.cc.odd = 1\n');
    compose.write('config/jicofo/custom-jicofo.conf', 'jicofo.conference.max-audio-senders = 30\n');
    compose.write('config/prosody/config/conf.d/own.cfg.lua', 'muc_max_occupants = 50\n');
    const from = performance.now();
    await compose.do('up', '-d', '--pull', 'never');
    for (;;) {
      try {
        await compose.do('exec', '-T', 'plausch', '/usr/bin/plausch', 'healthcheck');
        break;
      } catch (e) {
        if (performance.now() - from > 20000) throw new Error(`${e.message}\n${await compose.do('logs')}`);
        await sleep(50);
      }
    }
    console.log(`      healthy ${((performance.now() - from) / 1000).toFixed(1)} s after \`docker compose up\``);
    // Two seconds on a machine that does nothing else.
    assert.ok(performance.now() - from < 8000, 'healthy 2 s after `docker compose up`, with room for a busy machine');
    // Docker comes to the same.
    await compose.do('up', '-d', '--pull', 'never', '--wait');

    const container = await compose.inspect('plausch');
    assert.equal(container.Config.User, '1000:1000');
    assert.equal(container.HostConfig.ReadonlyRootfs, true);
    assert.deepEqual(container.HostConfig.CapDrop, ['ALL']);
    const of = (name) => container.Config.Env.find((e) => e.startsWith(`${name}=`));
    assert.equal(of('ENABLE_LETSENCRYPT'), 'ENABLE_LETSENCRYPT=', 'nobody outside is asked without an e-mail address');

    const server = { base: 'https://localhost' };
    const all = [];
    for (let i = 0; i < 2; i++) {
      const p = await Participant.open(browser, server, { path: '/rathaus' });
      await p.join('rathaus', { resolution: 360 });
      all.push(p);
    }
    await everybodySeesEverybody(all);
    for (const p of all) assert.ok(bridgeTransport(await p.media()), 'media goes through the bridge');

    // An update: the container is made anew, and who waits in front of the page is in the meeting as soon as it can be.
    for (const p of all) await p.call('leave');
    await compose.do('down', '--timeout', '10');
    const again = performance.now();
    await compose.do('up', '-d', '--pull', 'never');
    let why;
    for (const p of all) {
      // Until then ports are published that nobody answers on, and a browser gives up what it loads when the network changes.
      const joined = () => p.join('rathaus', { resolution: 360 }).then(() => true, (e) => { why = e; });
      await until('a meeting in the new container', joined, 20000, 20).catch((e) => { throw new Error(`${e.message}: ${why}`); });
    }
    await until('the first media', async () => {
      const [from, to] = all;
      const of = stream(await to.media(), 'audio', from.id);
      return of && of.samples > 0;
    }, 20000, 20);
    console.log(`      first media ${((performance.now() - again) / 1000).toFixed(1)} s after \`docker compose up\``);
    assert.ok(performance.now() - again < 12000, 'media 3 s after `docker compose up`, with room for a busy machine');
    for (const p of all) await p.close();

    const log = await compose.do('logs', 'plausch');
    assert.doesNotMatch(log, /rathaus/, 'no room name in the log');
    for (const line of [/custom-jvb\.conf has no effect/, /JICOFO_CONF_MAX_AUDIO_SENDERS/, /MAX_PARTICIPANTS/]) assert.match(log, line);
    await compose.do('stop');
    const { State: state } = await compose.inspect('plausch');
    assert.deepEqual([state.ExitCode, state.OOMKilled], [0, false], log);

    // What kept people out there, and would not here, ends the start.
    compose.write('config/prosody/config/conf.d/own.cfg.lua', 'VirtualHost "meet.jitsi"\n authentication = "token"\n');
    await assert.rejects(compose.do('run', '--rm', 'plausch'), /own\.cfg\.lua/);
  });
});

// Over IPv6 nobody came in: Docker passes it on as it is where its network has it, and inside only IPv4 was listened on.
test('a network with IPv6 brings people in over both', async () => {
  const network = 'networks: { default: { enable_ipv6: true, ipam: { config: [{ subnet: "fd00:7::/64" }] } } }\n';
  const compose = new Compose(['docker/compose.yml'], ['PUBLIC_URL=https://localhost'], network);
  try {
    await compose.up();
    for (const host of ['127.0.0.1', '[::1]']) {
      const answer = await fetch(`http://${host}/`, { redirect: 'manual' });
      assert.match(answer.headers.get('location') ?? '', /^https:/, host);
    }
  } finally {
    await compose.end();
  }
});
