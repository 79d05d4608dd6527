// A link as a datagram proxy: everything for one port of the bridge in, through a queue that a rate empties, to the client out; the way up is free.
import dgram from 'node:dgram';

const QUEUE_BYTES = 64 * 1024;
const HEADERS = 28;

export class Narrow {
  // `rate`: bits per second towards the client; null: as fast as they come.
  static async open(bridgePort = 10000, address = '127.0.0.1') {
    const it = new Narrow();
    Object.assign(it, { rate: null, queue: [], bytes: 0, freeAt: 0, dropped: 0, ways: new Map(), timer: null });
    it.front = dgram.createSocket('udp4');
    it.front.on('message', (data, from) => it.#way(from, bridgePort, address).send(data));
    await new Promise((resolve) => it.front.bind(0, address, resolve));
    it.port = it.front.address().port;
    return it;
  }

  // A socket of its own for each client, so that the bridge tells them apart.
  #way(from, port, address) {
    const key = `${from.address}:${from.port}`;
    let way = this.ways.get(key);
    if (!way) {
      const socket = dgram.createSocket('udp4');
      socket.on('message', (data) => this.#down(data, from));
      const ready = new Promise((resolve) => socket.connect(port, address, resolve));
      way = { socket, send: (data) => ready.then(() => socket.send(data)) };
      this.ways.set(key, way);
    }
    return way;
  }

  #down(data, to) {
    if (this.rate === null && !this.queue.length) { this.front.send(data, to.port, to.address); return; }
    if (this.bytes + data.length > QUEUE_BYTES) { this.dropped += 1; return; }
    this.queue.push([data, to]);
    this.bytes += data.length;
    this.#run();
  }

  #run() {
    if (this.timer) return;
    const now = performance.now();
    this.freeAt = Math.max(this.freeAt, now);
    while (this.queue.length && this.freeAt <= now + 0.5) {
      const [data, to] = this.queue.shift();
      this.bytes -= data.length;
      this.front.send(data, to.port, to.address);
      if (this.rate) this.freeAt += (data.length + HEADERS) * 8000 / this.rate;
    }
    if (this.queue.length) this.timer = setTimeout(() => { this.timer = null; this.#run(); }, Math.max(1, this.freeAt - now));
  }

  close() {
    clearTimeout(this.timer);
    this.front.close();
    for (const { socket } of this.ways.values()) socket.close();
  }
}
