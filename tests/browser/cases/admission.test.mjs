// Who comes into a meeting, with every client: passwords, lobbies, tokens and accounts.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Participant, launch } from '../rig/browser.mjs';
import { clients } from '../rig/clients.mjs';
import { everybodySeesEverybody } from '../rig/media.mjs';
import { Server, until } from '../rig/server.mjs';

const ONLY = process.env.ONLY_CLIENT;

for (const [name, client] of Object.entries(clients)) {
  if (ONLY && !name.includes(ONLY)) continue;
  const opener = (context) => async (where, options) => {
    const p = await Participant.open(context.browser, context.server, { path: client.page(where) });
    // Whoever waits has not joined yet: the case looks at the promise when it is time.
    p.joining = p.join(where, { resolution: 180, ...options });
    p.joining.catch(() => {});
    return p;
  };
  const asked = (p, what, more = {}) => p.until(`to be asked for ${what}`, ([w, m]) => window.client.asked?.what === w && Object.entries(m).every(([k, v]) => window.client.asked[k] === v), [what, more]);
  const knocks = (p, who) => until(`${who} to be heard`, async () => (await p.call('knocking')).find((k) => k.name === who));
  const people = (p, who) => until(`${p.id} to see ${who}`, async () => Object.values(await p.get('members')).sort().join() === who);
  const closeAll = async (...all) => {
    for (const p of all) await p.call('leave').catch(() => {});
    for (const p of all) await p.close().catch(() => {});
  };

  describe(`${name}: at the door`, () => {
    const context = {};
    const open = opener(context);
    let n = 0;
    const room = (what) => `${what}${++n}x${process.pid}`;
    before(async () => Object.assign(context, { server: await Server.start({ web: client.web() }), browser: await launch() }));
    after(async () => {
      await context.browser?.close();
      await context.server?.stop();
    });

    test('a password: whoever does not know it is asked again, whoever knows it is in', async () => {
      const r = room('password');
      const a = await open(r, { name: 'Anna' });
      await a.joining;
      await a.until('moderator', () => window.client.role() === 'moderator');
      await a.call('setPassword', 'Grün & 1');
      const b = await open(r, { name: 'Ben' });
      await asked(b, 'password', { wrong: false });
      await b.call('answer', 'Grün');
      await asked(b, 'password', { wrong: true });
      assert.deepEqual(await a.get('members'), {}, 'not in before');
      await b.call('answer', 'Grün & 1');
      await b.joining;
      await everybodySeesEverybody([a, b]);
      await a.call('setPassword', '');
      const c = await open(r, { name: 'Cem' });
      await c.joining;
      await closeAll(a, b, c);
    });

    test('a lobby: a stranger knocks, is turned away, knocks again and is let in; others stay, and notice nothing', async () => {
      const r = room('lobby');
      const a = await open(r, { name: 'Anna' });
      await a.joining;
      await a.until('moderator', () => window.client.role() === 'moderator');
      // The library of 2021 wants full addresses to be made members, which servers refuse by now: with it, whoever is in would be put out.
      const b = client.old ? null : await open(r, { name: 'Ben' });
      await b?.joining;
      if (b) await people(a, 'Ben');
      await a.call('setLobby', true);
      const c = await open(r, { name: 'Clara' });
      await asked(c, 'wait');
      await a.call('deny', (await knocks(a, 'Clara')).id);
      await assert.rejects(c.joining, /denied/);
      await until('nobody to knock', async () => (await a.call('knocking')).length === 0);

      const again = client.old ? c.call('again') : c.call('join', r, { resolution: 180, name: 'Clara' });
      again.catch(() => {});
      await asked(c, 'wait');
      const knocking = await knocks(a, 'Clara');
      if (b) {
        assert.deepEqual(await b.call('knocking'), [], 'nobody else is asked');
        await people(b, 'Anna');
      }
      await a.call('admit', knocking.id);
      c.id = await again;
      await everybodySeesEverybody([a, b, c].filter((p) => p));

      // A lobby that is switched off lets in who waits.
      const d = await open(r, { name: 'Dora' });
      await asked(d, 'wait');
      await a.call('setLobby', false);
      await d.joining;
      await people(d, b ? 'Anna,Ben,Clara' : 'Anna,Clara');
      await closeAll(...[a, b, c, d].filter((p) => p));
    });
  });
}
