// What moderators and rooms have beyond the call: A/V moderation, polls, speaker statistics, the end for all; and a meeting over TLS.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { clients } from '../rig/clients.mjs';
import { everybodySeesEverybody } from '../rig/media.mjs';
import { Server, sleep, until } from '../rig/server.mjs';

const ONLY = process.env.ONLY_CLIENT;
const JITMEET = 'http://jitsi.org/jitmeet';

// Sends a stanza as it stands, over the page's own connection.
const send = (p, xml) => p.page.evaluate((text) => {
  if (window.client.xmpp) return window.client.xmpp.send(text);
  const stanza = new DOMParser().parseFromString(text, 'text/xml').documentElement;
  return window.client.connection.xmpp.connection.send(stanza);
}, xml);
const command = (p, component, payload) => send(p, `<message xmlns="jabber:client" to="${component}.meet.jitsi">${payload}</message>`);
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const poll = (p, said) => command(p, 'polls', `<json-message xmlns="${JITMEET}">${escaped(JSON.stringify({ type: 'polls', ...said }))}</json-message>`);

// The JSON that a component has sent somebody so far.
const heard = (p, component) => p.frames
  .filter((f) => f.startsWith('< ') && f.includes(`from="${component}.meet.jitsi"`) && f.includes('<json-message'))
  .map((f) => JSON.parse(/<json-message[^>]*>([^<]*)</.exec(f)[1].replaceAll('&quot;', '"').replaceAll('&apos;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')));
const told = (p, component, what, ms) => until(`${p.id} to hear from ${component}`, async () => heard(p, component).find(what), ms);

for (const [name, client] of Object.entries(clients)) {
  if (ONLY && !name.includes(ONLY)) continue;
  describe(`${name}: beyond the call`, () => {
    let server, browser;
    let n = 0;
    const room = (what) => `${what}${++n}x${process.pid}`;
    const open = async (where, options) => {
      const p = await Participant.open(browser, server, { path: client.page(where), keepFrames: true });
      await p.join(where, { resolution: 180, ...options });
      return p;
    };
    const closeAll = async (all) => {
      for (const p of all) await p.call('leave').catch(() => {});
      for (const p of all) await p.close().catch(() => {});
    };
    before(async () => { server = await Server.start({ web: client.web() }); browser = await launch(); });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    test('A/V moderation: microphones go off, stay off, and come back for whom the moderator allows', async () => {
      const r = room('moderated');
      const [a, b] = [await open(r), await open(r)];
      await everybodySeesEverybody([a, b]);
      await a.until('moderator', () => window.client.role() === 'moderator');
      await command(a, 'avmoderation', '<av_moderation enable="true" mediaType="audio"/>');
      await told(b, 'avmoderation', (m) => m.enabled === true && m.mediaType === 'audio');
      const list = await told(a, 'avmoderation', (m) => m.whitelists);
      assert.deepEqual(list.whitelists, { audio: [`${r}@muc.meet.jitsi/${a.id}`] });
      await b.until('being muted', () => window.client.localMuted('audio'));
      if (client.old) await b.until('to know of it', () => window.client.events.includes('AV_MODERATION_CHANGED'));
      assert.equal(await a.page.evaluate(() => window.client.localMuted('audio')), false, 'the moderator speaks');

      await command(a, 'avmoderation', `<av_moderation mediaType="audio" jidToWhitelist="${r}@muc.meet.jitsi/${b.id}"/>`);
      await told(b, 'avmoderation', (m) => m.approved === true);
      await b.call('unmute', 'audio');
      await a.until('b to speak', (id) => !window.client.remoteMuted(id, 'audio'), b.id);
      await command(a, 'avmoderation', '<av_moderation enable="false" mediaType="audio"/>');
      await told(b, 'avmoderation', (m) => m.enabled === false);
      await closeAll([a, b]);
    });

    test('polls: asked, answered, and there for whoever comes later', async () => {
      const r = room('polls');
      const [a, b] = [await open(r, { name: 'Anna' }), await open(r, { name: 'Ben' })];
      await poll(a, { command: 'new-poll', pollId: 'p1', question: 'Grün & "gut"?', answers: [{ name: 'Ja' }, { name: 'Nein' }] });
      const asked = await told(b, 'polls', (m) => m.command === 'new-poll');
      assert.deepEqual([asked.question, asked.senderId], ['Grün & "gut"?', a.id]);
      // Who votes is who it is, whatever it says.
      await poll(b, { command: 'answer-poll', pollId: 'p1', answers: [true, false], senderId: a.id, senderName: 'Anna' });
      const answered = await told(a, 'polls', (m) => m.command === 'answer-poll');
      assert.deepEqual([answered.senderId, answered.senderName], [b.id, 'Ben']);
      const c = await open(r, { name: 'Cem' });
      const old = await told(c, 'polls', (m) => m.command === 'old-polls');
      assert.deepEqual(old.polls[0].answers, [{ name: 'Ja', voters: [{ id: b.id, name: 'Ben' }] }, { name: 'Nein' }]);
      await closeAll([a, b, c]);
    });

    test('speaker statistics: who spoke before somebody came', async () => {
      const r = room('speakers');
      const [a, b] = [await open(r, { name: 'Anna' }), await open(r, { name: 'Ben' })];
      await everybodySeesEverybody([a, b]);
      await a.loudness(0.9);
      await b.loudness(0.005);
      await until('a to be the dominant speaker', async () => (await b.get('dominant')) === a.id, 20000, 250);
      // Library clients say so by themselves.
      if (!client.old) await command(a, 'speakerstats', `<speakerstats xmlns="${JITMEET}" room="${r}@muc.meet.jitsi" silence="false"/>`);
      await sleep(2500);
      const c = await open(r, { name: 'Cem' });
      const stats = await told(c, 'speakerstats', (m) => m.users?.[a.id]);
      assert.ok(stats.users[a.id].totalDominantSpeakerTime >= 1500, JSON.stringify(stats));
      if (client.old) {
        await c.until('to show it', (id) => window.client.conference.getSpeakerStats()[id]?.getTotalDominantSpeakerTime() >= 1500, a.id);
      }
      await closeAll([a, b, c]);
    });

    // The test-call page knows meetings alone.
    if (client.old) test('breakout rooms: opened, gone to with sound and picture, come back from, closed', async () => {
      const r = room('parts');
      const [a, b, c] = [await open(r, { name: 'Anna' }), await open(r, { name: 'Ben' }), await open(r, { name: 'Cem' })];
      await a.until('moderator', () => window.client.role() === 'moderator');
      const part = (p, of) => until(`${p.id} to see ${of}`, async () => Object.values(await p.get('parts')).find((x) => x.name === of));
      await a.call('openPart', 'Gruppe 1');
      const { jid } = await part(c, 'Gruppe 1');
      await a.call('send', b.id, jid);
      await b.until('being there', () => window.client.state === 'joined' && window.client.conference.getBreakoutRooms().isBreakoutRoom(), null, 20000);
      await a.call('goTo', jid);
      await everybodySeesEverybody([a, b]);
      assert.deepEqual(Object.keys(await c.get('members')), [], 'who stayed is alone');
      await until('to see who is where', async () => Object.keys((await part(c, 'Gruppe 1')).participants ?? {}).length === 2);
      for (const p of [a, b]) await p.call('goTo', `${r}@muc.meet.jitsi`);
      await everybodySeesEverybody([a, b, c]);
      await a.until('moderator again', () => window.client.role() === 'moderator');
      await a.call('closePart', jid);
      await until('the part to be gone', async () => !Object.values(await c.get('parts')).some((x) => x.jid === jid));
      await closeAll([a, b, c]);
    });

    test('a moderator ends the meeting for all', async () => {
      const r = room('over');
      const [a, b] = [await open(r), await open(r)];
      await a.until('moderator', () => window.client.role() === 'moderator');
      await command(b, 'endconference', '<end_conference/>');
      await sleep(500);
      assert.equal(await a.get('state'), 'joined', 'not by anybody');
      await command(a, 'endconference', '<end_conference/>');
      for (const p of [a, b]) {
        await until(`${p.id} to be told why`, async () => p.frames.some((f) => f.includes('<destroy>') && f.includes('The meeting has been terminated')));
      }
      if (client.old) await b.until('the end', () => window.client.failures.some((f) => String(f).includes('destroyed')));
      await closeAll([a, b]);
    });
  });

  describe(`${name}: over TLS`, () => {
    let server, browser;
    // The bridge channel as WebSocket, so that it goes this way as well.
    before(async () => { server = await Server.start({ web: client.web(), tls: true, env: { JVB_PREFER_SCTP: '0' } }); browser = await launch(); });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    test('who comes without TLS is sent there, and a meeting of two has sound, picture and bridge channel', async () => {
      const answer = await fetch('http://localhost:8000/verschluesselt', { redirect: 'manual' });
      assert.deepEqual([answer.status, answer.headers.get('location')], [301, 'https://localhost:8443/verschluesselt']);
      const room = `verschluesselt${process.pid}`;
      const all = [];
      for (const _ of 'ab') {
        const p = await Participant.open(browser, server, { path: client.page(room) });
        p.sockets = [];
        p.page.on('websocket', (ws) => p.sockets.push(ws.url()));
        // Over HTTP/2 a WebSocket is granted with 200, over HTTP/1.1 with 101 (RFC 8441 §5).
        p.granted = [];
        const devtools = await p.context.newCDPSession(p.page);
        await devtools.send('Network.enable');
        devtools.on('Network.webSocketHandshakeResponseReceived', (e) => p.granted.push(e.response.status));
        await p.join(room, { resolution: 180, channel: 'websocket' });
        all.push(p);
      }
      await everybodySeesEverybody(all);
      for (const p of all) {
        for (const path of ['/xmpp-websocket', ...(client.dataChannelOnly ? [] : ['/colibri-ws/'])]) {
          assert.ok(p.sockets.some((url) => url.startsWith('wss://localhost:8443') && url.includes(path)), `${path} of ${p.sockets}`);
        }
        // Chromium opens them within the connection that it has.
        const version = await p.page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol);
        assert.equal(version, 'h2');
        assert.ok(p.granted.length > 0 && p.granted.every((status) => status === 200), `${p.granted}`);
        await p.close();
      }
    });
  });
}
