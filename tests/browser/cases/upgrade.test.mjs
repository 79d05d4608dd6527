// An upgrade of the all-in-one in the midst of a meeting: what browsers in it and those who come later hear and see, and which process they are with, out.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { clients } from '../rig/clients.mjs';
import { everybodySeesEverybody } from '../rig/media.mjs';
import { Server, sleep, until } from '../rig/server.mjs';
import { heardBetween, judge, listen, silences } from '../rig/silence.mjs';

const ONLY = process.env.ONLY_CLIENT;
// Two more pages begin with their cameras on the same machine.
const BUSY = 3000;

for (const [name, client] of Object.entries(clients)) {
  if (ONLY && !name.includes(ONLY)) continue;
  describe(`an upgrade, ${name}`, () => {
    let server, browser, old;
    const people = [];
    const open = async (room, options) => {
      const p = await Participant.open(browser, server, { path: client.page(room) });
      people.push(p);
      await p.join(room, { resolution: 180, ...options });
      return p;
    };
    const leave = async (all) => {
      await Promise.all(all.map((p) => p.call('leave').catch(() => {})));
      await Promise.all(all.map((p) => p.close().catch(() => {})));
    };
    before(async () => { server = await Server.start({ web: client.web() }); browser = await launch(); old = server.child.pid; });
    after(async () => {
      await leave(people);
      await browser?.close();
      await server?.stop();
    });

    test('is not heard, and who comes later finds the meeting', async () => {
      const council = [await open('rat'), await open('rat')];
      await everybodySeesEverybody(council);
      await listen(council);
      await sleep(1000);
      server.child.kill('SIGUSR2');
      const now = await until('the new process', async () => {
        const { process: pid, before: left } = await server.admin('/upgrade').catch(() => ({}));
        return pid && pid !== old && { pid, left };
      }, 20000);
      server.successor = now.pid;
      await sleep(2000);
      judge('the upgrade', await silences(council), 500, 1500);

      const late = [await open('rat'), await open('rat', { transport: 'bosh', channel: 'websocket' })];
      await everybodySeesEverybody([...council, ...late], 30000);
      judge('two more came', await heardBetween(council), BUSY);
      await late[1].call('chat', 'Ich bin auch da');
      await council[0].until('chat of somebody who came later', () => client.messages.some((m) => m.text === 'Ich bin auch da'));

      const school = [await open('schule'), await open('schule')];
      await everybodySeesEverybody(school);
      assert.equal((await server.stats()).conferences, 1, 'the new process has the new meeting alone');
      assert.equal(await server.metric('plausch_upgrade_meetings_before'), 1);
      assert.equal(server.exit, undefined, 'the old one goes on');

      await leave([...council, ...late]);
      await until('the end of the old process', () => server.exit, 40000);
      assert.deepEqual(server.exit, { code: 0, signal: null }, 'it ends with its last meeting');
      await listen(school);
      await sleep(2000);
      judge('its end', await silences(school), 500, 1500);

      const again = [await open('rat'), await open('rat')];
      await everybodySeesEverybody(again);
      assert.equal((await server.stats()).conferences, 2, 'the same room is the new one\'s now');
    });
  });
}
