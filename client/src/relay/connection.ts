/** A participant's connection to a relay session, which is made again when it is cut. */
import ReconnectingWebSocket from "partysocket/ws";
import type { Codec } from "./codec.js";
import { RelayError } from "./error.js";
import type { RelayEvent, RelayEvents } from "./events.js";
import { frameFor, MAX_PAYLOAD_BYTES, type Receiver, readFrame, SUBPROTOCOL } from "./frames.js";
import { Heartbeat } from "./heartbeat.js";
import { Losses } from "./losses.js";
import { Presence } from "./presence.js";

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

/** What a connection is made with. */
export interface ConnectionSetup<Sent, Received> {
  credentials: RelayCredentials;
  codec: Codec<Sent, Received>;
  /** The session's join code; null: this participant does not know it. */
  joinCode: string | null;
  /** How many messages are kept while the connection is away. */
  bufferWhileAway: number;
  /** How long the first attempts may take, in milliseconds. */
  timeoutMs: number;
}

/** `connecting` until the relay has said `ready`; `closed` is for good. */
export type RelayState = "connecting" | "open" | "reconnecting" | "closed";

/** The close codes after which another attempt cannot succeed, or would do harm. */
const FINAL_CODES = new Set([1009, 4400, 4401, 4403, 4404, 4409, 4410]);
const OVER_LIMIT = 4429;
/** After 4429 the next attempt waits so long; twice as long each further time, up to the most. */
const OVER_LIMIT_WAIT_MS = 5_000;
const LONGEST_WAIT_MS = 60_000;

/** Stands for the host where a client notes who is there. */
const HOST = -1;

// biome-ignore lint/suspicious/noExplicitAny: what the relay says, of any type
type Control = any;

/** A message that waits, and who may send it. */
interface Waiting {
  frame: Uint8Array<ArrayBuffer>;
  asHost: boolean;
}

/**
 * A connection to a relay session. Its events are those of `RelayEvents`. Add the listeners as soon as you
 * have it: what comes is held back until then, and no longer.
 */
export class RelayConnection<Sent = BufferSource, Received = Uint8Array> extends EventTarget {
  /** The session's join code: a host's, from `hostRelay`. Null: not known. */
  readonly joinCode: string | null;
  /** With these `connectRelay` gets the same participant in again, such as after a page was loaded anew. */
  readonly credentials: RelayCredentials;
  readonly #codec: Codec<Sent, Received>;
  readonly #bufferWhileAway: number;
  readonly #socket: ReconnectingWebSocket;
  readonly #heartbeat: Heartbeat;
  readonly #losses = new Losses();
  readonly #presence = new Presence();
  readonly #settle: (error?: RelayError) => void;
  #state: RelayState = "connecting";
  #connectionId: number | null = null;
  #isHost: boolean;
  #roundTripMs: number | null = null;
  #dropped = 0;
  #droppedBefore = 0;
  #missed = 0;
  #awaySince = 0;
  #waiting: Waiting[] = [];
  /** How often in a row the relay has closed with 4429, and what ends the wait after it. */
  #overLimit = 0;
  #endWait = () => {};
  /** What happened before the caller could add listeners; null: they had the time. */
  #held: (() => void)[] | null = null;
  #firstAttempts: ReturnType<typeof setTimeout>;
  #lastClose = 1006;

  /**
   * For `openConnection` only.
   * @param settle told once whether the first attempt succeeded
   */
  constructor(setup: ConnectionSetup<Sent, Received>, settle: (error?: RelayError) => void) {
    super();
    const { link, sessionToken, userToken, deviceToken } = setup.credentials;
    this.joinCode = setup.joinCode;
    this.credentials = setup.credentials;
    this.#codec = setup.codec;
    this.#bufferWhileAway = setup.bufferWhileAway;
    this.#settle = settle;
    this.#isHost = new URL(link).pathname.endsWith("/server");
    this.#heartbeat = new Heartbeat(
      () => {
        this.#losses.pinged();
        this.#socket.send("ping");
      },
      () => this.#socket.reconnect(4408, "no answer"),
    );
    const credential =
      deviceToken === undefined ? `tokens.${sessionToken}.${userToken}` : `device.${deviceToken}`;
    const socket = new ReconnectingWebSocket(
      () => this.#whenAllowed().then(() => link),
      [SUBPROTOCOL, credential],
      {
        // After a deploy all come back at once: not in the same moment.
        minReconnectionDelay: 200 + Math.random() * 400,
        maxReconnectionDelay: 8_000,
        reconnectionDelayGrowFactor: 1.7,
        connectionTimeout: 10_000,
        // It would keep what we have counted as dropped.
        maxEnqueuedMessages: 0,
        shouldReconnectOnClose: ({ code }) => !FINAL_CODES.has(code),
      },
    );
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#heartbeat.watch();
    socket.onmessage = ({ data }) => {
      this.#heartbeat.heard();
      this.#inOrder(() => this.#receive(data));
    };
    // Of a failure partysocket says 1000. The relay never closes with it.
    socket.onclose = ({ code, reason }) =>
      this.#inOrder(() => this.#closed(code === 1000 ? 1006 : code, reason ?? ""));
    this.#firstAttempts = setTimeout(() => {
      const problem = `no connection to ${link} within ${setup.timeoutMs / 1_000} s`;
      this.#finish(this.#lastClose, problem);
    }, setup.timeoutMs);
  }

  /** Where the connection stands. */
  get state(): RelayState {
    return this.#state;
  }

  /** This participant's number in the session. It stays. Null: not connected yet. */
  get connectionId(): number | null {
    return this.#connectionId;
  }

  /** Whether this participant is the host. */
  get isHost(): boolean {
    return this.#isHost;
  }

  /** The connection ids of the clients that are there, as the host knows them. */
  get peers(): ReadonlySet<number> {
    return this.#isHost ? this.#presence.all : new Set();
  }

  /** Whether the host is there, as a client knows it. */
  get isHostHere(): boolean {
    return this.#isHost || this.#presence.all.has(HOST);
  }

  /** How long the last ping took to the relay and back, in milliseconds; null: none has been answered. */
  get roundTripMs(): number | null {
    return this.#roundTripMs;
  }

  /** How many messages that were sent here have certainly not reached the relay. */
  get dropped(): number {
    return this.#dropped;
  }

  /** How many messages for this participant were lost, at cuts and while it was away. */
  get missed(): number {
    return this.#missed;
  }

  /**
   * Sends a message: a client to the host, the host to the client with this connection id.
   * @returns true if it was sent; false if it waits (`bufferWhileAway`) or was dropped
   * @throws TypeError if a client names a receiver or the host names none
   * @throws RangeError if it is longer than 65,536 bytes
   */
  send(data: Sent, to?: number): boolean {
    if (!this.#isHost) {
      if (to === undefined) return this.#give("host", data);
      throw new TypeError("A client sends to the host only: send(data).");
    }
    if (to === undefined) {
      throw new TypeError("The host says to whom: send(data, to), or broadcast(data) to all.");
    }
    return this.#give(to, data);
  }

  /**
   * Sends a message to all clients that are there. For the host.
   * @returns and throws as `send`
   */
  broadcast(data: Sent): boolean {
    if (this.#isHost) return this.#give("all", data);
    throw new TypeError("Only the host can broadcast. A client sends to the host: send(data).");
  }

  /** Leaves. What was sent before still goes out. */
  close(): void {
    this.#finish(1000, "closed here");
  }

  override addEventListener<Type extends keyof RelayEvents<Received>>(
    type: Type,
    listener: (event: RelayEvent<Received, Type>) => void,
    options?: AddEventListenerOptions | boolean,
  ): void {
    super.addEventListener(type, listener as (event: Event) => void, options);
  }

  override removeEventListener<Type extends keyof RelayEvents<Received>>(
    type: Type,
    listener: (event: RelayEvent<Received, Type>) => void,
    options?: EventListenerOptions | boolean,
  ): void {
    super.removeEventListener(type, listener as (event: Event) => void, options);
  }

  #emit<Type extends keyof RelayEvents<Received>>(
    type: Type,
    fields: RelayEvents<Received>[Type],
  ): void {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }

  #give(receiver: Receiver, data: Sent): boolean {
    const payload = this.#codec.encode(data);
    if (payload.length > MAX_PAYLOAD_BYTES) {
      throw new RangeError(`A message has at most ${MAX_PAYLOAD_BYTES} bytes.`);
    }
    const frame = frameFor(receiver, payload);
    if (this.#state === "open" && this.#pass(frame)) return true;
    if (this.#state === "closed") this.#dropped += 1;
    else this.#waiting.push({ frame, asHost: this.#isHost });
    while (this.#waiting.length > this.#bufferWhileAway) {
      this.#waiting.shift();
      this.#dropped += 1;
    }
    return false;
  }

  /** @returns false if the socket is just closing */
  #pass(frame: Uint8Array<ArrayBuffer>): boolean {
    if (!this.#socket.send(frame)) return false;
    this.#losses.sent();
    this.#heartbeat.sent();
    return true;
  }

  /** Runs what the socket's event asks for, behind what is held back. */
  #inOrder(run: () => void): void {
    if (this.#held) this.#held.push(run);
    else run();
  }

  #receive(data: string | ArrayBuffer): void {
    if (data === "pong") this.#ponged();
    else if (typeof data === "string") this.#control(parseControl(data));
    else this.#frame(new Uint8Array(data));
  }

  #frame(bytes: Uint8Array): void {
    const frame = readFrame(bytes, this.#isHost);
    if (!frame) return;
    this.#losses.came();
    const { from, payload } = frame;
    let data: Received;
    try {
      data = this.#codec.decode(payload);
    } catch (error) {
      this.#emit("undecodable", { data: payload, from, error });
      return;
    }
    this.#emit("message", { data, from });
  }

  #control(control: Control): void {
    const connectionId = control?.connection_id ?? null;
    switch (control?.type) {
      case "ready":
        this.#ready(control);
        break;
      case "promoted":
        // From here on the relay reads what we send as a host's.
        this.#socket.send("promoted");
        this.#setRole(true);
        break;
      case "host_changed":
        this.#emit("hostchanged", { connectionId });
        break;
      case "refused":
        this.#emit("refused", { connectionId });
        break;
      case "host_joined":
      case "peer_joined":
        this.#joined(connectionId ?? HOST);
        break;
      case "host_left":
      case "peer_left":
        this.#left(connectionId ?? HOST);
        break;
    }
  }

  #joined(id: number): void {
    if (!this.#presence.joined(id)) return;
    if (id === HOST) this.#emit("hostjoined", {});
    else this.#emit("peerjoined", { connectionId: id });
  }

  #left(id: number): void {
    if (this.#presence.left(id)) this.#emitLeft(id);
  }

  #emitLeft(id: number): void {
    if (id === HOST) this.#emit("hostleft", {});
    else this.#emit("peerleft", { connectionId: id });
  }

  /** The relay has let us in, for the first time or again. */
  #ready({ connection_id, role, received, sent }: Control): void {
    const isFirst = this.#state === "connecting";
    this.#state = "open";
    this.#connectionId = connection_id;
    const isHost = role === undefined ? this.#isHost : role === "host";
    this.#presence.reconnected();
    const lost = this.#losses.ready(received === undefined ? null : { received, sent });
    this.#dropped += lost.dropped;
    this.#missed += lost.missed;
    this.#heartbeat.ping();
    if (isFirst) {
      this.#isHost = isHost;
      clearTimeout(this.#firstAttempts);
      this.#settle();
      // The caller gets the connection in a moment, and adds its listeners then.
      this.#held = [];
      setTimeout(() => this.#release(), 0);
      return;
    }
    this.#flush(isHost);
    const dropped = this.#dropped - this.#droppedBefore;
    this.#droppedBefore = this.#dropped;
    const awayMs = Math.round(performance.now() - this.#awaySince);
    this.#emit("reconnected", { awayMs, dropped, missed: lost.missed });
    this.#setRole(isHost);
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const run of held) run();
  }

  /** Sends what has waited. What was meant for another role is dropped: it has another format. */
  #flush(isHost: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { frame, asHost } of waiting) {
      if (asHost !== isHost || !this.#pass(frame)) this.#dropped += 1;
    }
  }

  #setRole(isHost: boolean): void {
    if (this.#isHost === isHost) return;
    this.#isHost = isHost;
    this.#presence.clear();
    if (isHost) this.#emit("promoted", {});
    else this.#emit("hostchanged", { connectionId: null });
  }

  #ponged(): void {
    this.#losses.ponged();
    this.#overLimit = 0;
    this.#roundTripMs = this.#heartbeat.answered(this.#losses.hasUnanswered);
    for (const id of this.#presence.settled()) this.#emitLeft(id);
  }

  #closed(code: number, reason: string): void {
    this.#heartbeat.stop();
    this.#lastClose = code;
    if (code === OVER_LIMIT) this.#overLimit += 1;
    if (FINAL_CODES.has(code)) this.#finish(code, reason);
    else if (this.#state === "open") {
      this.#state = "reconnecting";
      this.#awaySince = performance.now();
      this.#emit("reconnecting", { code, reason });
    }
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

  #finish(code: number, reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#firstAttempts);
    this.#heartbeat.stop();
    this.#dropped += this.#waiting.length;
    this.#waiting = [];
    this.#socket.close();
    this.#endWait();
    this.#settle(new RelayError(`The relay is closed to us (${code}): ${reason}`, { code }));
    this.#emit("closed", { code, reason });
  }
}

/** What the relay said; null: nothing that is known. */
function parseControl(text: string): Control {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Connects, and gives the connection when the relay has let it in. It throws a RelayError. */
export function openConnection<Sent, Received>(
  setup: ConnectionSetup<Sent, Received>,
): Promise<RelayConnection<Sent, Received>> {
  return new Promise((resolve, reject) => {
    const connection = new RelayConnection(setup, (error) => {
      if (error) reject(error);
      else resolve(connection);
    });
  });
}
