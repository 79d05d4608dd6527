// Starts the page: configuration and clicks in; language, preview, check, one meeting at a time and the way back into it out. `window.plausch` is that meeting.
import { check } from './check.js';
import { $ } from './dom.js';
import { choose, other, t } from './i18n.js';
import { LocalMedia } from './media.js';
import { Meeting, normaliseRoom } from './meeting.js';
import { Stage } from './stage.js';
import { deviceButtons, drawDevices, drawMessages, drawProgress, drawReport, drawVerdict, preview, translate } from './ui.js';
import { verdict } from './verdict.js';

const REPORT_EVERY_MS = 2000;
// What somebody says quietly; noise of a room stays below.
const HEARD = 0.04;
// A server that is renewed is away for seconds; after two minutes somebody has to look.
const REJOIN_EVERY_MS = 3000;
const REJOINS = 40;

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
let heard = false;
const stage = new Stage(meeting);

// One question for camera and microphone at a time; whoever needs the answer waits for it.
let opening = null;
function openPreview() {
  opening ??= open().finally(() => { opening = null; });
  return opening;
}

async function open() {
  media = new LocalMedia();
  media.addEventListener('change', () => { preview(media); deviceButtons(media); listen(); });
  await media.start();
  deviceButtons(media);
  await showDevices();
}

async function showDevices() {
  drawDevices(await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? [], media, stage.speaker);
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
    const level = Math.min(1, Math.sqrt(samples.reduce((sum, s) => sum + s * s, 0) / samples.length) * 4);
    $('level').value = level;
    heard ||= level > HEARD;
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
    say(state === 'failed' ? t('failed', { why }) : t(state === 'kicked' ? 'kicked' : meeting.endedBy ? 'ended' : 'left'), state === 'failed');
    media = null;
    $('preview').srcObject = null;
    // Somebody who was in comes back by itself; somebody who never came in is told why.
    if (state === 'failed' && meeting.lost) rejoin(meeting.roomName, meeting.lost);
  }
});

// Only what went wrong is red.
function say(text, wrong = false) {
  $('lobby-note').textContent = text;
  $('lobby-note').classList.toggle('note', wrong);
}

async function rejoin(room, muted) {
  for (let left = REJOINS; left > 0; left--) {
    say(t('rejoining'));
    await new Promise((r) => { setTimeout(r, REJOIN_EVERY_MS); });
    // Somebody has done something in the meantime.
    if (meeting.state !== 'failed' || media) return;
    const fresh = new LocalMedia();
    await fresh.start();
    for (const kind of ['audio', 'video']) if (muted[kind]) fresh.mute(kind);
    if (meeting.state !== 'failed' || media) { fresh.stop(); return; }
    if (await meeting.join(room, { ...meeting.options, media: fresh }).then(() => true, () => false)) return;
  }
  say(t('failed', { why: meeting.failures.at(-1)?.[1] ?? '' }), true);
}
// A page in the background gets no animation frames, but sound must reach it.
setInterval(() => { if (document.hidden && drawing) draw(); }, 500);

$('join-form').addEventListener('submit', async (e) => {
  e.preventDefault();
  const room = normaliseRoom($('room').value.trim());
  $('room').ariaInvalid = String(!room);
  $('room-error').textContent = room ? '' : t('roomMissing');
  if (!room) { $('room').focus(); return; }
  say('');
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
$('copy').addEventListener('click', copyLink);
$('invite').addEventListener('click', async () => {
  const url = link();
  if (navigator.share && await navigator.share({ url }).then(() => true, (e) => e.name === 'AbortError')) return;
  await copyLink();
});
const link = () => location.href.split(/[?#]/)[0];
async function copyLink() {
  const copied = await (navigator.clipboard?.writeText(link()) ?? Promise.reject()).then(() => true, () => false);
  $('call-note').textContent = copied ? t('copied') : link();
}

// A check of devices and network: a meeting with oneself.
let checking = false;
async function runCheck() {
  if (!$('check').open) $('check').showModal();
  if (checking) return;
  checking = true;
  $('check-again').hidden = true;
  drawProgress('server');
  if ((opening || !media) && meeting.state !== 'joined') await openPreview();
  heard = false;
  const facts = await check({ config: await ready, media: active() ?? new LocalMedia(), heard: () => heard || meeting.state === 'joined', progress: drawProgress });
  drawVerdict(verdict(facts), facts.recording);
  checking = false;
  $('check-again').hidden = false;
}
for (const button of document.querySelectorAll('[data-check]')) button.addEventListener('click', runCheck);
$('check-again').addEventListener('click', runCheck);
$('close-check').addEventListener('click', () => $('check').close());
$('check').addEventListener('close', () => $('check-film').pause());

// Removing somebody cannot be taken back.
stage.onkick = async (id) => {
  $('sure-text').textContent = t('sureKick', { name: meeting.members[id] || t('guest') });
  $('sure').showModal();
  const sure = await new Promise((answer) => {
    $('sure-yes').onclick = () => answer(true);
    $('sure-no').onclick = $('sure').onclose = () => answer(false);
  });
  $('sure').onclose = null;
  $('sure').close();
  if (sure) await meeting.kick(id);
};

for (const [id, kind] of [['choose-cam', 'video'], ['choose-mic', 'audio']]) {
  $(id).addEventListener('change', async () => { await media?.choose(kind, $(id).value); await showDevices(); });
}
$('choose-speaker').addEventListener('change', () => stage.useSpeaker($('choose-speaker').value));
navigator.mediaDevices?.addEventListener?.('devicechange', showDevices);

// Two tones, out of the loudspeaker that was chosen.
$('test-sound').addEventListener('click', async () => {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  const player = Object.assign(new Audio(), { srcObject: out.stream });
  if (stage.speaker) await player.setSinkId?.(stage.speaker).catch(() => {});
  for (const [tone, at] of [[523, 0], [659, 0.4]]) {
    const [oscillator, gain] = [context.createOscillator(), context.createGain()];
    oscillator.frequency.value = tone;
    gain.gain.setValueAtTime(0.2, context.currentTime + at);
    gain.gain.exponentialRampToValueAtTime(0.001, context.currentTime + at + 0.5);
    oscillator.connect(gain).connect(out);
    oscillator.start(context.currentTime + at);
    oscillator.stop(context.currentTime + at + 0.5);
  }
  await player.play().catch(() => {});
  setTimeout(() => { player.pause(); context.close().catch(() => {}); }, 1200);
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
