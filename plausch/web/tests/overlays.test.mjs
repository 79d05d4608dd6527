// The files that admins append to config.js: each runs behind it, for the rooms it is for and no others.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';

const folder = new URL('../../../jitsi-web-patches/overlays/', import.meta.url);
const plain = () => ({ prejoinConfig: { enabled: true }, disableAP: false, audioQuality: { stereo: false }, p2p: { enabled: true } });
const behind = (overlay, pathname) => {
  const config = plain();
  runInNewContext(readFileSync(new URL(overlay, folder), 'utf8'), pathname === undefined ? { config } : { config, location: { pathname } });
  return config;
};

test('all of them run, on pages and in apps', () => {
  const overlays = readdirSync(folder).filter((f) => f.endsWith('.js'));
  assert.deepEqual(overlays.sort(), ['care-home.js', 'music.js', 'town.js']);
  for (const overlay of overlays) for (const path of ['/', '/Rathaus', '/stadt/B%C3%BCrger', undefined]) behind(overlay, path);
});

test('rooms that they are not for stay as they are', () => {
  for (const overlay of ['music.js', 'care-home.js']) {
    for (const path of ['/', '/Rathaus', '/musik/Rathaus', '/heim-1/Rathaus', undefined]) assert.deepEqual(JSON.parse(JSON.stringify(behind(overlay, path))), plain());
  }
});

test('music is not taken for noise', () => {
  const config = behind('music.js', '/stadt/Musik-Klavier');
  assert.ok(config.disableAP && config.audioQuality.stereo);
});

test('a tablet is asked nothing', () => {
  const config = behind('care-home.js', '/heim-Rosengarten');
  assert.equal(config.prejoinConfig.enabled, false);
  assert.equal(config.toolbarButtons.length, 3);
});

test('the town names its own servers only', () => {
  const branding = JSON.parse(readFileSync(new URL('branding.json', folder), 'utf8'));
  const links = JSON.stringify([behind('town.js', '/'), branding]).match(/https?:\/\/[^/"]+/g);
  assert.ok(links.length > 3 && links.every((l) => l === 'https://www.town.example'), String(links));
});
