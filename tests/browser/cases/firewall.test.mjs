// People whose network lets no UDP out, nothing but TCP to port 443, or nothing but a proxy: they meet through the TURN server. Firefox
// among them; networks without IPv4; people in the server's own house, by its public address.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { clients } from '../rig/clients.mjs';
import { launch as launchFirefox } from '../rig/firefox.mjs';
import { everybodySeesEverybody, steadyMedia, stream } from '../rig/media.mjs';
import { Behind, House, Moving, Proxy } from '../rig/network.mjs';
import { sleep, until } from '../rig/server.mjs';
import { Server } from '../rig/server.mjs';

const ONLY = process.env.ONLY_CLIENT;
const NETWORKS = {
  'no UDP': 'meta l4proto != udp',
  'only TCP to port 443': 'tcp dport 443',
};

// What each of them sends and receives with, as the browser says.
async function ways(all) {
  const used = [];
  for (const p of all) used.push((await p.media()).transports.find((t) => t.localType && t.dtls === 'connected') ?? null);
  return used;
}

// A server, browsers in a network, and what ends them; `meet` has one person in each browser talk to the others.
function place({ network, name, options = () => ({}), browsers }) {
  const it = { browsers: [] };
  before(async () => {
    it.behind = await network();
    it.server = await Server.start({ web: 'none', ...options(it.behind) });
    for (const launch of browsers) it.browsers.push(await launch({ behind: it.behind, proxy: it.behind.proxy?.url, name }));
  });
  after(async () => {
    for (const b of it.browsers) await b.close();
    const exit = await it.server?.stop();
    await it.behind?.proxy?.close();
    await it.behind?.close();
    assert.deepEqual(exit, { code: 0, signal: null }, `plausch must end with 0 on Ctrl-C\n${it.server?.tail()}`);
  });
  it.meet = async (room, judge) => {
    const all = [];
    for (const browser of it.browsers.length > 1 ? it.browsers : [it.browsers[0], it.browsers[0]]) {
      const p = await Participant.open(browser, it.server, { path: `/${room}` });
      await p.join(room, { resolution: 360 });
      all.push(p);
    }
    await everybodySeesEverybody(all, 40000);
    await steadyMedia(all, 3);
    await judge(await ways(all));
    for (const p of all) { await p.call('leave').catch(() => {}); await p.close().catch(() => {}); }
  };
  return it;
}

const TURN = ['--media', '0.0.0.0:10000', '--turn', '0.0.0.0:3478'];
const MEDIA = 'meta l4proto { tcp, udp }';
const relayed = (used) => { for (const u of used) assert.equal(u?.localType, 'relay', JSON.stringify(used)); };

// Firefox takes no TURN over TLS at an address: "TLS requires FQDN".
if (!ONLY || 'firefox'.includes(ONLY)) describe('Firefox and Chromium', () => {
  const name = 'meet.test';
  const it = place({ network: () => Behind.open(), name, options: () => ({ at: Behind.SERVER, publicly: name, args: TURN }), browsers: [launch, launchFirefox] });
  test('hear and see each other', async () => {
    it.behind.lets(MEDIA);
    // On a busy machine the way through TURN may be there first, and is kept.
    await it.meet('open', (used) => { for (const u of used) assert.ok(u?.localType, JSON.stringify(used)); });
  });
  for (const [network, rule] of Object.entries(NETWORKS)) {
    test(`${network}: hear and see each other through TURN over TLS`, async () => {
      it.behind.lets(rule);
      await it.meet(`ff${network.length}`, relayed);
    });
  }
});

if (!ONLY || 'proxy'.includes(ONLY)) describe('a proxy is the only way out', () => {
  const network = async () => {
    const behind = await Behind.open();
    behind.proxy = await Proxy.open(Behind.SERVER);
    behind.lets(`tcp dport ${Proxy.PORT}`);
    return behind;
  };
  const it = place({ network, options: () => ({ at: Behind.SERVER, args: TURN }), browsers: [launch] });
  test('people hear and see each other through CONNECT and TURN over TLS', async () => {
    await it.meet('proxy', (used) => {
      relayed(used);
      for (const u of used) assert.equal(u.relayProtocol, 'tls', JSON.stringify(used));
    });
    assert.ok(it.behind.proxy.connected >= 4, `page and TURN for each of both: ${it.behind.proxy.connected}`);
  });
});

if (!ONLY || 'ipv6'.includes(ONLY)) describe('a network without IPv4, with packets of 1,280 bytes', () => {
  const args = ['--media', '[::]:10000', '--turn', '[::]:3478'];
  // And no packet may be longer than IPv6 has to carry.
  const it = place({ network: () => Behind.open({ v6: true, mtu: 1280 }), options: () => ({ at: Behind.SERVER6, args }), browsers: [launch] });
  test('people hear and see each other', async () => {
    it.behind.lets(MEDIA);
    await it.meet('six', (used) => { for (const u of used) assert.equal(u?.remoteAddress, Behind.SERVER6, JSON.stringify(used)); });
  });
  test('only TCP to port 443: through TURN over TLS', async () => {
    it.behind.lets(NETWORKS['only TCP to port 443']);
    await it.meet('sixturn', relayed);
  });
});

if (!ONLY || 'hairpin'.includes(ONLY)) describe('in the same house as the server', () => {
  const options = () => ({ at: House.SERVER, publicly: House.PUBLIC, args: ['--media', '0.0.0.0:10000'], env: { JVB_STUN_SERVERS: House.STUN } });
  const it = place({ network: () => House.open(), options, browsers: [launch] });
  test('people hear and see each other by the public address, which a STUN server saw and the router leads back in', async () => {
    await it.meet('hairpin', (used) => {
      for (const u of used) assert.deepEqual([u?.remoteAddress, u?.remotePort], [House.PUBLIC, 10000], JSON.stringify(used));
    });
    assert.ok(it.behind.refused() > 0, 'the direct way was tried and shut');
  });
});

if (!ONLY || 'moving'.includes(ONLY)) describe('a router that gets another address', () => {
  const it = place({ network: () => Moving.open(), options: () => ({ at: Behind.SERVER, args: ['--media', '0.0.0.0:10000'] }), browsers: [launch] });
  test('people behind it hear and see each other again in the same session', async () => {
    const all = [];
    for (const room of ['moving', 'moving', 'moving']) {
      const p = await Participant.open(it.browsers[0], it.server, { path: `/${room}` });
      await p.join(room, { resolution: 360 });
      all.push(p);
    }
    await everybodySeesEverybody(all, 40000);
    const got = async (viewer, kind, what) => {
      const m = await viewer.media();
      return all.filter((p) => p !== viewer).map((p) => stream(m, kind, p.id)?.[what] ?? 0);
    };
    const before = await Promise.all(all.map((p) => p.media()));
    it.behind.move();
    const moved = Date.now();
    await sleep(300);
    const again = async (viewer, kind, what, most) => {
      const last = await got(viewer, kind, what);
      await until(`${viewer.id} to get ${kind} of the others again`, async () => (await got(viewer, kind, what)).every((n, i) => n > last[i]), 20000, 100);
      const ms = Date.now() - moved;
      assert.ok(ms < most, `${kind} again after ${ms} ms`);
      return ms;
    };
    const times = await Promise.all(all.flatMap((p) => [again(p, 'audio', 'packets', 6000), again(p, 'video', 'frames', 9000)]));
    console.log(`    again after ${times.join(', ')} ms`);
    // A browser that lost part of a picture may wait for three seconds before it asks for a whole one.
    const frames = () => Promise.all(all.map((p) => got(p, 'video', 'frames')));
    const few = await frames();
    await until('pictures of everybody to move again', async () => (await frames()).every((all, v) => all.every((n, i) => n > few[v][i] + 10)), 8000, 100);
    console.log(`    all pictures move again after ${Date.now() - moved} ms`);
    for (let second = 1, last = await frames(); second <= 3; second++) {
      await sleep(1000);
      const now = await frames();
      assert.ok(now.every((all, v) => all.every((n, i) => n > last[v][i])), `second ${second}: ${JSON.stringify([last, now])}`);
      last = now;
    }
    const after = await Promise.all(all.map((p) => p.media()));
    after.forEach((m, i) => assert.equal(m.transports.length, before[i].transports.length, 'the same connections'));
    for (const p of all) { await p.call('leave').catch(() => {}); await p.close().catch(() => {}); }
  });
});

if (!ONLY || 'tcp'.includes(ONLY)) describe('no UDP and no TURN server', () => {
  const options = () => ({ at: Behind.SERVER, args: ['--media', '0.0.0.0:10000'], env: { JVB_TCP_HARVESTER_DISABLED: 'false' } });
  const it = place({ network: () => Behind.open(), options, browsers: [launch] });
  test('people hear and see each other over TCP to the media port', async () => {
    it.behind.lets(NETWORKS['no UDP']);
    await it.meet('overtcp', (used) => {
      for (const u of used) assert.deepEqual([u?.protocol, u?.remoteAddress, u?.remotePort], ['tcp', Behind.SERVER, 10000], JSON.stringify(used));
    });
    assert.ok(it.behind.refused() > 0, 'the firewall had something to refuse');
  });
  test('where UDP is let through it is used', async () => {
    it.behind.lets(MEDIA);
    await it.meet('overudp', (used) => { for (const u of used) assert.equal(u?.protocol, 'udp', JSON.stringify(used)); });
  });
});

if (!ONLY || 'restart'.includes(ONLY)) describe('ICE restarts within a session', () => {
  const it = place({ network: () => Behind.open(), options: () => ({ at: Behind.SERVER, args: ['--media', '0.0.0.0:10000'] }), browsers: [launch] });
  const meeting = async (room) => {
    const all = [];
    for (let n = 0; n < 2; n++) {
      const p = await Participant.open(it.browsers[0], it.server, { path: `/${room}` });
      await p.join(room, { resolution: 360 });
      all.push(p);
    }
    await everybodySeesEverybody(all, 40000);
    return all;
  };
  const way = async (p) => (await p.media()).transports.find((t) => t.localType && t.dtls === 'connected');
  const heard = async (p, from) => stream(await p.media(), 'audio', from.id);
  const closeAll = async (all) => { for (const p of all) { await p.call('leave').catch(() => {}); await p.close().catch(() => {}); } };

  test('another way is taken without a gap', async () => {
    it.behind.lets(MEDIA);
    const all = await meeting('inplace');
    const [first, other] = all;
    const [before, sound] = [await way(first), await heard(first, other)];
    assert.equal(await first.call('restartIce'), true);
    await until('another pair to be used', async () => (await way(first))?.localPort !== before.localPort, 10000, 100);
    await sleep(1000);
    const [after, more] = [await way(first), await heard(first, other)];
    assert.equal(after.dtls, 'connected');
    assert.ok(more.packets > sound.packets + 40, JSON.stringify([sound, more]));
    assert.ok(more.lost - sound.lost <= 2, `lost ${more.lost - sound.lost}`);
    await steadyMedia(all, 3);
    assert.equal(await it.server.metric('jitsi_jvb_ice_restarts_succeeded_total'), 1);
    assert.equal(await it.server.metric('jitsi_jicofo_participants_moved_total'), 0);
    await closeAll(all);
  });

  test('who is cut off for long comes back in the same session', async () => {
    it.behind.lets(MEDIA);
    const all = await meeting('cutoff');
    const moved = await it.server.metric('jitsi_jicofo_participants_moved_total');
    const asked = await it.server.metric('jitsi_jicofo_participants_restart_requested_total');
    const before = await way(all[0]);
    // The firewall forgets this way and lets no packet of it through any more; others are open.
    it.behind.lets(`udp sport != ${before.localPort} accept\n  ip protocol tcp`);
    const cut = Date.now();
    await until('another way', async () => {
      const now = await way(all[0]).catch(() => null);
      return now && now.localPort !== before.localPort;
    }, 60000, 200);
    console.log(`    another way after ${Date.now() - cut} ms`);
    const frames = () => Promise.all(all.map(async (p, n) => stream(await p.media(), 'video', all[1 - n].id)?.frames ?? 0));
    const few = await frames();
    for (const n of [0, 1]) {
      await until('pictures to move again', async () => (await frames())[n] > few[n] + 10, 15000, 50);
      console.log(`    ${['who was cut off sees the other', 'is seen'][n]} after ${Date.now() - cut} ms`);
    }
    await everybodySeesEverybody(all, 20000);
    // What the link carries is found out anew: a picture may stand once more for a second.
    await steadyMedia(all, 3).catch(() => steadyMedia(all, 3));
    assert.equal(await it.server.metric('jitsi_jicofo_participants_moved_total'), moved);
    assert.equal(await it.server.metric('jitsi_jicofo_participants_restart_requested_total'), asked);
    await closeAll(all);
  });
});

for (const [name, client] of Object.entries(clients)) {
  if (ONLY && !name.includes(ONLY)) continue;
  describe(`${name}, behind a firewall`, () => {
    let behind, server, browser;
    const open = async (room, options) => {
      const p = await Participant.open(browser, server, { path: client.page(room) });
      await p.join(room, { resolution: 360, ...options });
      return p;
    };
    const closeAll = async (all) => { for (const p of all) { await p.call('leave').catch(() => {}); await p.close().catch(() => {}); } };

    before(async () => {
      behind = await Behind.open();
      server = await Server.start({ web: client.web(), at: Behind.SERVER, args: ['--media', '0.0.0.0:10000', '--turn', '0.0.0.0:3478'] });
      browser = await launch({ behind });
    });
    after(async () => {
      await browser?.close();
      const exit = await server?.stop();
      await behind?.close();
      assert.deepEqual(exit, { code: 0, signal: null }, `plausch must end with 0 on Ctrl-C\n${server?.tail()}`);
    });

    for (const [network, rule] of Object.entries(NETWORKS)) {
      test(`${network}: two people hear and see each other through TURN over TLS`, async () => {
        behind.lets(rule);
        const room = `wall${network.length}x${process.pid}`;
        const all = [await open(room), await open(room)];
        await everybodySeesEverybody(all, 40000);
        await steadyMedia(all, 5);
        for (const p of all) {
          const used = (await p.media()).transports.find((t) => t.dtls === 'connected');
          assert.deepEqual({ type: used?.localType, over: used?.relayProtocol }, { type: 'relay', over: 'tls' }, JSON.stringify(used));
        }
        assert.ok(behind.refused() > 0, 'the firewall had something to refuse');
        assert.ok(await server.metric('plausch_turn_packets_total') > 500);
        await closeAll(all);
      });
    }

    if (!client.noPeer) test('no UDP: two clients, P2P, from relay to relay', async () => {
      behind.lets(NETWORKS['no UDP']);
      const room = `wallp2p${process.pid}`;
      const all = [await open(room, { p2p: true }), await open(room, { p2p: true })];
      for (const p of all) await p.until('P2P', () => client.p2p, null, 40000);
      await everybodySeesEverybody(all);
      for (const p of all) {
        const used = (await p.media()).transports.filter((t) => t.dtls === 'connected' && t.remotePort !== 10000);
        assert.ok(used.some((t) => t.localType === 'relay' && t.remoteType === 'relay'), JSON.stringify(used));
      }
      await closeAll(all);
    });
  });
}
