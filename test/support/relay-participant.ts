/** Players who play all the time, for tests that look at what goes through a relay session. */

/** Somebody with a websocket, who sends a frame of 500 bytes twenty times a second. */
export class Participant {
  readonly opened: Promise<void>;
  /** The code with which the relay has closed it. */
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  readonly #timer: NodeJS.Timeout;

  /** @param firstByte that of the frames: 2 to the host, 3 from the host to all */
  constructor(link: string, tokens: { session: number; user: number }, firstByte: number) {
    const { session, user } = tokens;
    this.#socket = new WebSocket(link, ["drawbridge.v1", `tokens.${session}.${user}`]);
    this.opened = new Promise((resolve) => {
      this.#socket.addEventListener("open", () => resolve());
    });
    this.closed = new Promise((resolve) => {
      this.#socket.addEventListener("close", ({ code }) => resolve(code));
    });
    const frame = new Uint8Array(501);
    frame[0] = firstByte;
    this.#timer = setInterval(() => {
      if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame);
    }, 50);
  }

  /** The user with this index connects. The host sends to all, the others to the host. */
  // biome-ignore lint/suspicious/noExplicitAny: a session as the API answers it
  static of(session: any, n: number): Participant {
    const { server, client } = session.relay.ports;
    const tokens = {
      session: session.authorization_token,
      user: session.session_users[n].authorization_token,
    };
    return n === 0
      ? new Participant(server.link, tokens, 3)
      : new Participant(client.link, tokens, 2);
  }

  leave(): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }
}
