// Starts the page: configuration and clicks in; language, preview, check, one meeting at a time and the way back into it out. `window.plausch` is that meeting.
import { check } from './check.js';
import { $ } from './dom.js';
import { Doorstep } from './doorstep.js';
import { choose, number, other, t } from './i18n.js';
import { Knocks } from './knocks.js';
import { LocalMedia } from './media.js';
import { Meeting, normaliseRoom } from './meeting.js';
import { Panels } from './panels.js';
import { Ear, playTones } from './sound.js';
import { Stage } from './stage.js';
import { supportCode } from './support.js';
import { deviceButtons, handButton, drawCode, drawDevices, drawMessages, drawProgress, drawVerdict, preview, translate } from './ui.js';
import { verdict } from './verdict.js';
import { configuration, link, options, rememberRoom, roomInAddress } from './where.js';

// A server that is renewed is away for seconds; after two minutes somebody has to look.
const REJOIN_EVERY_MS = 3000;
const REJOINS = 40;

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

// Our own camera and microphone before the meeting; during it they are the meeting's.
let media = null;
const ear = new Ear((level) => { $('level').value = level; });
const stage = new Stage(meeting);
const panels = new Panels(meeting);
const [doorstep, knocks] = [new Doorstep(meeting), new Knocks(meeting)];
const active = () => (meeting.state === 'joined' ? meeting.media : media);

// One question for camera and microphone at a time; whoever needs the answer waits for it.
let opening = null;
function openPreview() {
  opening ??= open().finally(() => { opening = null; });
  return opening;
}

async function open() {
  media = new LocalMedia();
  media.addEventListener('change', () => { preview(media); deviceButtons(media); ear.listen(media?.track('audio')); });
  await media.start();
  deviceButtons(media);
  await showDevices();
}

async function showDevices() {
  drawDevices(await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? [], media, stage.speaker);
}

let drawing = false;
function draw() {
  drawing = false;
  const inCall = meeting.state === 'joined';
  $('lobby').hidden = inCall;
  $('call').hidden = !inCall;
  const { asked } = meeting;
  const busy = meeting.state === 'joining' && !['password', 'name'].includes(asked?.what);
  $('join').disabled = busy;
  $('join').textContent = t(busy ? (asked ? 'waits' : 'joining') : 'join');
  doorstep.draw();
  deviceButtons(active());
  if (!inCall) { stage.clear(); return; }
  $('call-room').textContent = meeting.roomName;
  $('call-note').textContent = meeting.connection === 'reconnecting' ? t('reconnecting') : meeting.bridgeMissing ? t('noBridge')
    : meeting.forced.has('audio') ? t('mutedByModerator') : meeting.watching ? t(meeting.denied ? 'handDenied' : meeting.hand ? 'handUp' : 'watching')
      : meeting.watchers ? t('watchers', { n: number(meeting.watchers) }) : '';
  handButton(meeting);
  stage.draw();
  knocks.draw();
  drawMessages(meeting.messages);
}
function drawSoon() {
  if (!drawing) { drawing = true; requestAnimationFrame(draw); }
}
// A page in the background gets no animation frames, but sound must reach it.
setInterval(() => { if (document.hidden && drawing) draw(); }, 500);
// A telephone is turned, a panel opens: the pictures find new places.
new ResizeObserver(drawSoon).observe($('stage'));

let state = 'new';
meeting.addEventListener('change', (e) => {
  drawSoon();
  if (e.detail === 'chat') panels.said();
  if (meeting.state === state) return;
  state = meeting.state;
  if (state === 'joined') {
    ear.stop();
    if (media && media !== meeting.media) media.stop();
  }
  if (['left', 'kicked', 'failed'].includes(state)) {
    say(state === 'failed' ? failure : () => t(state === 'kicked' ? 'kicked' : meeting.endedBy ? 'ended' : meeting.gaveUp ? 'gaveUp' : 'left'), state === 'failed' && !meeting.refused);
    media = null;
    $('preview').srcObject = null;
    // Somebody who was in comes back by itself; somebody who never came in is told why.
    if (state === 'failed' && meeting.lost) rejoin(meeting.roomName, meeting.lost);
  }
});

// Only what went wrong is red. `text`: what gives the words, in the language that is then the page's.
let said = () => '';
function say(text, wrong = false) {
  said = text;
  $('lobby-note').textContent = said();
  $('lobby-note').classList.toggle('note', wrong);
}

// Why it did not work, and what to do, as far as it is one of the two things that happen.
function failure() {
  if (meeting.refused) return t(meeting.refused === 'over' ? 'ended' : 'turnedAway');
  const why = meeting.failures.at(-1)?.[1] ?? '';
  const known = /\(503\)/.test(why) ? 'Busy' : /fetch|network/i.test(why) ? 'Unreached' : null;
  if (!known) return t('failed', { why });
  return `${t(`server${known}`)} ${t(known === 'Busy' ? 'nextServerBusy' : 'nextServer')}`;
}

async function rejoin(room, muted) {
  for (let left = REJOINS; left > 0; left--) {
    say(() => t('rejoining'));
    await new Promise((r) => { setTimeout(r, REJOIN_EVERY_MS); });
    // Somebody has done something in the meantime.
    if (meeting.state !== 'failed' || media) return;
    const fresh = new LocalMedia();
    await fresh.start();
    for (const kind of ['audio', 'video']) if (muted[kind]) fresh.mute(kind);
    if (meeting.state !== 'failed' || media) { fresh.stop(); return; }
    const back = await meeting.join(room, { ...meeting.options, media: fresh }).then(() => true, () => false);
    // Whoever was turned away does not knock by itself.
    if (back || meeting.refused) return;
  }
  say(failure, true);
}

$('join-form').addEventListener('submit', async (e) => {
  e.preventDefault();
  if (doorstep.answers()) return;
  const room = normaliseRoom($('room').value.trim());
  $('room').ariaInvalid = String(!room);
  $('room-error').textContent = room ? '' : t('roomMissing');
  if (!room) { $('room').focus(); return; }
  say(() => '');
  if (!media) await openPreview();
  rememberRoom(room);
  const chosen = { media, name: $('name').value.trim() };
  for (const key of ['transport', 'channel', 'jwt']) if (options.get(key)) chosen[key] = options.get(key);
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
$('hand').addEventListener('click', () => meeting.raise(!meeting.hand));
$('leave').addEventListener('click', () => meeting.leave());
$('copy').addEventListener('click', copyLink);
$('invite').addEventListener('click', async () => {
  const url = link();
  if (navigator.share && await navigator.share({ url }).then(() => true, (e) => e.name === 'AbortError')) return;
  await copyLink();
});
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
  ear.heard = false;
  const facts = await check({ config: await ready, media: active() ?? new LocalMedia(), heard: () => ear.heard || meeting.state === 'joined', progress: drawProgress });
  const lines = verdict(facts);
  drawVerdict(lines, facts.recording);
  drawCode(await supportCode(facts, lines));
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
$('test-sound').addEventListener('click', () => playTones(stage.speaker));

for (const button of document.querySelectorAll('.language')) {
  button.addEventListener('click', () => { choose([other()]); translate(); $('lobby-note').textContent = said(); draw(); if (media) preview(media); panels.report(); });
}
addEventListener('pagehide', () => { if (meeting.state === 'joined') meeting.leave(); });

$('room').value = roomInAddress();
if (options.has('test')) { /* a test brings its own media and joins by itself */ } else openPreview();
