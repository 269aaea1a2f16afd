/** A receiver of webhooks that answers at once, counts what arrives on each path, and tells when. */
import { once } from "node:events";
import { createServer } from "node:http";

export class Receiver {
  #server;
  #counts = new Map();
  #listeners = new Map();

  static async open() {
    const receiver = new Receiver();
    receiver.#server = createServer((request, response) => receiver.#take(request, response));
    receiver.#server.keepAliveTimeout = 60_000;
    await once(receiver.#server.listen(0, "127.0.0.1"), "listening");
    return receiver;
  }

  /** The address of a path. */
  url(path) {
    return `http://127.0.0.1:${this.#server.address().port}/${path}`;
  }

  /** How many requests have arrived at a path. */
  count(path) {
    return this.#counts.get(path) ?? 0;
  }

  /** Calls this with the body and the time (`performance.now()`) of each request to a path. */
  listen(path, listener) {
    this.#listeners.set(path, listener);
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #take(request, response) {
    const at = performance.now();
    const path = request.url.slice(1);
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      response.writeHead(204).end();
      this.#counts.set(path, this.count(path) + 1);
      this.#listeners.get(path)?.(Buffer.concat(chunks).toString(), at);
    });
  }
}
