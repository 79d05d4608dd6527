// Who may come in, as moderators see it: clicks in; who knocks, with an answer for each, and the panel with lobby and password out.
import { $, make } from './dom.js';
import { t } from './i18n.js';

export class Knocks {
  constructor(meeting) {
    this.meeting = meeting;
    this.drawn = '';
    $('lobby-switch').addEventListener('click', () => this.#try(() => meeting.setLobby(!meeting.entry.lobby)));
    $('password-form').addEventListener('submit', (e) => {
      e.preventDefault();
      const { locked } = meeting.entry;
      const password = locked ? '' : $('new-password').value;
      if (!locked && !password.trim()) { $('new-password').focus(); return; }
      $('new-password').value = '';
      this.#try(() => meeting.setPassword(password));
    });
  }

  draw() {
    const { entry } = this.meeting;
    const mine = this.meeting.role() === 'moderator';
    $('open-entry').hidden = !mine;
    if (!mine) { $('entry').hidden = true; $('open-entry').ariaExpanded = 'false'; }
    $('lobby-part').hidden = !entry?.offered;
    $('lobby-state').textContent = t(entry?.lobby ? 'lobbyIsOn' : 'lobbyIsOff');
    $('lobby-switch').textContent = t(entry?.lobby ? 'lobbyOff' : 'lobbyOn');
    $('password-note').textContent = t(!entry?.locked ? 'noPassword' : entry.password ? 'passwordIs' : 'hasPassword', { password: entry?.password });
    $('new-password-of').hidden = !!entry?.locked;
    $('password-button').textContent = t(entry?.locked ? 'passwordOff' : 'passwordOn');
    this.#knocking(mine ? this.meeting.knocking() : []);
  }

  #knocking(people) {
    // Buttons that somebody is about to press stay where they are.
    const now = JSON.stringify([people, t('admit')]);
    if (now === this.drawn) return;
    this.drawn = now;
    const button = (key, className, act) => make('button', { type: 'button', className, textContent: t(key), onclick: () => this.#try(act) });
    const card = ({ id, name }) => make('li', {}, make('b', { textContent: t('knocks', { name: name || t('guest') }) }),
      make('div', { className: 'row' }, button('admit', 'primary', async () => this.meeting.admit(id)), button('deny', 'secondary', () => this.meeting.deny(id))));
    $('knocks').hidden = !people.length;
    const all = people.length > 1 && make('li', {}, button('admitAll', 'secondary', async () => this.meeting.admit(...people.map((p) => p.id))));
    $('knocking').replaceChildren(...people.map(card), ...(all ? [all] : []));
  }

  async #try(action) {
    const failed = await action().then(() => false, () => true);
    $('entry-note').textContent = failed ? t('entryFailed') : '';
  }
}
