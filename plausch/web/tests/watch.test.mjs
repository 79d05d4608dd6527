// Where one watches: the server's names in, the gallery's out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gallery } from '../watch.js';

test('a gallery lies below the name that all clients know, also that of a tenant', () => {
  const at = (domain, muc) => gallery({ domain, muc }, 'v0');
  assert.deepEqual(at('meet.jitsi', 'muc.meet.jitsi'), { domain: 'v0.meet.jitsi', muc: 'muc.v0.meet.jitsi' });
  assert.deepEqual(at('meet.jitsi', 'muc.stadt-a.meet.jitsi'), { domain: 'v0.meet.jitsi', muc: 'muc.stadt-a.v0.meet.jitsi' });
  assert.deepEqual(at('stadt.example', 'conference.stadt.example'), { domain: 'v0.meet.jitsi', muc: 'conference.v0.meet.jitsi' });
});
