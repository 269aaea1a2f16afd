/**
 * The users of a relay who play over its relay node: they come and go by what the trunk says, and their frames
 * come over it. The session's object hands it what happens on the trunk's websocket.
 */
import type { NodeToken } from "../session/relay-node";
import type { FrameRouter } from "./frame-router";
import { isTrunk, type NodeTrunk } from "./node-trunk";
import type { PeerNotices } from "./peer-notices";
import { CLOSE } from "./protocol";
import { parseTrunkMessage } from "./trunk";

interface NodeUsersParts {
  trunk: NodeTrunk;
  presence: PeerNotices;
  router: FrameRouter;
  /** Closes the websocket of a user who is heard on the node now. */
  closeWebSocket(n: number): void;
}

export class NodeUsers {
  readonly #relay: NodeUsersParts;

  constructor(relay: NodeUsersParts) {
    this.#relay = relay;
  }

  /** Whether this is the websocket of a trunk. */
  isTrunk(ws: WebSocket): boolean {
    // What is kept with a websocket is read only where it is not the open one: this is asked for every frame.
    return this.#relay.trunk.isOpenOn(ws) || isTrunk(ws);
  }

  /** Takes the websocket of the trunk to the session's relay node. */
  openTrunk(ws: WebSocket, token: NodeToken, now: number): void {
    const { trunk, presence } = this.#relay;
    for (const n of trunk.users) this.leave(n);
    trunk.open(ws, token, now);
    presence.sayHere();
  }

  /**
   * Handles a message of the trunk.
   * @param isUser whether the session has a user with this ordinal
   */
  receive(
    ws: WebSocket,
    message: ArrayBuffer | string,
    isUser: (n: number) => boolean,
    now: number,
  ): void {
    const { trunk, router } = this.#relay;
    if (!trunk.isOpenOn(ws)) return;
    if (typeof message === "string") {
      const users = parseTrunkMessage(message)?.users.filter(isUser);
      if (users) this.#set(new Set(users));
      return;
    }
    router.passFromNode(message, now);
  }

  /** The trunk has closed. */
  leaveTrunk(ws: WebSocket): void {
    if (this.#relay.trunk.isOpenOn(ws)) this.#end();
  }

  /** These tokens of the node work now, and no others. `now`: Unix milliseconds. */
  tokensChanged(tokens: readonly NodeToken[], now: number): void {
    const { trunk } = this.#relay;
    const token = tokens.find(({ digest }) => digest === trunk.token?.digest);
    trunk.setTokenEnd(token ? token.validUntil : now);
    this.closeIfTokenEnded(now);
  }

  /** Closes the trunk if the token with which it was opened works no more. `now`: Unix milliseconds. */
  closeIfTokenEnded(now: number): void {
    const until = this.#relay.trunk.token?.validUntil ?? null;
    if (until === null || now < until) return;
    this.#end({ code: CLOSE.wrongCredential, reason: "the relay node's token was replaced" });
  }

  /** A user, if they are heard on the node, is not any more, or does not count as heard there. */
  leave(n: number): void {
    const { trunk, presence } = this.#relay;
    if (!trunk.users.has(n)) return;
    trunk.forget(n);
    presence.left(n);
  }

  /** Nobody is heard over the trunk any more. `close`: it is closed, too, with this code and reason. */
  #end(close?: { code: number; reason: string }): void {
    const { trunk, presence } = this.#relay;
    const users = [...trunk.users];
    trunk.end(close);
    for (const n of users) presence.left(n);
  }

  #set(users: ReadonlySet<number>): void {
    const { trunk, presence, closeWebSocket } = this.#relay;
    const before = trunk.users;
    for (const n of before) if (!users.has(n)) this.leave(n);
    for (const n of users) {
      if (before.has(n)) continue;
      closeWebSocket(n);
      presence.joinedNode(n);
    }
    trunk.setUsers(users);
  }
}
