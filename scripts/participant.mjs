/**
 * The demo's ends of the relay: websockets, the frames that go through them, and bounded waits for
 * what should come. Needs the global WebSocket of Node 22.
 */

export const WAIT_MS = 10_000;

/** The first byte of a frame, and the state that answers a ping when all is well. */
const PING = 1;
const DATA = 2;
const VALID = 2;

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

/** A relay's link with the two tokens that open it. */
export function linkWith(link, sessionToken, userToken) {
  const url = new URL(link);
  url.searchParams.set("session_token", sessionToken);
  url.searchParams.set("user_token", userToken);
  return url;
}

/** What goes between a client and the relay: the word, the payload. */
export function clientFrame(payload) {
  return Buffer.concat([Buffer.from([DATA]), Buffer.from(payload)]);
}

/** What goes between the host and the relay: the word, the client's id (int32, little-endian), the payload. */
export function hostFrame(connectionId, payload) {
  const id = Buffer.alloc(4);
  id.writeInt32LE(connectionId);
  return Buffer.concat([Buffer.from([DATA]), id, Buffer.from(payload)]);
}

/** One end of the relay: a websocket, what has come through it, and ways to wait for more. */
export class Participant {
  texts = [];
  frames = [];
  #wake = new Set();
  #closed;

  static async connect(name, link, sessionToken, userToken) {
    const participant = new Participant(name, linkWith(link, sessionToken, userToken));
    ({ connection_id: participant.id } = await participant.text("ready"));
    // Not for show: workerd ends the connection of a hibernating websocket that has never sent
    // anything 10 s after its close frame, and only then `close` fires here (2026-11).
    await participant.ping();
    return participant;
  }

  constructor(name, url) {
    this.name = name;
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.texts.push(JSON.parse(data));
      else this.frames.push(Buffer.from(data));
      for (const check of this.#wake) check();
    };
    this.socket.onclose = ({ code }) => {
      this.#closed = code;
      for (const check of this.#wake) check();
    };
  }

  /** The control message of this type, once it is there. */
  text(type, matches = () => true) {
    return this.#until(`${this.name} to be told "${type}"`, () =>
      this.texts.find((message) => message.type === type && matches(message)),
    );
  }

  /** Takes the frame with exactly these bytes out of what came. */
  frame(bytes) {
    return this.#until(`${this.name} to get the frame ${bytes.toString("hex")}`, () => {
      const index = this.frames.findIndex((frame) => frame.equals(bytes));
      return index === -1 ? undefined : this.frames.splice(index, 1);
    });
  }

  async ping() {
    this.socket.send(Buffer.from([PING]));
    await this.frame(Buffer.from([PING, VALID]));
  }

  closedWith(code) {
    return within(`${this.name}'s socket to be closed with ${code}`, (done, give) => {
      const check = () => {
        if (this.#closed === code) done();
        else if (this.#closed !== undefined) give(`it was closed with ${this.#closed}`);
      };
      this.#wake.add(check);
      check();
    });
  }

  #until(expected, find) {
    return within(expected, (done, give) => {
      const check = () => {
        const found = find();
        if (found !== undefined) this.#wake.delete(check);
        if (found !== undefined) done(found);
        else if (this.#closed !== undefined) give(`the socket was closed with ${this.#closed}`);
      };
      this.#wake.add(check);
      check();
    });
  }
}
