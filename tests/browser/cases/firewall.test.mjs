// People whose network lets no UDP out, or nothing but TCP to port 443: they meet through the TURN server.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { clients } from '../rig/clients.mjs';
import { everybodySeesEverybody, steadyMedia } from '../rig/media.mjs';
import { Behind } from '../rig/network.mjs';
import { Server } from '../rig/server.mjs';

const ONLY = process.env.ONLY_CLIENT;
const NETWORKS = {
  'no UDP': 'meta l4proto != udp',
  'only TCP to port 443': 'tcp dport 443',
};

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
