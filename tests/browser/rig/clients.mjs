// Which clients the cases run with: a name in, the web folder to serve and the page to open out.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.join(HERE, '..');

// `library`: a file with a build of the Jitsi client library. The folder has the shape of a web app's: index.html for every room.
function webFolder(library) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'plausch-web-'));
  fs.copyFileSync(library, path.join(dir, 'lib-jitsi-meet.js'));
  fs.copyFileSync(path.join(ROOT, 'node_modules/jquery/dist/jquery.min.js'), path.join(dir, 'jquery.min.js'));
  fs.copyFileSync(path.join(ROOT, 'pages/lib-client.js'), path.join(dir, 'lib-client.js'));
  fs.copyFileSync(path.join(ROOT, 'pages/lib-client.html'), path.join(dir, 'index.html'));
  return dir;
}

const LIBRARY_2021 = path.join(ROOT, '.cache/lib-jitsi-meet-2021.js');

// The client of 2021 and our own test-call page always; a current build where NEWEST_LIB_JITSI_MEET names one.
// `old`: one video source per participant, and no word of it in presence. `noPeer`: never talks to a peer directly.
// `dataChannelOnly`: has no bridge channel over WebSocket.
export const clients = {
  'test-call page': { web: () => 'none', page: (room) => `/${room}`, noPeer: true, dataChannelOnly: true },
  'library of 2021': { web: () => webFolder(LIBRARY_2021), page: (room) => `/${room}`, old: true },
  ...(process.env.NEWEST_LIB_JITSI_MEET ? { 'newest library': { web: () => webFolder(process.env.NEWEST_LIB_JITSI_MEET), page: (room) => `/${room}` } } : {}),
};
