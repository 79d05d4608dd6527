// The pictures and sounds of a meeting: who is there in, tiles and players out.
import { $, drawing, make, show } from './dom.js';
import { t } from './i18n.js';

// In how many columns so many pictures become largest.
export function columns(pictures, width, height) {
  const size = (n) => Math.min(width / n, (height / Math.ceil(pictures / n)) * 16 / 9);
  let best = 1;
  for (let n = 2; n <= pictures; n++) if (size(n) > size(best)) best = n;
  return best;
}

// Tiles of fewer pixels have no room for words beside the name.
const NARROW = 200;

// A menu is larger than a small tile, so it lies above all of them, where there is room.
function place(menu) {
  if (!menu.open) return;
  const [button, list] = [menu.querySelector('summary').getBoundingClientRect(), menu.lastChild];
  list.style.top = `${Math.max(8, Math.min(button.bottom + 4, innerHeight - list.offsetHeight - 8))}px`;
  list.style.right = `${Math.max(8, Math.min(innerWidth - button.right, innerWidth - list.offsetWidth - 8))}px`;
  const close = (e) => {
    if (menu.contains(e.target)) return;
    menu.open = false;
    removeEventListener('pointerdown', close);
  };
  addEventListener('pointerdown', close);
}

export class Stage {
  constructor(meeting) {
    this.meeting = meeting;
    this.tiles = new Map();
    this.sounds = new Map();
    this.speaker = '';
    // Who removes somebody is asked first.
    this.onkick = (id) => meeting.kick(id);
  }

  // The loudspeaker that sounds come out of; '' is the browser's choice.
  useSpeaker(id) {
    this.speaker = id;
    for (const node of this.sounds.values()) node.setSinkId?.(id).catch(() => {});
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
    if (!meeting.watching) wanted.set('own/camera', { ...own, track: meeting.media?.track('video'), audioMuted: meeting.media?.muted.audio, speaking: meeting.dominant === meeting.id, kind: 'camera' });
    for (const [key, tile] of this.tiles) if (!wanted.has(key)) { tile.root.remove(); this.tiles.delete(key); }
    for (const [key, p] of wanted) this.#tile(key, p);
    const staged = [...wanted.values()].filter((p) => p.kind === 'screen' && !p.own).length;
    // Beside a shared screen everybody else stands in one row.
    const room = $('stage').getBoundingClientRect();
    const across = staged ? Math.max(1, wanted.size - staged) : columns(wanted.size, room.width, room.height);
    $('stage').style.setProperty('--columns', across);
    $('stage').classList.toggle('narrow', room.width / across < NARROW);
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
      const off = make('span', { className: 'off' }, drawing('mic'), make('span'));
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
    tile.off.hidden = !(p.audioMuted && p.kind === 'camera');
    tile.off.lastChild.textContent = t('mutedLabel');
    tile.role.textContent = p.role === 'moderator' && p.kind === 'camera' ? t('moderator') : '';
    if (!tile.more) return;
    tile.more.hidden = this.meeting.role() !== 'moderator';
    tile.more.firstChild.ariaLabel = t('moderator');
    for (const button of tile.more.querySelectorAll('button')) button.textContent = t(button.dataset.text);
  }

  #menu(id, root) {
    const act = (key, action) => {
      const button = make('button', { type: 'button', onclick: () => { menu.open = false; action().catch(() => {}); } });
      button.dataset.text = key;
      return button;
    };
    const menu = make('details', { className: 'more' }, make('summary', { textContent: '⋯' }), make('div', {},
      act('muteThem', () => this.meeting.muteOther(id, 'audio')), act('grant', () => this.meeting.grant(id)), act('kick', () => this.onkick(id))));
    menu.addEventListener('toggle', () => place(menu));
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
        if (this.speaker) node.setSinkId?.(this.speaker).catch(() => {});
        this.sounds.set(key, node);
        $('sounds').append(node);
      }
      show(node, s.track);
    }
  }
}
