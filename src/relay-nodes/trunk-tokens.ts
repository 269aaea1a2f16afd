/**
 * Tells the sessions of a node which of its tokens work, so that each closes a trunk that was opened with
 * another one. All are told: whoever has a token may have opened the trunk of a session in which nobody is on
 * a websocket. What was not told yet is remembered, and told by the object's alarm.
 */
import { sideBySide } from "../platform/side-by-side";
import type { NodeReports, NodeToken } from "../session/relay-node";
import { type CarriedSessions, SESSIONS_AT_ONCE, SESSIONS_PER_RUN } from "./carried-sessions";
import type { NodeState } from "./node-state";

const KEY = "trunks-untold";
/** So many ids are stored. If more sessions are left, an eviction has all told again. */
const MOST_STORED = 1_000;

interface TrunkTokensContext {
  kv: SyncKvStorage;
  state: NodeState;
  carried: CarriedSessions;
  /** The object of a session. */
  session(id: string): NodeReports;
  /** The tokens that work now. */
  working(): readonly NodeToken[];
}

export class TrunkTokens {
  readonly #object: TrunkTokensContext;
  /** The sessions that are not told yet; null: all. */
  #untold: Set<string> | null;
  /** The run that is under way. One after the other. */
  #telling: Promise<boolean> = Promise.resolve(false);

  constructor(object: TrunkTokensContext) {
    this.#object = object;
    const stored = object.kv.get<readonly string[] | "all">(KEY) ?? [];
    this.#untold = stored === "all" ? null : new Set(stored);
  }

  /** Whether a session has to be told. */
  get isOwed(): boolean {
    return this.#untold === null || this.#untold.size > 0;
  }

  /** Other tokens work now: all sessions have to be told. */
  changed(): void {
    this.#store(new Set(this.#object.carried.ids));
  }

  /**
   * Tells so many as one run may.
   * @returns whether one of them was told. Those that are left are told by the next run
   */
  tell(): Promise<boolean> {
    this.#telling = this.#telling.then(() => this.#tellNow());
    return this.#telling;
  }

  /** Forgets all: the node was deleted. */
  forget(): void {
    this.#store(new Set());
  }

  async #tellNow(): Promise<boolean> {
    if (!this.isOwed) return false;
    const { carried, session, state, working } = this.#object;
    // A session that is not on the node any more has no trunk.
    const untold = [...(this.#untold ?? carried.ids)].filter((id) => carried.has(id));
    const ids = untold.slice(0, SESSIONS_PER_RUN);
    // Taken out first: if the tokens change meanwhile, all are to be told again.
    this.#untold = new Set(untold.slice(SESSIONS_PER_RUN));
    const told = await sideBySide(ids, SESSIONS_AT_ONCE, (id) =>
      session(id).nodeTokensChanged(state.id, working()),
    );
    // One that cannot be told keeps none of the others waiting.
    const failed = ids.filter((_, i) => told[i]?.status === "rejected");
    this.#store(new Set([...this.#untold, ...failed]));
    return failed.length < ids.length;
  }

  #store(untold: Set<string>): void {
    this.#untold = untold;
    if (untold.size === 0) this.#object.kv.delete(KEY);
    else this.#object.kv.put(KEY, untold.size > MOST_STORED ? "all" : [...untold]);
  }
}
