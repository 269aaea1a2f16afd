/** The trunk of one session, at the node's end: carries frames to and from its users on websockets. */
import { WebSocket } from "ws";
import { parseTrunkFrame, parseTrunkMessage, trunkFrame } from "../src/relay/trunk";
import { LINK_CLOSE, trunkPath } from "../src/relay-nodes/link-protocol";
import { websocketUrl } from "./link";
import type { Log } from "./log";
import type { NodeSession, TrunkEnd } from "./session-table";
import { MAX_WAITING_BYTES } from "./waiting-bytes";

const DIAL_MS = 4_000;
/** How long to wait before dialling again after a failure, in milliseconds. */
const DIAL_AGAIN_MS = 1_000;
/**
 * What an answer to the dialling means that does not change by itself: the token does not work, or the
 * session is not on this node.
 */
const FINAL_ANSWERS: ReadonlySet<number> = new Set([401, 403, 404, 410]);
/** A payload of 64 KB, with room for what stands before it. */
const MAX_MESSAGE_BYTES = 66_000;

/** From whom to whom on the two sides of a trunk, by ordinal. */
export interface TrunkFrame {
  from: number;
  to: number;
  payload: Uint8Array;
}

export interface TrunkOptions {
  url: URL;
  token: string;
  log: Log;
  session: NodeSession;
  /** A frame of somebody on a websocket. */
  frame(frame: TrunkFrame): void;
  /** Who is on websockets has changed; null: this trunk is down. */
  users(before: ReadonlySet<number>, now: ReadonlySet<number> | null): void;
  /** Drawbridge does not take this trunk: it is over, and not dialled again. */
  refused(): void;
}

const NOBODY: ReadonlySet<number> = new Set();

/** Dials at once, and again while it is not closed. While it is open, it is its session's `trunk`. */
export class Trunk implements TrunkEnd {
  users = NOBODY;
  readonly #options: TrunkOptions;
  #socket: WebSocket | null = null;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** What was last said of who is here. */
  #said = "";

  constructor(options: TrunkOptions) {
    this.#options = options;
    this.#dial();
  }

  send(from: number, to: number, payload: Uint8Array): boolean {
    const socket = this.#socket;
    if (!socket || socket.bufferedAmount > MAX_WAITING_BYTES) return false;
    socket.send(trunkFrame(from, to, payload));
    return true;
  }

  /** Says who is heard on this node, if that has changed. */
  sayWhoIsHere(): void {
    const { session } = this.#options;
    if (session.trunk !== this) return;
    const users = session.users.filter(({ connected }) => connected).map(({ n }) => n);
    const message = JSON.stringify({ type: "here", users });
    if (message === this.#said) return;
    this.#said = message;
    this.#socket?.send(message);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
    this.#lost(this.#socket);
  }

  #dial(): void {
    const { url, token, session, log } = this.#options;
    const socket = new WebSocket(websocketUrl(url, trunkPath(session.id)), {
      headers: { Authorization: `Bearer ${token}` },
      handshakeTimeout: DIAL_MS,
      maxPayload: MAX_MESSAGE_BYTES,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    socket.on("message", (data, isBinary) => {
      if (this.#socket !== socket) return;
      if (isBinary) this.#receiveFrame(data as Buffer);
      else this.#receiveText(String(data));
    });
    socket.on("unexpected-response", (request, response) => {
      const status = response.statusCode ?? 0;
      if (!this.#closed) log.warn("Drawbridge refused a trunk", { session: session.id, status });
      if (FINAL_ANSWERS.has(status)) this.#refused(socket);
      this.#lost(socket);
      request.destroy();
    });
    socket.on("error", (error) => {
      if (this.#socket !== socket) return;
      log.warn("a trunk failed", { session: session.id, error: error.message });
      this.#lost(socket);
    });
    socket.on("close", (code) => {
      if (code === LINK_CLOSE.removed) this.#refused(socket);
      this.#lost(socket);
    });
  }

  #refused(socket: WebSocket): void {
    if (this.#socket === socket && !this.#closed) this.#options.refused();
  }

  #receiveFrame(bytes: Buffer): void {
    const frame = parseTrunkFrame(bytes);
    if (frame) this.#options.frame(frame);
  }

  #receiveText(text: string): void {
    const message = parseTrunkMessage(text);
    if (message === null) return;
    const { session } = this.#options;
    const before = this.users;
    this.users = new Set(message.users);
    session.trunk = this;
    this.#options.users(before, this.users);
    this.sayWhoIsHere();
  }

  #lost(socket: WebSocket | null): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#said = "";
    const { session } = this.#options;
    const before = this.users;
    this.users = NOBODY;
    if (session.trunk === this) {
      session.trunk = null;
      this.#options.users(before, null);
    }
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#dial(), DIAL_AGAIN_MS);
  }
}
