// Draws what is not the stage: texts, buttons, the preview, the check, messages and the report.
import { $, make, show } from './dom.js';
import { language, number, other, t } from './i18n.js';
import { quality } from './verdict.js';

export function translate() {
  document.documentElement.lang = language();
  document.title = t('title');
  for (const node of document.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
  for (const node of document.querySelectorAll('.language')) { node.textContent = t('language'); node.lang = other(); }
  for (const [id, key, word] of [['open-chat', 'chat', 'chat'], ['open-report', 'report', 'report'], ['open-entry', 'entry', 'entry'], ['copy', 'copy', 'wordCopy'], ['leave', 'leave', 'wordLeave']]) name($(id), t(key), t(word));
  for (const node of document.querySelectorAll('[data-label]')) node.ariaLabel = t(node.dataset.label);
  $('chat-text').placeholder = t('message');
  $('chat-text').ariaLabel = t('message');
}

function name(button, text, word) {
  button.title = text;
  button.ariaLabel = text;
  button.querySelector('.word').textContent = word;
}

export function deviceButtons(media) {
  for (const button of document.querySelectorAll('[data-device]')) {
    const kind = button.dataset.device;
    const muted = media?.muted[kind] ?? true;
    button.classList.toggle('off', muted);
    button.ariaPressed = String(!muted);
    const what = kind === 'audio' ? 'mic' : 'cam';
    name(button, t(`${what}${muted ? 'Off' : 'On'}`), t(`${what}Word`));
  }
  const sharing = !!media?.screen;
  $('share').classList.toggle('on', sharing);
  $('share').ariaPressed = String(sharing);
  $('share').hidden = !navigator.mediaDevices?.getDisplayMedia;
  name($('share'), t(sharing ? 'unshare' : 'share'), t('wordShare'));
}

// Whoever watches has a hand to raise, and nothing to send.
export function handButton({ watching, hand }) {
  $('hand').hidden = !watching;
  $('hand').classList.toggle('on', !!hand);
  $('hand').ariaPressed = String(!!hand);
  name($('hand'), t(hand ? 'lowerHand' : 'raiseHand'), t('wordHand'));
  for (const button of document.querySelectorAll('[data-device]')) button.hidden = !!watching;
  if (watching) $('share').hidden = true;
}

export function preview(media) {
  const video = $('preview');
  show(video, media.track('video'));
  const why = (e) => (['NotAllowedError', 'NotFoundError', 'NotReadableError', 'insecure'].includes(e) ? t(e) : t('other', { name: e }));
  const { audio, video: camera } = media.errors;
  const insecure = camera === 'insecure';
  $('preview-frame').hidden = insecure;
  $('insecure').hidden = !insecure;
  $('preview-note').textContent = insecure ? '' : [camera && t('noCamera', { why: why(camera) }), audio && t('noMic', { why: why(audio) })].filter(Boolean).join(' ');
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
  const percent = (x) => t('percent', { n: number(x * 100, 1) });
  const how = quality(r);
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
    make('p', { className: `quality ${how}`, textContent: t('quality', { q: t(how) }) }), list,
    table(t('sending'), [t('kind'), t('codec'), t('picture'), t('bitrate')], r.sent.map((s) => [t(s.kind), s.codec, size(s), t('kbits', { n: s.kbits })])),
    table(t('receiving'), [t('who'), t('kind'), t('codec'), t('picture'), t('bitrate')],
      r.received.filter((s) => s.source).map((s) => [names[s.owner] || t('guest'), t(s.kind), s.codec, size(s), t('kbits', { n: s.kbits })])),
  );
}

// The devices that there are, as choices; a browser names them only to those who may use them.
export function drawDevices(devices, media, speaker) {
  const fill = (id, kind, chosen) => {
    const found = devices.filter((d) => d.kind === kind && d.label);
    $(id).closest('label').hidden = found.length < 2;
    $(id).replaceChildren(...found.map((d) => make('option', { value: d.deviceId, textContent: d.label, selected: d.deviceId === chosen })));
  };
  fill('choose-mic', 'audioinput', media?.audio?.getSettings().deviceId);
  fill('choose-cam', 'videoinput', media?.video?.getSettings().deviceId);
  fill('choose-speaker', 'audiooutput', speaker);
  if (!('setSinkId' in HTMLMediaElement.prototype)) $('choose-speaker').closest('label').hidden = true;
}

const SIGNS = { good: '✓', fair: '!', poor: '✗' };

// The lines of a verdict, worst first said in one sentence, and what came back as a film.
export function drawVerdict(lines, recording) {
  const worst = lines.some((l) => l.level === 'poor') ? 'poor' : lines.some((l) => l.level === 'fair') ? 'fair' : 'good';
  const line = (l) => make('li', { className: l.level }, make('span', { className: 'sign', textContent: SIGNS[l.level], ariaHidden: 'true' }),
    make('div', {}, make('b', { textContent: t(l.say) }), l.next && make('p', { textContent: t(l.next) })));
  $('check-body').replaceChildren(make('p', { className: `quality ${worst}`, textContent: t(`verdict_${worst}`) }), make('ul', {}, ...lines.map(line)));
  const film = $('check-film');
  if (film.src) URL.revokeObjectURL(film.src);
  film.hidden = $('check-film-note').hidden = !recording;
  if (recording) film.src = URL.createObjectURL(recording); else film.removeAttribute('src');
}

// Four letters to be read aloud, or none.
export function drawCode(given) {
  $('check-code').hidden = !given;
  if (!given) return;
  $('code').textContent = [...given.code].join(' ');
  $('code-note').textContent = t('codeNote', { n: given.minutes });
}

export function drawProgress(step) {
  drawCode(null);
  $('check-body').replaceChildren(make('p', { textContent: t(`checking_${step}`) }));
  $('check-film').hidden = $('check-film-note').hidden = true;
}
