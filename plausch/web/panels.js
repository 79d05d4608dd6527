// The panels beside the stage, chat, network report and who may come in: clicks in; one of them open, what people write and the newest figures out.
import { $ } from './dom.js';
import { drawReport } from './ui.js';

const REPORT_EVERY_MS = 2000;
const PANELS = ['chat', 'report', 'entry'];

export class Panels {
  constructor(meeting) {
    this.meeting = meeting;
    for (const id of PANELS) {
      $(`open-${id}`).addEventListener('click', () => this.#toggle(id, $(id).hidden));
      document.querySelector(`[data-close=${id}]`).addEventListener('click', () => this.#toggle(id, false));
    }
    $('chat-form').addEventListener('submit', (e) => {
      e.preventDefault();
      const text = $('chat-text').value.trim();
      if (text) meeting.chat(text);
      $('chat-text').value = '';
    });
    setInterval(() => this.report(), REPORT_EVERY_MS);
  }

  // Something was said while nobody looked.
  said() { if ($('chat').hidden) this.#mark(true); }

  async report() {
    if ($('report').hidden || this.meeting.state !== 'joined') return;
    drawReport(await this.meeting.stats(), this.meeting.members);
  }

  #toggle(id, open) {
    for (const other of PANELS) {
      const shown = other === id && open;
      $(other).hidden = !shown;
      $(`open-${other}`).ariaExpanded = String(shown);
    }
    if (open && id === 'chat') { this.#mark(false); $('chat-text').focus(); }
    if (open && id === 'report') this.report();
  }

  #mark(on) { $('open-chat').querySelector('i').hidden = !on; }
}
