// Judging media: snapshots of what participants receive in, a list of complaints out.
import assert from 'node:assert/strict';
import { sleep, until } from './server.mjs';

// The receiving side of `from` at `viewer` in one snapshot: the busiest stream of that kind.
export function stream(snapshot, kind, from) {
  const of = snapshot.inbound.filter((s) => s.kind === kind && s.participant === from && s.packets > 0);
  return of.sort((a, b) => b.packets - a.packets)[0];
}

// Waits until everybody decodes audio and video of everybody else.
export async function everybodySeesEverybody(participants, ms = 20000) {
  for (const viewer of participants) {
    for (const from of participants) {
      if (from === viewer) continue;
      try {
        await until(`${viewer.id} to decode ${from.id}`, async () => {
          const m = await viewer.media();
          return (stream(m, 'video', from.id)?.frames ?? 0) > 2 && (stream(m, 'audio', from.id)?.samples ?? 0) > 4800;
        }, ms, 250);
      } catch (e) {
        const m = await viewer.media();
        throw new Error(`${e.message}\n${viewer.id} has: ${JSON.stringify(m, null, 1)}\nerrors: ${await viewer.page.evaluate(() => rig.errors.join('\n'))}\nconsole:\n${viewer.console.slice(-25).join('\n')}`);
      }
    }
  }
}

// Watches `seconds` long: frames and samples must rise in every second, and no picture may stand still for over a second.
export async function steadyMedia(participants, seconds) {
  const snapshots = async () => Promise.all(participants.map((p) => p.media()));
  const first = await snapshots();
  let last = first;
  for (let second = 1; second <= seconds; second++) {
    await sleep(1000);
    const now = await snapshots();
    participants.forEach((viewer, v) => {
      for (const from of participants) {
        if (from === viewer) continue;
        for (const [kind, counter] of [['video', 'frames'], ['audio', 'samples']]) {
          const [before, after] = [stream(last[v], kind, from.id), stream(now[v], kind, from.id)];
          assert.ok(after && before && after[counter] > before[counter],
            `second ${second}: ${viewer.id} got no new ${counter} of ${from.id} (${before?.[counter]} → ${after?.[counter]})\n${JSON.stringify(now[v].inbound)}`);
        }
      }
    });
    last = now;
  }
  participants.forEach((viewer, v) => {
    for (const from of participants) {
      if (from === viewer) continue;
      const [before, after] = [stream(first[v], 'video', from.id), stream(last[v], 'video', from.id)];
      const [freezes, frozen] = [after.freezes - before.freezes, after.frozen - before.frozen];
      assert.ok(freezes === 0 || frozen / freezes <= 1, `${viewer.id} saw ${from.id} frozen ${freezes} times, ${frozen.toFixed(2)} s in all`);
    }
  });
}

// The transport to the bridge (not the one to a peer).
export function bridgeTransport(snapshot, ports = [10000]) {
  return snapshot.transports.find((t) => ports.includes(t.remotePort) && t.dtls === 'connected');
}
