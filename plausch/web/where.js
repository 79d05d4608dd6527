// The page's address in; which meeting, below which tenant, with which options, and the server's configuration out.

// Beside a web app the page has a place of its own.
const OWN = ['_plausch', 'test'];

// The room is the last segment, what stands before it, and before the page's own place, is the tenant.
const segments = location.pathname.split('/').filter((s) => s);
const own = segments.findIndex((s, i) => s === OWN[0] && segments[i + 1] === OWN[1]);
const [before, rooms] = own < 0 ? [segments.slice(0, -1), segments.slice(-1)] : [segments.slice(0, own), segments.slice(own + 2)];
const folder = (parts) => (parts.length > 0 ? `/${parts.join('/')}/` : '/');
const base = folder(before);
const meetings = own < 0 ? base : folder([...before, ...OWN]);

export const options = new URLSearchParams(location.search);

export function roomInAddress() {
  const last = rooms.at(-1) ?? '';
  try { return decodeURIComponent(last); } catch { return last; }
}

// Whoever reloads comes back to the same meeting.
export function rememberRoom(room) {
  if (rooms.at(-1) !== encodeURIComponent(room)) history.replaceState(null, '', `${meetings}${encodeURIComponent(room)}${location.search}`);
}

// What others need to come here.
export const link = () => location.href.split(/[?#]/)[0];

// The same file that every client reads.
export function configuration() {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = `${base}config.js`;
    script.onload = () => (window.config ? resolve(window.config) : reject(new Error('config.js is empty')));
    script.onerror = () => reject(new Error('config.js cannot be loaded'));
    document.head.append(script);
  });
}
