/**
 * The session's end of a trunk: the websocket over which frames go to and from the users who are heard on
 * the session's relay node. The hub uses it. `trunk.ts` has what travels on it.
 */
import type { NodeToken } from "../session/relay-node";
import { closeSocket } from "./participant";
import { type TrunkMessage, trunkFrame } from "./trunk";

/** What is kept with the websocket of a trunk, and so survives the eviction of the object. */
interface TrunkAttachment {
  /** The users who are heard on the node. */
  trunk: readonly number[];
  /** When it was opened: of two, the later one counts. */
  since: number;
  /** The token with which it was opened. */
  token: NodeToken;
}

export class NodeTrunk {
  #ws: WebSocket | null = null;
  #since = 0;
  #token: NodeToken | null = null;
  #users: ReadonlySet<number> = new Set();

  /** @param sockets all hibernatable sockets of the object: after an eviction they are still open */
  constructor(sockets: readonly WebSocket[]) {
    for (const ws of sockets) {
      const attached = readTrunk(ws);
      if (!attached || ws.readyState !== WebSocket.OPEN || attached.since < this.#since) continue;
      this.#ws = ws;
      this.#since = attached.since;
      this.#token = attached.token;
      this.#users = new Set(attached.trunk);
    }
  }

  /** The users who are heard on the node, as far as the trunk says. */
  get users(): ReadonlySet<number> {
    return this.#users;
  }

  /** The token with which it was opened; null: it is not open. */
  get token(): NodeToken | null {
    return this.#token;
  }

  /** Whether this is the open trunk. */
  isOpenOn(ws: WebSocket): boolean {
    return this.#ws === ws;
  }

  /** Takes the websocket of a new trunk; an older one is closed. `now`: Unix milliseconds. */
  open(ws: WebSocket, token: NodeToken, now: number): void {
    const older = this.#ws;
    this.#ws = ws;
    this.#token = token;
    this.#since = Math.max(now, this.#since + 1);
    this.#remember(new Set());
    if (older) closeSocket(older, 4409, "replaced by a newer trunk");
  }

  /** Forgets the trunk. `close`: closes it, too, with this code and reason. */
  end(close?: { code: number; reason: string }): void {
    if (close && this.#ws) closeSocket(this.#ws, close.code, close.reason);
    this.#ws = null;
    this.#token = null;
    this.#users = new Set();
  }

  /** The token with which it was opened works until then, Unix milliseconds; null: it has no end. */
  setTokenEnd(validUntil: number | null): void {
    if (this.#token === null || this.#token.validUntil === validUntil) return;
    this.#token = { ...this.#token, validUntil };
    this.#remember(this.#users);
  }

  /** These users are heard on the node now. */
  setUsers(users: ReadonlySet<number>): void {
    this.#remember(users);
  }

  /** This user is not heard on the node any more, or is not counted there. */
  forget(n: number): void {
    this.#remember(new Set([...this.#users].filter((other) => other !== n)));
  }

  /** Says which users are on websockets. */
  sayHere(users: readonly number[]): void {
    this.#send(JSON.stringify({ type: "here", users: [...users] } satisfies TrunkMessage));
  }

  /** Sends a frame to a user who is heard on the node. */
  sendFrame(from: number, to: number, payload: Uint8Array): void {
    this.#send(trunkFrame(from, to, payload));
  }

  #send(message: string | Uint8Array): void {
    try {
      this.#ws?.send(message);
    } catch {
      // It has just closed; its close event does the rest.
    }
  }

  #remember(users: ReadonlySet<number>): void {
    this.#users = users;
    if (this.#token === null) return;
    const attached: TrunkAttachment = {
      trunk: [...users],
      since: this.#since,
      token: this.#token,
    };
    this.#ws?.serializeAttachment(attached);
  }
}

/** Whether this is or was the websocket of a trunk. */
export function isTrunk(ws: WebSocket): boolean {
  return readTrunk(ws) !== null;
}

function readTrunk(ws: WebSocket): TrunkAttachment | null {
  const attached: Partial<TrunkAttachment> | null = ws.deserializeAttachment();
  return attached && "trunk" in attached ? (attached as TrunkAttachment) : null;
}
