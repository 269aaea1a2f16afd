/**
 * The demo's participants of a relay session, on the client `drawbridge-client/relay`: what has happened to
 * each, and bounded waits for what should.
 */
import { connectRelay } from "drawbridge-client/relay";

export const WAIT_MS = 10_000;

const EVENTS = ["message", "peerjoined", "peerleft", "hostjoined", "closed"];

/** Promise with a time-out: `start` gets what resolves it, and what rejects it. */
export function within(expected, start, ms = WAIT_MS) {
  return new Promise((resolve, reject) => {
    const give = (error) => reject(new Error(`expected ${expected}, but ${error}`));
    const timer = setTimeout(() => give(`nothing came within ${ms / 1000} s`), ms);
    const done = (settle) => (value) => {
      clearTimeout(timer);
      settle(value);
    };
    start(done(resolve), done(give));
  });
}

/** One participant: its connection, what came through it, and ways to wait for more. */
export class Participant {
  #events = [];
  #wake = new Set();

  static async connect(name, link, sessionToken, userToken) {
    return new Participant(name, await connectRelay({ link, sessionToken, userToken }));
  }

  constructor(name, connection) {
    this.name = name;
    this.connection = connection;
    for (const type of EVENTS) {
      connection.addEventListener(type, (event) => {
        this.#events.push(event);
        for (const check of this.#wake) check();
      });
    }
  }

  get id() {
    return this.connection.connectionId;
  }

  /** How many messages came. */
  get messages() {
    return this.#events.filter(({ type }) => type === "message").length;
  }

  /** A client says something to the host; the host says it to the client `to`. */
  say(text, to) {
    this.connection.send(Buffer.from(text), to);
  }

  /** Waits for a message: the host's is from a client, a client's is from the host (null). */
  got(text, from) {
    return this.event(
      "message",
      (message) => message.from === from && Buffer.from(message.data).toString() === text,
      `the message "${text}"`,
    );
  }

  /** Waits for an event of this type. */
  event(type, matches = () => true, expected = `the event ${type}`) {
    return within(`${this.name} to get ${expected}`, (done, give) => {
      const check = () => {
        const found = this.#events.find((event) => event.type === type && matches(event));
        const end = this.#events.find((event) => event.type === "closed");
        if (found) done(found);
        else if (end) give(`the connection was closed with ${end.code}`);
        else return;
        this.#wake.delete(check);
      };
      this.#wake.add(check);
      check();
    });
  }

  closedWith(code) {
    return this.event("closed", (event) => event.code === code, `closed with ${code}`);
  }
}
