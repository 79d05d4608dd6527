// Random names, also on pages without https, where browsers offer no `crypto.randomUUID`.

export const hex = (digits) => [...crypto.getRandomValues(new Uint8Array(Math.ceil(digits / 2)))].map((b) => b.toString(16).padStart(2, '0')).join('').slice(0, digits);

// RFC 9562 §5.4.
export function uuid() {
  const h = hex(32);
  return `${h.slice(0, 8)}-${h.slice(8, 12)}-4${h.slice(13, 16)}-${'89ab'[parseInt(h[16], 16) & 3]}${h.slice(17, 20)}-${h.slice(20)}`;
}
