// Addresses in; which meeting the page is for, where its configuration is, and which address it takes on, out.
import assert from 'node:assert/strict';
import { test } from 'node:test';

let loaded = 0;
async function at(path) {
  const changed = [];
  globalThis.location = new URL(path, 'https://meet.example');
  globalThis.history = { replaceState: (_, __, to) => changed.push(to) };
  const scripts = [];
  globalThis.document = { createElement: () => ({}), head: { append: (s) => scripts.push(s.src) } };
  const page = await import(`../where.js?${loaded += 1}`);
  page.configuration();
  page.rememberRoom('räte');
  return [page.roomInAddress(), scripts[0], changed[0]];
}

test('the page is every room where there is no web app', async () => {
  assert.deepEqual(await at('/'), ['', '/config.js', '/r%C3%A4te']);
  assert.deepEqual(await at('/rathaus?x=1'), ['rathaus', '/config.js', '/r%C3%A4te?x=1']);
  assert.deepEqual(await at('/stadt/rathaus'), ['rathaus', '/stadt/config.js', '/stadt/r%C3%A4te']);
});

test('beside a web app it stays in its own place', async () => {
  assert.deepEqual(await at('/_plausch/test'), ['', '/config.js', '/_plausch/test/r%C3%A4te']);
  assert.deepEqual(await at('/_plausch/test/rathaus'), ['rathaus', '/config.js', '/_plausch/test/r%C3%A4te']);
  assert.deepEqual(await at('/stadt/_plausch/test/'), ['', '/stadt/config.js', '/stadt/_plausch/test/r%C3%A4te']);
  assert.deepEqual(await at('/stadt/_plausch/test/r%C3%A4te'), ['räte', '/stadt/config.js', undefined]);
});
