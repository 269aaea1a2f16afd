/**
 * The websocket of a connection, which is opened again when it is cut: with which subprotocols, when again and
 * when never, its pings, and the count of what is lost.
 */
import ReconnectingWebSocket from "partysocket/ws";
import { SUBPROTOCOL } from "./frames.js";
import { Heartbeat } from "./heartbeat.js";
import { Losses, type RelayCounts } from "./losses.js";

/** What lets a participant in. Keep it, and `connectRelay` gets the same participant in again. */
export interface RelayCredentials {
  /** The address of the session's websocket. */
  link: string;
  /** The token of the session. */
  sessionToken: number;
  /** The token of the user. Give this, or `deviceToken`. */
  userToken?: number | undefined;
  /** The token of the user's device. */
  deviceToken?: string | undefined;
}

/** Who is told what happens on the socket. */
export interface SocketHandlers {
  /** A message came, a control message or a frame. */
  message(data: string | ArrayBuffer): void;
  /** A ping was answered, after so many milliseconds. */
  pong(roundTripMs: number): void;
  /** It was closed; `isFinal`: and is not opened again. */
  closed(code: number, reason: string, isFinal: boolean): void;
}

/** The close codes after which another attempt cannot succeed, or would do harm. */
const FINAL_CODES = new Set([1009, 4400, 4401, 4403, 4404, 4409, 4410]);
const SILENT = 4408;
const OVER_LIMIT = 4429;
/** After 4429 the next attempt waits so long; twice as long each further time, up to the most. */
const OVER_LIMIT_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 60_000;

export class RelaySocket {
  readonly #socket: ReconnectingWebSocket;
  readonly #heartbeat: Heartbeat;
  readonly #losses = new Losses();
  /** How often in a row it was closed with 4429. */
  #overLimit = 0;
  #endWait = () => {};

  constructor(credentials: RelayCredentials, handlers: SocketHandlers) {
    const { link, sessionToken, userToken, deviceToken } = credentials;
    const credential =
      deviceToken === undefined ? `tokens.${sessionToken}.${userToken}` : `device.${deviceToken}`;
    /** The last close as it was. In Node partysocket's event has another reason where there was none. */
    let closed = { code: 1006, reason: "" };
    const socket = new ReconnectingWebSocket(
      () => this.#whenAllowed().then(() => link),
      [SUBPROTOCOL, credential],
      {
        // After a deploy all come back at once: not in the same moment.
        minReconnectionDelay: 200 + Math.random() * 400,
        maxReconnectionDelay: 8_000,
        reconnectionDelayGrowFactor: 1.7,
        connectionTimeout: 10_000,
        // It would send later what the connection has counted as dropped.
        maxEnqueuedMessages: 0,
        shouldReconnectOnClose: ({ code, reason }) => {
          // Of a failure partysocket says 1000, with which the relay never closes.
          closed = { code: code === 1000 ? 1006 : code, reason: reason ?? "" };
          return !FINAL_CODES.has(code);
        },
      },
    );
    const heartbeat = new Heartbeat(
      () => {
        this.#losses.pinged();
        socket.send("ping");
      },
      () => socket.reconnect(SILENT, "no answer"),
    );
    socket.binaryType = "arraybuffer";
    // Not `onmessage` and the like: in workerd (November 2026) partysocket calls those twice.
    socket.addEventListener("open", () => heartbeat.watch());
    socket.addEventListener("message", ({ data }) => {
      heartbeat.heard();
      if (data === "pong") {
        this.#losses.ponged();
        this.#overLimit = 0;
        handlers.pong(heartbeat.answered());
        return;
      }
      heartbeat.busy(data.byteLength ?? 0);
      if (data instanceof ArrayBuffer) this.#losses.came();
      handlers.message(data);
    });
    socket.addEventListener("close", () => {
      const { code, reason } = closed;
      heartbeat.stop();
      if (code === OVER_LIMIT) this.#overLimit += 1;
      handlers.closed(code, reason, FINAL_CODES.has(code));
    });
    this.#socket = socket;
    this.#heartbeat = heartbeat;
  }

  /**
   * The relay has said `ready`, with these counts if it gives any.
   * @returns how many messages were lost since the last time: of ours, and of those for us
   */
  ready(counts: RelayCounts | null): { dropped: number; missed: number } {
    const lost = this.#losses.ready(counts);
    this.#heartbeat.ping();
    return lost;
  }

  /** @returns false if it is not open: then nothing was sent */
  sendFrame(frame: Uint8Array<ArrayBuffer>): boolean {
    if (!this.#socket.send(frame)) return false;
    this.#losses.sent();
    this.#heartbeat.busy(frame.length);
    return true;
  }

  sendText(text: string): void {
    this.#socket.send(text);
  }

  /** Closes it for good. */
  close(): void {
    this.#heartbeat.stop();
    this.#socket.close();
    this.#endWait();
  }

  /** Resolves when the next attempt may be made. */
  async #whenAllowed(): Promise<void> {
    if (this.#overLimit === 0) return;
    const wait = Math.min(OVER_LIMIT_WAIT_MS * 2 ** (this.#overLimit - 1), LONGEST_WAIT_MS);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#endWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
