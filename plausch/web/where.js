// The page's address in; which meeting, below which tenant, with which options, and the server's configuration out.

// The room is the last segment, what stands before it is the tenant.
const segments = location.pathname.split('/').filter((s) => s);
const base = segments.length > 1 ? `/${segments.slice(0, -1).join('/')}/` : '/';

export const options = new URLSearchParams(location.search);

export function roomInAddress() {
  const last = segments.at(-1) ?? '';
  try { return decodeURIComponent(last); } catch { return last; }
}

// Whoever reloads comes back to the same meeting.
export function rememberRoom(room) {
  if (segments.at(-1) !== encodeURIComponent(room)) history.replaceState(null, '', `${base}${encodeURIComponent(room)}${location.search}`);
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
