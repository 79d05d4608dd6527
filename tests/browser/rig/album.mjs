// Keeps pictures of a page's states: a page and a name in; what differs from the kept picture, in light and dark, out.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { alike, decode, difference, encode, grid } from './picture.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const KEPT = path.join(HERE, '../pictures');
// With RENEW_PICTURES=1 what is seen becomes what is kept. PICTURES names a folder for whole pictures of all states, for people.
const RENEW = process.env.RENEW_PICTURES === '1';
const WHOLE = process.env.PICTURES;
const FAILED = WHOLE ?? path.join(os.tmpdir(), 'plausch-pictures');

// What moves by itself is not there: film, level, cursor, who is speaking.
const STILL = `video, meter { visibility: hidden !important } * { caret-color: transparent !important; transition: none !important; scroll-behavior: auto !important }
  .tile { border-color: transparent !important }`;

// The same letters on every machine: a file for fontconfig that knows two fonts, of an npm package.
export function fonts() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'plausch-fonts-'));
  const file = path.join(folder, 'fonts.conf');
  for (const font of ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf']) fs.copyFileSync(path.join(HERE, '../node_modules/dejavu-fonts-ttf/ttf', font), path.join(folder, font));
  fs.writeFileSync(file, `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>${folder}</dir><cachedir>${folder}/cache</cachedir>
<match target="font"><edit name="antialias" mode="assign"><bool>true</bool></edit><edit name="hinting" mode="assign"><bool>false</bool></edit><edit name="rgba" mode="assign"><const>none</const></edit></match></fontconfig>`);
  return { env: { FONTCONFIG_FILE: file }, flags: ['--font-render-hinting=none', '--disable-lcd-text', '--force-color-profile=srgb'], end: () => fs.rmSync(folder, { recursive: true, force: true }) };
}

// What stands still of a page, as a grid.
export async function seen(page, keep) {
  await page.evaluate((css) => {
    if (window.still) return;
    window.still = new CSSStyleSheet();
    window.still.replaceSync(css);
    document.adoptedStyleSheets.push(window.still);
  }, STILL);
  if (keep) fs.mkdirSync(path.dirname(keep), { recursive: true });
  // What has to be scrolled to belongs to the picture, as long as it is the page that is scrolled.
  const fullPage = await page.evaluate(() => !document.querySelector('dialog[open]'));
  const png = await page.screenshot({ fullPage, ...(keep ? { path: keep } : {}) });
  return grid(decode(png));
}

export class Album {
  constructor() {
    this.taken = new Set();
    this.faults = [];
  }

  // The same state in light and in dark.
  async look(page, name) {
    await this.#look(page, name);
    // A dialog that is longer than the screen has an end.
    const scroll = (to) => page.evaluate((y) => { const d = document.querySelector('dialog[open]'); if (!d || d.scrollHeight <= d.clientHeight) return false; d.scrollTop = y; return true; }, to);
    if (!await scroll(1e6)) return;
    await this.#look(page, `${name}-end`);
    await scroll(0);
  }

  async #look(page, name) {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      const full = `${name}-${colorScheme}`;
      this.taken.add(`${full}.png`);
      const kept = path.join(KEPT, `${full}.png`);
      const now = await seen(page, WHOLE && path.join(WHOLE, `${full}.png`));
      if (RENEW) {
        fs.mkdirSync(KEPT, { recursive: true });
        fs.writeFileSync(kept, encode(now));
        continue;
      }
      if (!fs.existsSync(kept)) { this.faults.push(`${full}: no such picture is kept`); continue; }
      const found = difference(decode(fs.readFileSync(kept)), now);
      if (alike(found)) continue;
      fs.mkdirSync(FAILED, { recursive: true });
      const whole = path.join(FAILED, `${full}.png`);
      await page.screenshot({ path: whole });
      this.faults.push(`${full}: ${found.squares} squares differ, at ${found.where.join('; ')}. The picture: ${whole}`);
    }
  }

  // What was wrong since the last time.
  complaints() {
    const all = this.faults.splice(0);
    return all.length ? [...all, 'When this is meant: RENEW_PICTURES=1 cargo xtask test browser pictures'] : [];
  }

  // Kept pictures that nobody looks at any more.
  left() {
    if (!RENEW) return fs.readdirSync(KEPT).filter((f) => !this.taken.has(f));
    for (const f of fs.readdirSync(KEPT)) if (!this.taken.has(f)) fs.rmSync(path.join(KEPT, f));
    return [];
  }
}
