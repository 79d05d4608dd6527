// What media are secured with between a browser of today and the bridge: DTLS 1.3, whatever the browser's key, and AES-128-GCM.
// Firefox, which does not say, is in firewall.test.mjs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { everybodySeesEverybody, steadyMedia } from '../rig/media.mjs';
import { Server } from '../rig/server.mjs';

// A page may choose the key of its connections.
const withRsa = (bits) => `{
  const Ready = window.RTCPeerConnection;
  let key;
  window.keyReady = Ready.generateCertificate({ name: 'RSASSA-PKCS1-v1_5', modulusLength: ${bits}, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }).then((k) => { key = k; });
  window.RTCPeerConnection = class extends Ready {
    constructor(configuration) { super({ ...configuration, certificates: [key] }); }
  };
}`;

describe('how media are secured', () => {
  let server, browser;
  before(async () => {
    server = await Server.start({ web: 'none' });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    const exit = await server?.stop();
    assert.deepEqual(exit, { code: 0, signal: null }, `plausch must end with 0 on Ctrl-C\n${server?.tail()}`);
  });

  for (const [name, scripts] of [['Chromium as it is', []], ['Chromium with an RSA key', [withRsa(2048)]]]) {
    test(name, async () => {
      const room = `secured${name.length}`;
      const all = [];
      for (let n = 0; n < 2; n++) {
        const p = await Participant.open(browser, server, { path: `/${room}`, scripts });
        await p.page.evaluate(() => window.keyReady);
        await p.join(room, { resolution: 360 });
        all.push(p);
      }
      await everybodySeesEverybody(all, 40000);
      await steadyMedia(all, 2);
      for (const p of all) {
        const used = (await p.media()).transports.find((t) => t.dtls === 'connected');
        assert.deepEqual([used?.tls, used?.cipher], ['FEFC', 'SRTP_AEAD_AES_128_GCM'], JSON.stringify(used));
      }
      for (const p of all) { await p.call('leave').catch(() => {}); await p.close().catch(() => {}); }
    });
  }
});
