// The folder that `plausch migrate` writes from that of a docker-jitsi-meet, started in a container as the pages about moving say.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { Compose } from '../rig/containers.mjs';

const PAGES = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../../docs/admin');
const HOST = 'meet.localhost';
const ask = { rejectUnauthorized: false, servername: HOST, port: 443, host: '127.0.0.1' };

// What is served: the certificate, and the answer to a request.
const served = (where) => new Promise((resolve, reject) => {
  let [mark, said] = ['', ''];
  const socket = tls.connect(ask, () => {
    mark = socket.getPeerCertificate().fingerprint256;
    socket.write(`GET ${where} HTTP/1.1\r\nhost: ${HOST}\r\nconnection: close\r\n\r\n`);
  });
  socket.on('data', (bytes) => { said += bytes; });
  socket.on('end', () => resolve({ mark, said }));
  socket.on('error', reject);
});

// The line for containers of the table on a page.
function commands(page) {
  const row = fs.readFileSync(path.join(PAGES, page), 'utf8').split('\n').find((l) => l.startsWith('| `.env`, `compose.yml`'));
  return row.split('`').filter((part, n) => n % 2 === 1 && part.includes(' '));
}

describe('the folder of somebody who moves', () => {
  let root, compose;
  before(() => { root = fs.mkdtempSync(path.join(os.tmpdir(), 'plausch-moving-')); });
  after(async () => {
    await compose?.end();
    fs.rmSync(root, { recursive: true, force: true });
  });

  test('is migrated, comes up healthy with its certificate and settings, and ends when told', async () => {
    const keys = path.join(root, 'cfg/web/keys');
    fs.mkdirSync(keys, { recursive: true });
    fs.writeFileSync(path.join(root, '.env'), `CONFIG=./cfg\nHTTP_PORT=80\nHTTPS_PORT=443\nJVB_PORT=10000\nTZ=Europe/Berlin\nPUBLIC_URL=https://${HOST}\n`
      + 'JICOFO_AUTH_PASSWORD=0123456789abcdef\nJVB_AUTH_PASSWORD=fedcba9876543210\nRESTART_POLICY=unless-stopped\nTOWN_OF="its $5"\n');
    fs.writeFileSync(path.join(root, 'cfg/web/custom-config.js'), "config.town = 'michladle';\n");
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${HOST}`, '-addext', `subjectAltName=DNS:${HOST}`,
      '-keyout', path.join(keys, 'cert.key'), '-out', path.join(keys, 'cert.crt')], { stdio: 'ignore' });

    const migrated = spawnSync(process.env.PLAUSCH_BIN, ['migrate', '.env'], { cwd: root, encoding: 'utf8' });
    assert.ok(migrated.status === 0 || migrated.status === 1, migrated.stdout + migrated.stderr);
    const dir = path.join(root, 'plausch-migrated');
    compose = Object.assign(Object.create(Compose.prototype), { dir, files: ['compose.yml'] });

    const lines = commands('moving.md');
    assert.deepEqual(lines, commands('umzug.md'), 'the pages differ');
    assert.ok(lines.some((l) => l.startsWith('docker compose up') && l.includes('--wait')), lines.join('\n'));
    for (const line of lines) {
      const done = spawnSync('sh', ['-c', line], { cwd: dir, encoding: 'utf8' });
      assert.equal(done.status, 0, `${line}: ${done.stderr}\n${line.startsWith('docker') ? await compose.do('logs') : ''}`);
    }
    const { RestartCount: restarts, Config: { Env: env } } = await compose.inspect('plausch');
    assert.equal(restarts, 0, 'no restart loop');
    assert.ok(env.includes('TOWN_OF=its $5'), `values arrive as they were: ${env.join('\n')}`);

    const config = await served('/config.js');
    assert.match(config.said, /config\.town = 'michladle'/);
    const own = new X509Certificate(fs.readFileSync(path.join(keys, 'cert.crt')));
    assert.equal(config.mark, own.fingerprint256, 'the certificate that people know');

    await compose.do('stop');
    const { State: state } = await compose.inspect('plausch');
    assert.deepEqual([state.ExitCode, state.OOMKilled], [0, false], await compose.do('logs'));
  });
});
