// Starts the page: configuration, language, preview, and one meeting at a time. `window.plausch` is that meeting.
import { choose, other, t } from './i18n.js';
import { LocalMedia } from './media.js';
import { Meeting, normaliseRoom } from './meeting.js';
import { Stage, deviceButtons, drawMessages, drawReport, preview, translate } from './ui.js';

const $ = (id) => document.getElementById(id);
const REPORT_EVERY_MS = 2000;

// The room is the last segment of the address, what stands before it is the tenant.
const segments = location.pathname.split('/').filter((s) => s);
const base = segments.length > 1 ? `/${segments.slice(0, -1).join('/')}/` : '/';
const roomInAddress = segments.at(-1) ?? '';
const options = new URLSearchParams(location.search);

// The same file that every client reads.
function configuration() {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = `${base}config.js`;
    script.onload = () => (window.config ? resolve(window.config) : reject(new Error('config.js is empty')));
    script.onerror = () => reject(new Error('config.js cannot be loaded'));
    document.head.append(script);
  });
}

const ready = configuration();
const meeting = window.plausch = new Meeting(null);
const join = meeting.join.bind(meeting);
// Tests and the form join the same way.
meeting.join = async (room, given = {}) => {
  meeting.config = await ready;
  return join(room, given);
};

choose([options.get('lang') ?? '', ...navigator.languages]);
translate();

let media = null;
let levels = null;
const stage = new Stage(meeting);

async function openPreview() {
  media = new LocalMedia();
  media.addEventListener('change', () => { preview(media); deviceButtons(media); listen(); });
  await media.start();
  deviceButtons(media);
}

// The bar that shows that the microphone hears something.
function listen() {
  levels?.close().catch(() => {});
  levels = null;
  const track = media?.track('audio');
  $('level').value = 0;
  if (!track) return;
  const context = levels = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const tick = () => {
    if (levels !== context) return;
    analyser.getFloatTimeDomainData(samples);
    $('level').value = Math.min(1, Math.sqrt(samples.reduce((sum, s) => sum + s * s, 0) / samples.length) * 4);
    setTimeout(tick, 100);
  };
  tick();
}

const active = () => (meeting.state === 'joined' ? meeting.media : media);

let drawing = false;
function draw() {
  drawing = false;
  const inCall = meeting.state === 'joined';
  $('lobby').hidden = inCall;
  $('call').hidden = !inCall;
  $('join').disabled = meeting.state === 'joining';
  $('join').textContent = t(meeting.state === 'joining' ? 'joining' : 'join');
  deviceButtons(active());
  if (!inCall) { stage.clear(); return; }
  $('call-room').textContent = meeting.roomName;
  $('call-note').textContent = meeting.connection === 'reconnecting' ? t('reconnecting') : meeting.bridgeMissing ? t('noBridge')
    : meeting.forced.has('audio') ? t('mutedByModerator') : '';
  stage.draw();
  drawMessages(meeting.messages);
}

let state = 'new';
meeting.addEventListener('change', (e) => {
  if (!drawing) { drawing = true; requestAnimationFrame(draw); }
  if (e.detail === 'chat' && $('chat').hidden) $('open-chat').querySelector('i').hidden = false;
  if (meeting.state === state) return;
  state = meeting.state;
  if (state === 'joined') {
    levels?.close().catch(() => {});
    levels = null;
    if (media && media !== meeting.media) media.stop();
  }
  if (['left', 'kicked', 'failed'].includes(state)) {
    const why = meeting.failures.at(-1)?.[1] ?? '';
    $('lobby-note').textContent = state === 'failed' ? t('failed', { why }) : t(state === 'kicked' ? 'kicked' : meeting.endedBy ? 'ended' : 'left');
    media = null;
    $('preview').srcObject = null;
  }
});
// A page in the background gets no animation frames, but sound must reach it.
setInterval(() => { if (document.hidden && drawing) draw(); }, 500);

$('join-form').addEventListener('submit', async (e) => {
  e.preventDefault();
  const room = normaliseRoom($('room').value.trim());
  if (!room) return;
  $('lobby-note').textContent = '';
  if (!media) await openPreview();
  if (segments.at(-1) !== encodeURIComponent(room)) history.replaceState(null, '', `${base}${encodeURIComponent(room)}${location.search}`);
  const chosen = { media, name: $('name').value.trim() };
  for (const key of ['transport', 'channel']) if (options.get(key)) chosen[key] = options.get(key);
  await meeting.join(room, chosen).catch(() => {});
});

for (const button of document.querySelectorAll('[data-device]')) {
  button.addEventListener('click', async () => {
    const kind = button.dataset.device;
    const target = meeting.state === 'joined' ? meeting : media;
    if (!target) { await openPreview(); return; }
    if (active().muted[kind]) await target.unmute(kind).catch(() => {}); else target.mute(kind);
  });
}
$('share').addEventListener('click', () => { if (meeting.media?.screen) meeting.unshare(); else meeting.share().catch(() => {}); });
$('leave').addEventListener('click', () => meeting.leave());
$('copy').addEventListener('click', async () => {
  await navigator.clipboard?.writeText(location.href.split('?')[0]).catch(() => {});
  $('call-note').textContent = t('copied');
});
for (const id of ['chat', 'report']) {
  const toggle = (open) => {
    $(id).hidden = !open;
    $(`open-${id}`).ariaExpanded = String(open);
    if (open) $(id === 'chat' ? 'report' : 'chat').hidden = true;
    if (open && id === 'chat') { $('open-chat').querySelector('i').hidden = true; $('chat-text').focus(); }
    if (open && id === 'report') showReport();
  };
  $(`open-${id}`).addEventListener('click', () => toggle($(id).hidden));
  document.querySelector(`[data-close=${id}]`).addEventListener('click', () => toggle(false));
}
$('chat-form').addEventListener('submit', (e) => {
  e.preventDefault();
  const text = $('chat-text').value.trim();
  if (text) meeting.chat(text);
  $('chat-text').value = '';
});

async function showReport() {
  if ($('report').hidden || meeting.state !== 'joined') return;
  drawReport(await meeting.stats(), meeting.members);
}
setInterval(showReport, REPORT_EVERY_MS);

for (const button of document.querySelectorAll('.language')) {
  button.addEventListener('click', () => { choose([other()]); translate(); stage.clear(); draw(); if (media) preview(media); showReport(); });
}
addEventListener('pagehide', () => { if (meeting.state === 'joined') meeting.leave(); });

try { $('room').value = decodeURIComponent(roomInAddress); } catch { $('room').value = roomInAddress; }
if (options.has('test')) { /* a test brings its own media and joins by itself */ } else openPreview();
