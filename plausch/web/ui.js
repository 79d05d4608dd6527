// The page's face: draws a meeting's state, turns clicks into its verbs. Keeps nothing that the meeting knows.
import { language, other, t } from './i18n.js';

const $ = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...kids) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...kids.filter((k) => k));
  return node;
};

export function translate() {
  document.documentElement.lang = language();
  document.title = t('title');
  for (const node of document.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
  for (const node of document.querySelectorAll('.language')) { node.textContent = t('language'); node.lang = other(); }
  for (const [id, key] of [['open-chat', 'chat'], ['open-report', 'report'], ['copy', 'copy'], ['leave', 'leave']]) name($(id), t(key));
  $('chat-text').placeholder = t('message');
  $('chat-text').ariaLabel = t('message');
}

function name(button, text) {
  button.title = text;
  button.ariaLabel = text;
}

export function deviceButtons(media) {
  for (const button of document.querySelectorAll('[data-device]')) {
    const kind = button.dataset.device;
    const muted = media?.muted[kind] ?? true;
    button.classList.toggle('off', muted);
    button.ariaPressed = String(!muted);
    name(button, t(`${kind === 'audio' ? 'mic' : 'cam'}${muted ? 'Off' : 'On'}`));
  }
  const sharing = !!media?.screen;
  $('share').classList.toggle('on', sharing);
  $('share').ariaPressed = String(sharing);
  $('share').hidden = !navigator.mediaDevices?.getDisplayMedia;
  name($('share'), t(sharing ? 'unshare' : 'share'));
}

export function preview(media) {
  const video = $('preview');
  show(video, media.track('video'));
  const why = (e) => (['NotAllowedError', 'NotFoundError', 'NotReadableError', 'insecure'].includes(e) ? t(e) : t('other', { name: e }));
  const { audio, video: camera } = media.errors;
  $('preview-note').textContent = [camera && t('noCamera', { why: why(camera) }), audio && t('noMic', { why: why(audio) })].filter(Boolean).join(' ');
}

// Gives an element a track, and touches it only when the track is another one.
function show(node, track) {
  const now = node.srcObject?.getTracks()[0] ?? null;
  if (now === (track ?? null)) return;
  node.srcObject = track ? new MediaStream([track]) : null;
  if (track) node.play?.().catch(() => {});
}

export class Stage {
  constructor(meeting) {
    this.meeting = meeting;
    this.tiles = new Map();
    this.sounds = new Map();
  }

  draw() {
    const { meeting } = this;
    const others = meeting.participants;
    const own = { id: meeting.id, name: `${meeting.name || t('guest')} (${t('you')})`, own: true, role: meeting.role() };
    const wanted = new Map();
    for (const p of others) {
      const called = p.name || t('guest');
      wanted.set(`${p.id}/camera`, { ...p, name: called, source: p.camera?.source, track: p.camera?.track, kind: 'camera' });
      for (const s of p.screens) wanted.set(`${p.id}/${s.source}`, { ...p, name: t('screenOf', { name: called }), source: s.source, track: s.track, kind: 'screen' });
    }
    if (meeting.media?.screen) wanted.set('own/screen', { ...own, name: t('screenOf', { name: t('you') }), track: meeting.media.screen, kind: 'screen' });
    wanted.set('own/camera', { ...own, track: meeting.media?.track('video'), audioMuted: meeting.media?.muted.audio, speaking: meeting.dominant === meeting.id, kind: 'camera' });
    for (const [key, tile] of this.tiles) if (!wanted.has(key)) { tile.root.remove(); this.tiles.delete(key); }
    for (const [key, p] of wanted) this.#tile(key, p);
    const staged = [...wanted.values()].filter((p) => p.kind === 'screen' && !p.own).length;
    // Beside a shared screen everybody else stands in one row.
    const columns = staged ? Math.max(1, wanted.size - staged) : Math.ceil(Math.sqrt(wanted.size * (innerWidth < innerHeight ? 0.5 : 1)));
    $('stage').style.setProperty('--columns', columns);
    $('alone').hidden = others.length > 0;
    this.#hear(others);
  }

  clear() {
    for (const { root } of this.tiles.values()) root.remove();
    for (const node of this.sounds.values()) node.remove();
    this.tiles.clear();
    this.sounds.clear();
  }

  #tile(key, p) {
    let tile = this.tiles.get(key);
    if (!tile) {
      const video = make('video', { autoplay: true, playsInline: true, muted: true });
      const initial = make('div', { className: 'initial', ariaHidden: 'true' });
      const called = make('b');
      const off = make('span', { className: 'off' });
      const role = make('span', { className: 'role' });
      const root = make('article', { className: 'tile' }, initial, video, make('div', { className: 'label' }, called, off, role));
      tile = { root, video, initial, called, off, role };
      this.tiles.set(key, tile);
      $('stage').append(root);
      if (!p.own && p.kind === 'camera') tile.more = this.#menu(p.id, root);
    }
    const { root, video } = tile;
    root.classList.toggle('own', !!p.own);
    root.classList.toggle('screen', p.kind === 'screen');
    root.classList.toggle('stage', p.kind === 'screen' && !p.own);
    root.classList.toggle('speaking', !!p.speaking && p.kind === 'camera');
    if (!p.own) {
      video.dataset.participant = p.id;
      if (p.source) video.dataset.source = p.source; else delete video.dataset.source;
    }
    show(video, p.track);
    video.hidden = !p.track;
    tile.initial.textContent = [...p.name][0]?.toUpperCase() ?? '';
    tile.called.textContent = p.name;
    tile.off.textContent = p.audioMuted && p.kind === 'camera' ? t('mutedLabel') : '';
    tile.role.textContent = p.role === 'moderator' && p.kind === 'camera' ? t('moderator') : '';
    if (tile.more) tile.more.hidden = this.meeting.role() !== 'moderator';
  }

  #menu(id, root) {
    const act = (key, action) => make('button', { type: 'button', textContent: t(key), onclick: () => { menu.open = false; action().catch(() => {}); } });
    const menu = make('details', { className: 'more' }, make('summary', { textContent: '⋯', ariaLabel: t('moderator') }), make('div', {},
      act('muteThem', () => this.meeting.muteOther(id, 'audio')), act('grant', () => this.meeting.grant(id)), act('kick', () => this.meeting.kick(id))));
    root.append(menu);
    return menu;
  }

  // Sound has no place on the stage; every stream has an element of its own.
  #hear(others) {
    const wanted = new Map(others.flatMap((p) => p.audio.map((s) => [s.source, { ...s, owner: p.id }])));
    for (const [key, node] of this.sounds) if (!wanted.has(key)) { node.remove(); this.sounds.delete(key); }
    for (const [key, s] of wanted) {
      let node = this.sounds.get(key);
      if (!node) {
        node = make('audio', { autoplay: true });
        node.dataset.participant = s.owner;
        node.dataset.source = s.source;
        this.sounds.set(key, node);
        $('sounds').append(node);
      }
      show(node, s.track);
    }
  }
}

export function drawMessages(messages) {
  const list = $('messages');
  while (list.children.length > messages.length) list.lastChild.remove();
  for (const m of messages.slice(list.children.length)) {
    list.append(make('li', {}, make('b', { textContent: m.own ? t('you') : m.name || t('guest') }), make('span', { textContent: m.text })));
    list.scrollTop = list.scrollHeight;
  }
}

export function drawReport(r, names) {
  const body = $('report-body');
  if (!r) { body.replaceChildren(make('p', { textContent: t('noSession') })); return; }
  const path = (c) => (c ? `${t(c.type)}, ${c.protocol?.toUpperCase()}, ${c.family}` : '–');
  const percent = (x) => t('percent', { n: (x * 100).toFixed(1) });
  const worst = Math.max(r.lossUp, r.lossDown);
  const quality = r.ice !== 'connected' && r.ice !== 'completed' ? 'poor' : worst > 0.05 || r.rtt > 300 ? 'poor' : worst > 0.01 || r.rtt > 150 ? 'fair' : 'good';
  const rows = [
    [t('path'), path(r.local)], [t('rtt'), r.rtt === null ? '–' : t('ms', { n: r.rtt })], [t('loss'), `${percent(r.lossUp)} / ${percent(r.lossDown)}`],
    [t('rate'), `${t('kbits', { n: r.up })} / ${t('kbits', { n: r.down })}`], [t('encryption'), [r.cipher, r.dtlsVersion && `DTLS ${r.dtlsVersion}`].filter(Boolean).join(', ') || '–'],
    [t('channel'), t(r.channel ? 'open' : 'shut')], [t('ice'), r.ice],
  ];
  const list = make('dl', {}, ...rows.flatMap(([k, v]) => [make('dt', { textContent: k }), make('dd', { textContent: v })]));
  const size = (s) => (s.width ? `${s.width}×${s.height}${s.fps ? `, ${Math.round(s.fps)}/s` : ''}` : '–');
  const table = (caption, heads, lines) => make('table', {}, make('caption', { textContent: caption }),
    make('tr', {}, ...heads.map((h) => make('th', { scope: 'col', textContent: h }))), ...lines.map((l) => make('tr', {}, ...l.map((c) => make('td', { textContent: c ?? '–' })))));
  body.replaceChildren(
    make('p', { className: `quality ${quality}`, textContent: t('quality', { q: t(quality) }) }), list,
    table(t('sending'), [t('kind'), t('codec'), t('picture'), t('bitrate')], r.sent.map((s) => [t(s.kind), s.codec, size(s), t('kbits', { n: s.kbits })])),
    table(t('receiving'), [t('who'), t('kind'), t('codec'), t('picture'), t('bitrate')],
      r.received.filter((s) => s.source).map((s) => [names[s.owner] || t('guest'), t(s.kind), s.codec, size(s), t('kbits', { n: s.kbits })])),
  );
}
