/**
 * The websockets of a node's object: its link, and others that have not said hello, or were closed. The
 * object asks it which is the link, and which have to be closed.
 */
import { LINK_PING, LINK_PONG } from "./link-protocol";
import { isOpen, type LinkAttachment, readLink, refuseLink } from "./link-socket";

/** A link on which nothing was heard for so long is closed. */
const UNHEARD_MS = 25_000;

const PONG = new WebSocketRequestResponsePair(LINK_PING, LINK_PONG);

export class NodeLinks {
  readonly #ctx: DurableObjectState;
  /** When a message came on the link, pings apart. Unix milliseconds. */
  #heardAt = 0;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
    ctx.setWebSocketAutoResponse(PONG);
  }

  /** The node's link; null: there is none. */
  current(): WebSocket | null {
    return this.#open().find((ws) => readLink(ws)?.greeted) ?? null;
  }

  /** Takes a websocket, and returns the node's end of it. It is the link once it has said hello. */
  accept(asked: Omit<LinkAttachment, "since" | "greeted" | "closed">, now: number): WebSocket {
    const { 0: client, 1: server } = new WebSocketPair();
    this.#ctx.acceptWebSocket(server);
    attach(server, { ...asked, since: now, greeted: false, closed: false });
    return client;
  }

  /** This one has said hello: it is the link, and an older one is told so, and closed. */
  greeted(ws: WebSocket, link: LinkAttachment, now: number): void {
    const message = "Another process has linked with this relay node's token, and takes its place.";
    const older = this.#open().filter((other) => other !== ws && readLink(other)?.greeted);
    for (const other of older) refuseLink(other, "replaced", { code: "replaced", message });
    attach(ws, { ...link, greeted: true, since: now });
    this.#heardAt = now;
  }

  /** A message has come on the link. */
  heard(now: number): void {
    this.#heardAt = now;
  }

  /** Says with all of them whether their owner lets the node take new sessions. */
  setDrained(drained: boolean): void {
    for (const ws of this.#open()) {
      const link = readLink(ws);
      if (link) attach(ws, { ...link, settings: { ...link.settings, drained } });
    }
  }

  /**
   * Says with all of them until when the token works with which each came.
   * @param untilOf Unix milliseconds; null: it has no end
   */
  setTokenEnds(untilOf: (digest: string) => number | null): void {
    for (const ws of this.#open()) {
      const link = readLink(ws);
      if (link) attach(ws, { ...link, tokenUntil: untilOf(link.tokenDigest) });
    }
  }

  /** Closes all, since the node was deleted. */
  closeAll(): void {
    const message = "This relay node was deleted. Make another one, and use its token.";
    for (const ws of this.#open()) refuseLink(ws, "removed", { code: "removed", message });
  }

  /** Closes those whose token has ended. */
  closeWithEndedToken(now: number): void {
    const message = "The token of this relay node was replaced. Use the new one.";
    for (const ws of this.#open()) {
      const until = readLink(ws)?.tokenUntil ?? null;
      if (until === null || now < until) continue;
      refuseLink(ws, "tokenRevoked", { code: "token-replaced", message });
    }
  }

  /**
   * Closes those that have not been heard for too long.
   * @returns when the link was last heard, if it was closed; else null
   */
  closeUnheard(now: number): number | null {
    const message = "Nothing was heard from you for 25 seconds. Ping every 10.";
    let linkHeardAt: number | null = null;
    for (const ws of this.#open()) {
      const at = this.#lastHeard(ws);
      if (now < at + UNHEARD_MS) continue;
      if (readLink(ws)?.greeted) linkHeardAt = at;
      refuseLink(ws, "unanswered", { code: "unheard", message });
    }
    return linkHeardAt;
  }

  /** When one of them may have to be closed next; null: there is none. */
  nextCheckAt(): number | null {
    const times = this.#open().flatMap((ws) => [
      this.#lastHeard(ws) + UNHEARD_MS,
      readLink(ws)?.tokenUntil ?? Number.POSITIVE_INFINITY,
    ]);
    return times.length === 0 ? null : Math.min(...times);
  }

  #open(): WebSocket[] {
    return this.#ctx.getWebSockets().filter(isOpen);
  }

  #lastHeard(ws: WebSocket): number {
    const pinged = this.#ctx.getWebSocketAutoResponseTimestamp(ws)?.getTime() ?? 0;
    const link = readLink(ws);
    return Math.max(pinged, link?.greeted ? this.#heardAt : 0, link?.since ?? 0);
  }
}

function attach(ws: WebSocket, link: LinkAttachment): void {
  ws.serializeAttachment(link);
}
