// How long nothing new came, as pages have noted it since `listen`: participants in, milliseconds out.
import assert from 'node:assert/strict';

const heard = (all) => Promise.all(all.map((p) => p.page.evaluate(() => window.rig.silences())));

export const listen = (all) => Promise.all(all.map((p) => p.page.evaluate(() => window.rig.listen())));

// The worst silence and the longest standing picture of anybody.
export async function silences(all) {
  const each = await heard(all);
  const worst = (kind) => Math.max(...each.flatMap((h) => Object.entries(h).filter(([k]) => k.endsWith(kind)).map(([, ms]) => ms)));
  for (const h of each) assert.equal(Object.keys(h).length, 2 * (all.length - 1), `sound and picture of everybody: ${JSON.stringify(h)}`);
  return { audio: worst('audio'), video: worst('video') };
}

// The same of these people alone, of each other.
export async function heardBetween(all) {
  const each = await heard(all);
  const of = (kind) => Math.max(...each.flatMap((h, i) => all.filter((_, j) => j !== i).map((q) => h[`${q.id} ${kind}`] ?? Infinity)));
  return { audio: of('audio'), video: of('video') };
}

export function judge(what, { audio, video }, limit, picture = limit) {
  console.log(`      ${what}: ${audio} ms without a sound, ${video} ms without a new picture`);
  assert.ok(audio <= limit && video <= picture, `${what}: ${audio} and ${video} ms, allowed are ${limit} and ${picture}`);
}
