// Gets the Jitsi client library of 2021 from the npm registry, checked by its published hash, into .cache/.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = '@lyno/lib-jitsi-meet@2.6726.2';
const INTEGRITY = 'sha512-cTrKBgy4ZHD6vyFTOAOx5ylyzjWs3ft6MLhmchu9zRq7uLr8omD4lE2fmSfoyoSqMjFc/3sU9XLYXiJ21hqQuw==';
const cache = path.join(path.dirname(fileURLToPath(import.meta.url)), '../.cache');
const target = path.join(cache, 'lib-jitsi-meet-2021.js');
const stamp = `${target}.integrity`;

if (fs.existsSync(target) && fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === INTEGRITY) process.exit(0);
fs.mkdirSync(cache, { recursive: true });
const name = execFileSync('npm', ['pack', '--silent', PACKAGE], { cwd: cache, encoding: 'utf8' }).trim().split('\n').pop();
const archive = path.join(cache, name);
const found = `sha512-${createHash('sha512').update(fs.readFileSync(archive)).digest('base64')}`;
if (found !== INTEGRITY) {
  console.error(`${PACKAGE}: expected ${INTEGRITY}, got ${found}. Not used.`);
  process.exit(1);
}
execFileSync('tar', ['xzf', archive, '-C', cache, 'package/lib-jitsi-meet.min.js']);
fs.renameSync(path.join(cache, 'package/lib-jitsi-meet.min.js'), target);
fs.rmSync(archive);
fs.rmSync(path.join(cache, 'package'), { recursive: true });
fs.writeFileSync(stamp, INTEGRITY);
