// Texts, names and XML of the page.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { test } from 'node:test';
import { choose, t, texts } from '../i18n.js';
import { normaliseRoom, roomNode } from '../meeting.js';
import { CAPS_VERSION, FEATURES, readSourceInfo } from '../presence.js';
import { hex, uuid } from '../random.js';
import { el, escape } from '../xml.js';

test('every text exists in both languages with the same places to fill', () => {
  assert.deepEqual(Object.keys(texts.de).sort(), Object.keys(texts.en).sort());
  for (const key of Object.keys(texts.en)) {
    const places = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
    assert.deepEqual(places(texts.de[key]), places(texts.en[key]), key);
  }
});

test('the language is the first one we have', () => {
  assert.equal(choose(['fr-FR', 'de-AT', 'en']), 'de');
  assert.equal(t('ms', { n: 7 }), '7 ms');
  assert.equal(choose(['fr']), 'en');
});

test('compat: room names become addresses as in every other client', () => {
  assert.equal(normaliseRoom('B%C3%BCrgerForum!'), 'bürgerforum');
  assert.equal(normaliseRoom(':?#[]@!$&\'()*+,;=><"/a b'), 'a b');
  assert.equal(normaliseRoom('100%'), '100%');
  assert.equal(roomNode('bürgerforum'), 'b%c3%bcrgerforum');
});

test('what goes into XML cannot leave its place', () => {
  assert.equal(String(el('a', { b: '"<&\'' }, '</a><x/>')), '<a b="&quot;&lt;&amp;&#39;">&lt;/a&gt;&lt;x/&gt;</a>');
  assert.equal(String(el('a', { gone: undefined, none: null }, null, false, [el('b', {})])), '<a><b/></a>');
  assert.equal(escape('a\u0000\u0008b\ud800c😀\n'), 'abc😀\n', 'what XML cannot carry is left out');
});

test('a broken SourceInfo is an empty one', () => {
  for (const text of ['', '{', 'null', '7']) assert.deepEqual(readSourceInfo(text), {});
  assert.deepEqual(readSourceInfo('{"a-v0":{"muted":true}}'), { 'a-v0': { muted: true } });
});

test('features are sorted for the caps hash and contain what the focus asks for', () => {
  assert.deepEqual(FEATURES, [...FEATURES].sort());
  for (const f of ['http://jitsi.org/ssrc-rewriting-1', 'http://jitsi.org/source-name', 'http://jitsi.org/json-encoded-sources']) assert.ok(FEATURES.includes(f));
  assert.equal(CAPS_VERSION, createHash('sha1').update(FEATURES.map((f) => `${f}<`).join('')).digest('base64'), 'compute it anew when the features change');
});

test('a page without https had no random names and no digest', () => {
  assert.match(uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(hex(3).length, 3);
  for (const file of fs.readdirSync(new URL('..', import.meta.url)).filter((f) => f.endsWith('.js'))) {
    const code = fs.readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').replace(/\/\/.*/g, '');
    assert.doesNotMatch(code, /crypto\.(randomUUID|subtle)/, file);
  }
});
