// Meetings in browsers while bridges, the focus and the ways between them fail: each as a process of its own. What people hear and see of it out.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { clients } from '../rig/clients.mjs';
import { bridgeTransport, everybodySeesEverybody, steadyMedia } from '../rig/media.mjs';
import { Parts } from '../rig/parts.mjs';
import { sleep, until } from '../rig/server.mjs';
import { heardBetween, judge, listen, silences } from '../rig/silence.mjs';

const ONLY = process.env.ONLY_CLIENT;
// What the machine that runs all this, or a picture that waits for a key frame, may cost.
const UNHEARD = 700;
// And another page that begins with its camera on it.
const BUSY = 3000;
// Where the bridges are.
const MEDIA = [10001, 10002];

// Browsers and parts; `meet` has people come into a room and see each other.
function place(client, options) {
  const it = { people: [], rooms: 0 };
  before(async () => { it.parts = await Parts.start({ web: client.web(), ...options }); it.browser = await launch(); });
  afterEach(async () => {
    await Promise.all(it.people.map((p) => p.call('leave').catch(() => {})));
    await Promise.all(it.people.map((p) => p.close().catch(() => {})));
    it.people = [];
  });
  after(async () => { await it.browser?.close(); await it.parts?.stop(); });
  it.open = async (room, options) => {
    const p = await Participant.open(it.browser, it.parts, { path: client.page(room) });
    it.people.push(p);
    await p.join(room, { resolution: 180, ...options });
    return p;
  };
  it.meet = async (count) => {
    const room = `fault${++it.rooms}x${process.pid}`;
    const all = [];
    for (let n = 0; n < count; n++) all.push(await it.open(room));
    await everybodySeesEverybody(all, 30000);
    all.room = room;
    return all;
  };
  // Whoever has not left the room, has no failure and hears and sees all others.
  it.whole = async (all) => {
    await everybodySeesEverybody(all, 30000);
    for (const p of all) {
      assert.equal(await p.get('state'), 'joined');
      assert.equal(Object.keys(await p.get('members')).length, all.length - 1, `${p.id} sees everybody once`);
    }
  };
  return it;
}

for (const [name, client] of Object.entries(clients)) {
  if (ONLY && !name.includes(ONLY)) continue;
  describe(`two bridges, ${name}`, () => {
    const it = place(client);

    test('F1: one of two bridges is killed: its people are on the other, and those there notice nothing', async () => {
      const first = await it.meet(2);
      const { busy: [gone], idle: [spared] } = await it.parts.sorted();
      await it.parts.drains(gone, true);
      const second = await it.meet(2);
      await it.parts.drains(gone, false);
      assert.deepEqual((await it.parts.load()).map((l) => l[0]), [1, 1], 'each has one');
      await listen([...first, ...second]);
      await sleep(1000);
      await gone.kill();
      await until('both meetings on the other bridge', async () => (await spared.stats()).participants === 4, 20000);
      await sleep(3000);
      judge('its people', await silences(first), 4000, 6000);
      judge('those next door', await silences(second), UNHEARD, 1500);
      await it.whole(first);
      await it.whole(second);
      await gone.start();
      await it.parts.knows(2);
    });

    test('F4: a bridge drains, its people are moved, and it ends', async () => {
      const all = await it.meet(2);
      const { busy: [leaving], idle: [other] } = await it.parts.sorted();
      await listen(all);
      await it.parts.orders('/colibri/drain/enable', leaving);
      await sleep(1500);
      judge('drain', await silences(all), UNHEARD, 1500);
      await listen(all);
      const moved = await it.parts.orders(`/move-endpoints/move-fraction?bridge=${leaving.name}&fraction=1`);
      assert.equal(moved.movedEndpoints, 2);
      await until('the meeting on the other bridge', async () => (await other.stats()).participants === 2, 10000);
      await sleep(3000);
      judge('move', await silences(all), 2000, 4000);
      await it.whole(all);
      await leaving.stop();
      assert.deepEqual(leaving.exit, { code: 0, signal: null });
      await leaving.start();
      await it.parts.knows(2);
    });
  });
}

// The rest is the same for all clients: it is the servers' matter.
const page = clients['test-call page'];
if (!ONLY || 'test-call page'.includes(ONLY)) {
  describe('bridges that hang, and one alone', () => {
    const it = place(page);

    test('F2: a bridge hangs for 20 s: its people are on the other, and nothing of them is left when it returns', async () => {
      const all = await it.meet(2);
      const { busy: [frozen], idle: [other] } = await it.parts.sorted();
      await listen(all);
      frozen.signal('SIGSTOP');
      await until('the meeting on the other bridge', async () => (await other.stats()).participants === 2, 20000);
      await sleep(3000);
      judge('the hanging bridge', await silences(all), 5000, 7000);
      await sleep(14000);
      await listen(all);
      frozen.signal('SIGCONT');
      await until('nothing left at the one that hung', async () => (await frozen.stats()).participants === 0, 60000);
      await sleep(1000);
      judge('its return', await silences(all), UNHEARD, 1500);
      await it.whole(all);
      assert.equal((await other.stats()).participants, 2, 'everybody once');
      await it.parts.knows(2, 60000);
    });

    test('F3: the only bridge is killed and comes back after 5 s: the room stays, and media is back', async () => {
      const all = await it.meet(2);
      const { busy: [only], idle: [other] } = await it.parts.sorted();
      await other.stop();
      await only.kill();
      await sleep(5000);
      const from = Date.now();
      await only.start();
      await listen(all);
      await everybodySeesEverybody(all, 15000);
      await until('sound of everybody', async () => (await Promise.all(all.map((p) => p.page.evaluate(() => Object.keys(window.rig.silences()).length)))).every((n) => n === 2), 10000);
      const took = Date.now() - from;
      console.log(`      sound and pictures ${took} ms after its start`);
      assert.ok(took < 8000, `${took} ms`);
      await it.whole(all);
      await other.start();
      await it.parts.knows(2);
    });
  });

  describe('the focus and the ways to the XMPP server', () => {
    const it = place(page, { focus: { PLAUSCH_FOCUS_HANDOVER: '/dev/shm' } });

    test('F5: the focus is killed: nobody hears of it, and when it is back people come and go as before', async () => {
      const all = await it.meet(2);
      await listen(all);
      await it.parts.focus.kill();
      await sleep(2000);
      judge('without a focus', await silences(all), UNHEARD, 1500);
      const from = Date.now();
      await it.parts.focus.start();
      const third = await it.open(all.room);
      await everybodySeesEverybody([...all, third], 20000);
      console.log(`      a third one hears and sees everybody ${Date.now() - from} ms after the focus' start`);
      judge('and with the next one', await heardBetween(all), BUSY);
      await it.whole([...all, third]);
    });

    test('F27: the focus is cut off from the XMPP server for 30 s', async () => {
      const all = await it.meet(2);
      await listen(all);
      it.parts.focus.cable.cut();
      await sleep(30000);
      judge('cut off', await silences(all), UNHEARD, 1500);
      it.parts.focus.cable.mend();
      const from = Date.now();
      const third = await it.open(all.room);
      await everybodySeesEverybody([...all, third], 20000);
      const took = Date.now() - from;
      console.log(`      somebody new is in ${took} ms after the way is whole again`);
      assert.ok(took < 10000, `${took} ms`);
      judge('cut off and back', await heardBetween(all), BUSY);
      await it.whole([...all, third]);
      assert.deepEqual((await it.parts.load()).map((l) => l[1]).sort(), [0, 3], 'nobody is on two bridges');
    });

    test('F27: a bridge is cut off from the XMPP server for 30 s', async () => {
      const all = await it.meet(2);
      const { busy: [cut], idle: [other] } = await it.parts.sorted();
      await listen(all);
      cut.cable.cut();
      await until('the meeting on the other bridge', async () => (await other.stats()).participants === 2, 20000);
      await sleep(3000);
      judge('a bridge nobody hears of', await silences(all), 5000, 7000);
      await sleep(25000);
      cut.cable.mend();
      await it.parts.knows(2, 60000);
      await until('nothing left at the one that was cut off', async () => (await cut.stats()).participants === 0, 60000);
      await it.whole(all);
    });
  });

  describe('one meeting over two bridges', () => {
    const it = place(page, { spread: true });

    test('three people over two bridges hear and see each other, and who speaks', async () => {
      const all = await it.meet(3);
      assert.deepEqual((await it.parts.load()).map((l) => l[0]), [1, 1], 'each bridge carries it');
      await steadyMedia(all, 10);
      for (const loud of all) {
        for (const p of all) await p.loudness(p === loud ? 0.9 : 0.005);
        for (const p of all) await until(`${p.id} to see ${loud.id} as dominant speaker`, async () => (await p.get('dominant')) === loud.id, 20000, 250);
      }
      for (const p of all) assert.ok(bridgeTransport(await p.media(), MEDIA), 'media goes through a bridge');
    });

    test('one of both is killed: the others go on, and all are on one', async () => {
      const all = await it.meet(3);
      // Two of three are together.
      const on = await Promise.all(all.map(async (p) => bridgeTransport(await p.media(), MEDIA)?.remotePort));
      const together = all.filter((_, i) => on.filter((port) => port === on[i]).length === 2);
      const gone = it.parts.bridges[MEDIA.indexOf(on.find((port, i) => !together.includes(all[i])))];
      await listen(all);
      await sleep(1000);
      await gone.kill();
      await sleep(6000);
      judge('everybody', await silences(all), 4500, 6500);
      judge('those who were together, of each other', await heardBetween(together), UNHEARD, 1500);
      await it.whole(all);
      await gone.start();
      await it.parts.knows(2);
    });
  });
}
