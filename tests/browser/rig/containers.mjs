// Drives `docker compose` as an admin does: files and an .env in, what runs and what it says out.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '../../..');

export class Compose {
  // `files`: of the project, by their path in it. `env`: lines of the .env. `more`: a further file.
  constructor(files, env, more) {
    if (!process.env.DOCKER_HOST) throw new Error('DOCKER_HOST must name a daemon: `cargo xtask test containers` starts one');
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'plausch-compose-'));
    this.files = files.map((f) => {
      const to = path.join(this.dir, path.basename(f));
      fs.copyFileSync(path.join(ROOT, f), to);
      return path.basename(f);
    });
    if (more) {
      fs.writeFileSync(path.join(this.dir, 'more.yml'), more);
      this.files.push('more.yml');
    }
    fs.writeFileSync(path.join(this.dir, '.env'), env.map((l) => `${l}\n`).join(''));
  }

  // A file beside the .env.
  write(name, text) {
    const to = path.join(this.dir, name);
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.writeFileSync(to, text);
  }

  // `docker compose …`; what it printed.
  async do(...words) {
    const files = this.files.length > 1 || this.files[0] !== 'compose.yml' ? this.files.flatMap((f) => ['-f', f]) : [];
    try {
      return (await run('docker', ['compose', ...files, ...words], { cwd: this.dir })).stdout;
    } catch (e) {
      throw new Error(`docker compose ${words.join(' ')}: ${e.code}\n${e.stdout}\n${e.stderr}`);
    }
  }

  // Up, and all are healthy.
  async up() {
    await this.do('up', '-d', '--pull', 'never', '--wait').catch(async (e) => { throw new Error(`${e.message}\n${await this.do('logs')}`); });
  }

  // What Docker knows of a service's container.
  async inspect(service) {
    const id = (await this.do('ps', '--all', '--quiet', service)).trim();
    return JSON.parse((await run('docker', ['inspect', id])).stdout)[0];
  }

  async address(service) {
    return Object.values((await this.inspect(service)).NetworkSettings.Networks)[0].IPAddress;
  }

  async end() {
    await this.do('down', '--volumes', '--timeout', '10');
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}
