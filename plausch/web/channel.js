// The bridge channel: JSON messages to and from the bridge, over a data channel or a WebSocket.

const LABEL = 'JVB data channel';
const PROTOCOL = 'http://jitsi.org/protocols/colibri';
const RETRY_FIRST_MS = 1000;
const RETRY_LAST_MS = 60000;

export class BridgeChannel extends EventTarget {
  constructor() {
    super();
    this.open = false;
    this.ended = false;
    this.send_ = null;
  }

  static overDataChannel(pc) {
    const it = new BridgeChannel();
    const channel = pc.createDataChannel(LABEL, { protocol: PROTOCOL });
    channel.onopen = () => it.#opened((text) => { if (channel.readyState === 'open') channel.send(text); });
    channel.onmessage = (e) => it.#message(e.data);
    channel.onclose = () => it.#closed();
    it.end_ = () => channel.close();
    return it;
  }

  static overWebSocket(url) {
    const it = new BridgeChannel();
    let wait = RETRY_FIRST_MS;
    const connect = () => {
      const socket = new WebSocket(url);
      it.end_ = () => socket.close();
      socket.onopen = () => { wait = RETRY_FIRST_MS; it.#opened((text) => { if (socket.readyState === WebSocket.OPEN) socket.send(text); }); };
      socket.onmessage = (e) => it.#message(e.data);
      socket.onclose = () => {
        it.#closed();
        if (it.ended) return;
        setTimeout(() => { if (!it.ended) connect(); }, wait);
        wait = Math.min(wait * 2, RETRY_LAST_MS);
      };
    };
    connect();
    return it;
  }

  send(message) { if (this.open) this.send_(JSON.stringify(message)); }

  close() {
    this.ended = true;
    this.end_?.();
  }

  #opened(send) {
    this.send_ = send;
    this.open = true;
    this.dispatchEvent(new CustomEvent('open'));
  }

  #closed() {
    if (!this.open) return;
    this.open = false;
    this.dispatchEvent(new CustomEvent('closed'));
  }

  #message(data) {
    let message = null;
    try { message = JSON.parse(data); } catch { return; }
    if (typeof message?.colibriClass === 'string') this.dispatchEvent(new CustomEvent('message', { detail: message }));
  }
}
