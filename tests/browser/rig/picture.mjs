// Pictures as people see them: a screenshot in, a small grid of colours out; two grids in, where they differ out.
//
// A grid has one mean colour for each square of 8 × 8 pixels, kept as a small PNG. Letters that are drawn a hair differently, or stand
// a few pixels beside, are the same to it; a button that is gone, a label that is cut or covered, a colour that is another are not.
import zlib from 'node:zlib';

export const SQUARE = 8;
// Colours are kept in so many steps: what compresses well and nobody sees.
const STEP = 4;
// How far a colour may be off, of 255, and how many squares of a picture may be further off.
const NEAR = 14;
const ODD = 2;

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');

// A PNG of 8 bits per channel, RGB or RGBA, as browsers write it: `rgb` has three bytes for each pixel.
export function decode(png) {
  if (!png.subarray(0, 8).equals(SIGNATURE)) throw new Error('no PNG');
  let [width, height, channels] = [0, 0, 3];
  const packed = [];
  for (let at = 8; at < png.length;) {
    const [length, type] = [png.readUInt32BE(at), png.toString('latin1', at + 4, at + 8)];
    const data = png.subarray(at + 8, at + 8 + length);
    if (type === 'IHDR') {
      [width, height] = [data.readUInt32BE(0), data.readUInt32BE(4)];
      channels = { 2: 3, 6: 4 }[data[9]];
      if (data[8] !== 8 || !channels || data[12] !== 0) throw new Error('a PNG of another kind');
    } else if (type === 'IDAT') packed.push(data);
    at += 12 + length;
  }
  const raw = zlib.inflateSync(Buffer.concat(packed));
  const line = width * channels;
  const rgb = Buffer.alloc(width * height * 3);
  let above = new Uint8Array(line);
  for (let y = 0; y < height; y++) {
    const from = y * (line + 1);
    const row = new Uint8Array(raw.subarray(from + 1, from + 1 + line));
    unfilter(raw[from], row, above, channels);
    for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++) rgb[(y * width + x) * 3 + c] = row[x * channels + c];
    above = row;
  }
  return { width, height, rgb };
}

// PNG (RFC 2083) §6.
function unfilter(kind, row, above, channels) {
  for (let i = 0; i < row.length; i++) {
    const [left, up, corner] = [i < channels ? 0 : row[i - channels], above[i], i < channels ? 0 : above[i - channels]];
    if (kind === 1) row[i] += left;
    else if (kind === 2) row[i] += up;
    else if (kind === 3) row[i] += (left + up) >> 1;
    else if (kind === 4) {
      const p = left + up - corner;
      const [a, b, c] = [Math.abs(p - left), Math.abs(p - up), Math.abs(p - corner)];
      row[i] += a <= b && a <= c ? left : b <= c ? up : corner;
    }
  }
}

export function encode({ width, height, rgb }) {
  const lines = [];
  for (let y = 0; y < height; y++) {
    // Each line as its difference to the one above: much is the same.
    const row = Buffer.alloc(1 + width * 3);
    row[0] = 2;
    for (let i = 0; i < width * 3; i++) row[1 + i] = rgb[y * width * 3 + i] - (y ? rgb[(y - 1) * width * 3 + i] : 0);
    lines.push(row);
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const piece = (type, data) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  return Buffer.concat([SIGNATURE, piece('IHDR', head), piece('IDAT', zlib.deflateSync(Buffer.concat(lines), { level: 9 })), piece('IEND', Buffer.alloc(0))]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const b of bytes) {
    crc ^= b;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// The mean colour of each square; what is left over at the right and below counts as a square of its own.
export function grid({ width, height, rgb }) {
  const [across, down] = [Math.ceil(width / SQUARE), Math.ceil(height / SQUARE)];
  const out = Buffer.alloc(across * down * 3);
  for (let gy = 0; gy < down; gy++) {
    for (let gx = 0; gx < across; gx++) {
      const sum = [0, 0, 0];
      let n = 0;
      for (let y = gy * SQUARE; y < Math.min(height, (gy + 1) * SQUARE); y++) {
        for (let x = gx * SQUARE; x < Math.min(width, (gx + 1) * SQUARE); x++, n++) {
          for (let c = 0; c < 3; c++) sum[c] += rgb[(y * width + x) * 3 + c];
        }
      }
      for (let c = 0; c < 3; c++) out[(gy * across + gx) * 3 + c] = Math.min(255, Math.round(sum[c] / n / STEP) * STEP);
    }
  }
  return { width: across, height: down, rgb: out };
}

// How many squares differ when both are looked at a little out of focus, so that an edge may lie a pixel beside; with the first places.
export function difference(a, b) {
  if (a.width !== b.width || a.height !== b.height) return { squares: Infinity, where: [`${a.width}×${a.height} and ${b.width}×${b.height}`] };
  const [one, other] = [unfocused(a), unfocused(b)];
  const where = [];
  for (let at = 0; at < a.width * a.height; at++) {
    const far = Math.max(...[0, 1, 2].map((c) => Math.abs(one[at * 3 + c] - other[at * 3 + c])));
    if (far > NEAR) where.push(`${(at % a.width) * SQUARE},${Math.floor(at / a.width) * SQUARE}`);
  }
  return { squares: where.length, where: where.slice(0, 8) };
}

export const alike = (found) => found.squares <= ODD;

// Each square as the mean of itself and the eight around it.
function unfocused({ width, height, rgb }) {
  const out = new Float32Array(rgb.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        let [sum, n] = [0, 0];
        for (let j = Math.max(0, y - 1); j <= Math.min(height - 1, y + 1); j++) {
          for (let i = Math.max(0, x - 1); i <= Math.min(width - 1, x + 1); i++, n++) sum += rgb[(j * width + i) * 3 + c];
        }
        out[(y * width + x) * 3 + c] = sum / n;
      }
    }
  }
  return out;
}
