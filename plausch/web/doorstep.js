// What the first page says while somebody is at the door: what the meeting asks for in; a field, a note in plain words and the answer out.
import { $ } from './dom.js';
import { t } from './i18n.js';

// What is asked for, by what is missing: the field to fill in, and the words about it.
const FIELDS = { password: 'password', name: 'name' };
const notes = ({ what, wrong, forHost }) => ({ password: wrong ? 'wrongPassword' : 'asksPassword', name: 'asksName', host: 'waitingForHost', wait: forHost ? 'waitingForHost' : 'waiting' }[what]);

export class Doorstep {
  constructor(meeting) {
    this.meeting = meeting;
    this.shown = null;
    $('give-up').addEventListener('click', () => meeting.leave());
    $('log-in').addEventListener('click', () => this.#login());
    // The form itself is sent by nothing while one waits.
    for (const id of ['account', 'account-password']) $(id).addEventListener('keydown', (e) => { if (e.key === 'Enter') { e.preventDefault(); this.#login(); } });
  }

  // Whether the form is an answer to what the meeting asked for.
  answers() {
    const { asked } = this.meeting;
    const field = FIELDS[asked?.what];
    if (!field) return !!asked;
    const { value } = $(field);
    // A password is what was set, also with a space at its end.
    if (value.trim()) this.meeting.answer(field === 'name' ? value.trim() : value); else $(field).focus();
    return true;
  }

  draw() {
    const asked = this.meeting.state === 'joining' ? this.meeting.asked : null;
    const field = FIELDS[asked?.what];
    const isNew = asked !== this.shown;
    this.shown = asked;
    $('give-up').hidden = !asked;
    // Browsers would send the password in the clear.
    $('host').hidden = asked?.what !== 'host' || !this.meeting.config.hosts.authdomain || location.protocol !== 'https:';
    if (!asked) $('account-password').value = $('host-note').textContent = '';
    $('password-of').hidden = asked?.what !== 'password';
    $('door-note').textContent = asked ? t(notes(asked)) : '';
    $('door-note').classList.toggle('note', !!asked?.wrong);
    for (const id of Object.values(FIELDS)) $(id).ariaInvalid = String(id === field && (id === 'name' || !!asked.wrong));
    if (!isNew) return;
    if (field === 'password') $(field).value = '';
    if (field) $(field).focus();
  }

  async #login() {
    const [name, password] = [$('account').value.trim(), $('account-password').value];
    if (!name || !password) { $(name ? 'account-password' : 'account').focus(); return; }
    $('log-in').disabled = true;
    const failed = await this.meeting.login(name, password).then(() => false, () => true);
    $('log-in').disabled = false;
    $('host-note').textContent = failed ? t('loginFailed') : '';
  }
}
