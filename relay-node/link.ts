/**
 * The link of a relay node: its one outgoing websocket to Drawbridge. Dials, says `hello`, pings, and dials
 * again when it breaks. What the messages mean is the node's concern (`relay-node.ts`).
 */
import { WebSocket } from "ws";
import {
  type FromNode,
  type Hello,
  LINK_CLOSE,
  LINK_PATH,
  LINK_PING,
  LINK_PROTOCOL,
  NODE_ID_HEADER,
  PING_SECONDS,
  parseToNode,
  type ToNode,
  type Welcome,
} from "../src/relay-nodes/link-protocol";
import { monotonicNow } from "./clock";
import { DIAL_MS, waitBeforeDial } from "./dial-schedule";
import type { Log } from "./log";

/** How long a ping may stay without an answer, in milliseconds. */
const PONG_MS = 5_000;
/** Longer than any message of Drawbridge. */
const MAX_MESSAGE_BYTES = 1_048_576;
/** How long to wait for what was sent to leave, when the link is closed. */
const CLOSE_MS = 1_000;

/** After these Drawbridge would not take the link again, or another process would lose it. */
const FINAL_CLOSES: ReadonlySet<number> = new Set([
  LINK_CLOSE.tokenRevoked,
  LINK_CLOSE.replaced,
  LINK_CLOSE.removed,
  LINK_CLOSE.wrongProtocol,
]);

/** What an answer to the dialling means that will not change by itself. */
const REFUSED_DIALS: Readonly<Record<number, string>> = {
  401: "the token of this relay node is not valid: check RELAY_NODE_TOKEN",
  403: "the token of this relay node is not valid: check RELAY_NODE_TOKEN",
  404: "there are no relay nodes at this URL: check --url, and whether Drawbridge there is new enough",
};

export interface LinkOptions {
  /** Where Drawbridge is, such as `https://relay.example.com`. */
  url: URL;
  /** `drbn_…` */
  token: string;
  log: Log;
  /** What `hello` says now. */
  hello(): Omit<Hello, "type" | "protocol">;
  /** Drawbridge has welcomed the node. Times are those of `monotonicNow`. */
  welcomed(welcome: Welcome, helloSentAt: number): void;
  /** Drawbridge has answered a ping that was sent then. */
  heard(pingSentAt: number): void;
  /** A message other than `welcome`, `refused` and `pong`. */
  received(message: ToNode): void;
  /** The link is down. It is dialled again. */
  lost(): void;
  /** The link will not come back, and why. */
  ended(reason: string): void;
}

export class Link {
  readonly #options: LinkOptions;
  #socket: WebSocket | null = null;
  #welcomed = false;
  /** Was ever welcomed: from then on a refused dial may be a passing fault. */
  #everWelcomed = false;
  #failures = 0;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #pongTimer: NodeJS.Timeout | undefined;
  #helloSentAt = 0;
  /** When the pings were sent that are not answered yet, oldest first. */
  #pingsSentAt: number[] = [];
  #pingMs = PING_SECONDS * 1_000;
  /** The node's id, once Drawbridge has said it. With it, the node can link again while D1 is down. */
  #nodeId: string | null = null;
  /** What Drawbridge said before it closed the link. */
  #refusal: string | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Whether Drawbridge has welcomed the node on the link that is open. */
  get isUp(): boolean {
    return this.#welcomed;
  }

  /** Dials, and goes on dialling until `stop`. */
  start(): void {
    this.#dial();
  }

  /** Sends a message; false: the link is down, and it was not sent. */
  send(message: FromNode): boolean {
    if (!this.#welcomed) return false;
    this.#socket?.send(JSON.stringify(message));
    return true;
  }

  /** Closes the link for good, once what was sent has left. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#pongTimer);
    const socket = this.#socket;
    if (!socket || socket.readyState === WebSocket.CLOSED) return;
    await new Promise<void>((closed) => {
      const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
      socket.once("close", () => {
        clearTimeout(timer);
        closed();
      });
      socket.close(1000);
    });
  }

  #dial(): void {
    const { url, token, log } = this.#options;
    const id = this.#nodeId === null ? {} : { [NODE_ID_HEADER]: this.#nodeId };
    const socket = new WebSocket(websocketUrl(url, LINK_PATH), {
      headers: { Authorization: `Bearer ${token}`, ...id },
      maxPayload: MAX_MESSAGE_BYTES,
      perMessageDeflate: false,
    });
    this.#socket = socket;
    this.#refusal = null;
    // Whoever does not welcome us in time is dialled again.
    this.#pongTimer = setTimeout(() => socket.terminate(), DIAL_MS);
    socket.on("open", () => this.#sayHello());
    socket.on("message", (data, isBinary) => {
      if (!isBinary && this.#socket === socket) this.#receive(String(data));
    });
    socket.on("unexpected-response", (request, response) => {
      const status = response.statusCode ?? 0;
      log.warn("Drawbridge refused the link", { status });
      const reason = REFUSED_DIALS[status];
      if (reason && !this.#everWelcomed) this.#end(reason);
      this.#lost(socket);
      request.destroy();
    });
    socket.on("error", (error) => {
      if (this.#socket === socket) log.warn("the link failed", { error: error.message });
      this.#lost(socket);
    });
    socket.on("close", (code, reason) => {
      if (this.#socket !== socket) return;
      if (!this.#stopped) log.warn("the link was closed", { code, reason: String(reason) });
      if (FINAL_CLOSES.has(code)) this.#end(this.#refusal ?? String(reason));
      this.#lost(socket);
    });
  }

  #sayHello(): void {
    this.#helloSentAt = monotonicNow();
    const hello: Hello = { type: "hello", protocol: LINK_PROTOCOL, ...this.#options.hello() };
    this.#socket?.send(JSON.stringify(hello));
  }

  #receive(text: string): void {
    const message = parseToNode(text);
    if (message === null) return;
    switch (message.type) {
      case "malformed":
        this.#options.log.warn("Drawbridge sent a message that is not understood", {
          problem: message.problem,
        });
        return;
      case "welcome":
        clearTimeout(this.#pongTimer);
        this.#welcomed = true;
        this.#everWelcomed = true;
        this.#nodeId = message.node_id;
        this.#failures = 0;
        this.#pingMs = message.ping_seconds * 1_000;
        this.#options.welcomed(message, this.#helloSentAt);
        this.#ping();
        return;
      case "refused":
        this.#refusal = `${message.message} (${message.code})`;
        return;
      case "pong": {
        const sentAt = this.#pingsSentAt.shift();
        this.#expectPong();
        if (sentAt !== undefined) this.#options.heard(sentAt);
        return;
      }
      default:
        if (this.#welcomed) this.#options.received(message);
    }
  }

  #ping(): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#pingsSentAt.push(monotonicNow());
    socket.send(LINK_PING);
    if (this.#pingsSentAt.length === 1) this.#expectPong();
    this.#timer = setTimeout(() => this.#ping(), this.#pingMs);
  }

  /** A link on which a ping stays without an answer is dead, even if nothing says so. */
  #expectPong(): void {
    clearTimeout(this.#pongTimer);
    if (this.#pingsSentAt.length === 0) return;
    this.#pongTimer = setTimeout(() => this.#socket?.terminate(), PONG_MS);
  }

  #lost(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#pongTimer);
    this.#pingsSentAt = [];
    const wasUp = this.#welcomed;
    this.#welcomed = false;
    if (wasUp) this.#options.lost();
    if (this.#stopped) return;
    this.#timer = setTimeout(() => this.#dial(), waitBeforeDial(this.#failures, Math.random()));
    this.#failures += 1;
  }

  #end(reason: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#options.ended(reason);
  }
}

/** The websocket URL of a path of Drawbridge. */
export function websocketUrl(url: URL, path: string): string {
  const target = new URL(path, url);
  target.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return target.href;
}
