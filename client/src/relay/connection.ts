/** A participant's connection to a relay session, as games use it. */
import type { Codec } from "./codec.js";
import { type Control, readControl } from "./control.js";
import { RelayError } from "./error.js";
import { frameFor, MAX_PAYLOAD_BYTES, type Receiver, readFrame } from "./frames.js";
import { Outbox } from "./outbox.js";
import { Presence } from "./presence.js";
import { RelayEventTarget } from "./relay-event-target.js";
import { type RelayCredentials, RelaySocket } from "./socket.js";

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

/** `connecting` until the relay has let us in for the first time; `closed` is for good. */
export type RelayState = "connecting" | "open" | "reconnecting" | "closed";

/** Stands for the host where a client notes who is there. */
const HOST = -1;

/**
 * A connection to a relay session. Its events are those of `RelayEvents`. Add the listeners as soon as you
 * have it: what comes is held back for that moment, and no longer.
 */
export class RelayConnection<
  Sent = BufferSource,
  Received = Uint8Array,
> extends RelayEventTarget<Received> {
  /** The session's join code when this participant came, as it is shown: `XXXX-XXXX`. Null: not known. */
  readonly joinCode: string | null;
  /** With these `connectRelay` gets the same participant in again, such as after a page was loaded anew. */
  readonly credentials: RelayCredentials;
  readonly #codec: Codec<Sent, Received>;
  readonly #socket: RelaySocket;
  readonly #outbox: Outbox;
  readonly #presence = new Presence();
  readonly #settle: (error?: RelayError) => void;
  #state: RelayState = "connecting";
  #connectionId: number | null = null;
  #isHost: boolean;
  #roundTripMs: number | null = null;
  #missed = 0;
  #awaySince = 0;
  /** What happened before the caller could add listeners; null: they had the time. */
  #held: (() => void)[] | null = null;
  #firstAttempts: ReturnType<typeof setTimeout>;
  #lastClose = 1006;

  /**
   * For `openConnection` only.
   * @param settle told once whether the first attempts have succeeded
   */
  constructor(setup: ConnectionSetup<Sent, Received>, settle: (error?: RelayError) => void) {
    super();
    const { credentials, codec, joinCode, bufferWhileAway, timeoutMs } = setup;
    this.joinCode = joinCode;
    this.credentials = credentials;
    this.#codec = codec;
    this.#outbox = new Outbox(bufferWhileAway);
    this.#settle = settle;
    this.#isHost = new URL(credentials.link).pathname.endsWith("/server");
    this.#socket = new RelaySocket(credentials, {
      message: (data) => this.#inOrder(() => this.#receive(data)),
      pong: (roundTripMs) => this.#inOrder(() => this.#ponged(roundTripMs)),
      closed: (...why) => this.#inOrder(() => this.#closed(...why)),
    });
    this.#firstAttempts = setTimeout(() => {
      const seconds = Math.round(timeoutMs / 100) / 10;
      this.#finish(this.#lastClose, `no connection to ${credentials.link} within ${seconds} s`);
    }, timeoutMs);
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

  /** How many messages that were sent here have not reached the relay. */
  get dropped(): number {
    return this.#outbox.dropped;
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
    if (this.#isHost === (to === undefined)) {
      throw new TypeError(
        this.#isHost
          ? "The host says to whom: send(data, to), or broadcast(data) to all."
          : "A client sends to the host only: send(data).",
      );
    }
    return this.#give(to ?? "host", data);
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

  #give(receiver: Receiver, data: Sent): boolean {
    const payload = this.#codec.encode(data);
    if (payload.length > MAX_PAYLOAD_BYTES) {
      throw new RangeError(`A message has at most ${MAX_PAYLOAD_BYTES} bytes.`);
    }
    const frame = frameFor(receiver, payload);
    // An open socket may just be closing: its event has not come yet.
    if (this.#state === "open" && this.#socket.sendFrame(frame)) return true;
    if (this.#state === "closed") this.#outbox.drop(1);
    else this.#outbox.keep({ frame, asHost: this.#isHost });
    return false;
  }

  /** Runs what the socket's event asks for, behind what is held back. */
  #inOrder(run: () => void): void {
    if (this.#held) this.#held.push(run);
    else run();
  }

  #receive(data: string | ArrayBuffer): void {
    if (typeof data === "string") this.#control(readControl(data));
    else this.#frame(new Uint8Array(data));
  }

  #frame(bytes: Uint8Array): void {
    const frame = readFrame(bytes, this.#isHost);
    if (!frame) return;
    const { from, payload } = frame;
    let data: Received;
    try {
      data = this.#codec.decode(payload);
    } catch (error) {
      this.emit("undecodable", { data: payload, from, error });
      return;
    }
    this.emit("message", { data, from });
  }

  #control(control: Control): void {
    const connectionId = control.connection_id ?? null;
    switch (control.type) {
      case "ready":
        this.#ready(control);
        break;
      case "promoted":
        // From here on the relay reads what we send as a host's.
        this.#socket.sendText("promoted");
        this.#setRole(true);
        break;
      case "host_changed":
        this.emit("hostchanged", { connectionId });
        break;
      case "refused":
        this.emit("refused", { connectionId });
        break;
      case "host_joined":
      case "peer_joined":
        this.#joined(connectionId ?? HOST);
        break;
      case "host_left":
      case "peer_left":
        if (this.#presence.left(connectionId ?? HOST)) this.#emitLeft(connectionId ?? HOST);
        break;
    }
  }

  #joined(id: number): void {
    if (!this.#presence.joined(id)) return;
    if (id === HOST) this.emit("hostjoined", {});
    else this.emit("peerjoined", { connectionId: id });
  }

  #emitLeft(id: number): void {
    if (id === HOST) this.emit("hostleft", {});
    else this.emit("peerleft", { connectionId: id });
  }

  /** The relay has let us in, for the first time or again. */
  #ready({ connection_id: id, role, received, sent }: Control): void {
    const isFirst = this.#state === "connecting";
    this.#state = "open";
    this.#connectionId = id ?? null;
    const isHost = role === undefined ? this.#isHost : role === "host";
    const counts = received === undefined || sent === undefined ? null : { received, sent };
    const { dropped, missed } = this.#socket.ready(counts);
    this.#outbox.drop(dropped);
    this.#missed += missed;
    if (isFirst) {
      this.#isHost = isHost;
      clearTimeout(this.#firstAttempts);
      this.#settle();
      // The caller gets the connection in a moment, and adds its listeners then.
      this.#held = [];
      setTimeout(() => this.#release(), 0);
      return;
    }
    this.#presence.reconnected();
    this.#outbox.flush(isHost, (frame) => this.#socket.sendFrame(frame));
    const awayMs = Math.round(performance.now() - this.#awaySince);
    this.emit("reconnected", { awayMs, dropped: this.#outbox.takeReport(), missed });
    this.#setRole(isHost);
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const run of held) run();
  }

  #setRole(isHost: boolean): void {
    if (this.#isHost === isHost) return;
    this.#isHost = isHost;
    this.#presence.clear();
    if (isHost) this.emit("promoted", {});
    else this.emit("hostchanged", { connectionId: null });
  }

  #ponged(roundTripMs: number): void {
    this.#roundTripMs = roundTripMs;
    // By now the relay has said who is there.
    for (const id of this.#presence.settled()) this.#emitLeft(id);
  }

  #closed(code: number, reason: string, isFinal: boolean): void {
    this.#lastClose = code;
    if (isFinal) this.#finish(code, reason);
    else if (this.#state === "open") {
      this.#state = "reconnecting";
      this.#awaySince = performance.now();
      this.emit("reconnecting", { code, reason });
    }
  }

  #finish(code: number, reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#firstAttempts);
    this.#outbox.clear();
    this.#socket.close();
    this.#settle(
      new RelayError(`The relay is closed to us (${code}): ${reason}`, { closeCode: code }),
    );
    this.emit("closed", { code, reason });
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
