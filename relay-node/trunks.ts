/** The trunks of a relay node: one for each session that has users here and on websockets. */
import type { Log } from "./log";
import type { NodeSession } from "./session-table";
import { Trunk, type TrunkFrame } from "./trunk";

export interface TrunksOptions {
  /** Where Drawbridge is. */
  url: URL;
  /** `drbn_…` */
  token: string;
  log: Log;
  /** A frame of somebody on a websocket. */
  frame(session: NodeSession, frame: TrunkFrame): void;
  /** Who of the session is on websockets has changed; null: its trunk is down. */
  users(session: NodeSession, before: ReadonlySet<number>, now: ReadonlySet<number> | null): void;
}

export class Trunks {
  readonly #options: TrunksOptions;
  readonly #trunks = new Map<NodeSession, Trunk>();
  #closed = false;

  constructor(options: TrunksOptions) {
    this.#options = options;
  }

  /** Opens, tells or closes the trunk of a session whose users have come or gone, here or on websockets. */
  presenceChanged(session: NodeSession): void {
    const { frame, users, ...options } = this.#options;
    const trunk = this.#trunks.get(session);
    const wanted = session.wantsTrunk && session.connectedUsers > 0 && !this.#closed;
    if (!wanted) {
      this.#trunks.delete(session);
      trunk?.close();
    } else if (trunk) {
      trunk.sayWhoIsHere();
    } else {
      const opened = new Trunk({
        ...options,
        session,
        frame: (one) => frame(session, one),
        users: (before, now) => users(session, before, now),
        refused: () => {
          // The session is not on this node, or not any more. If it is after all, Drawbridge says so again.
          session.wantsTrunk = false;
          this.presenceChanged(session);
        },
      });
      this.#trunks.set(session, opened);
    }
  }

  /** Closes all. No other is opened. */
  close(): void {
    this.#closed = true;
    for (const trunk of this.#trunks.values()) trunk.close();
    this.#trunks.clear();
  }
}
