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
  /** The sessions that are not told yet. Stored is only that there are some: after an eviction all are told. */
  #untold: Set<string> | null = null;
  #owed: boolean;
  /** The run that is under way. One after the other. */
  #telling: Promise<boolean> = Promise.resolve(false);

  constructor(object: TrunkTokensContext) {
    this.#object = object;
    this.#owed = object.kv.get(KEY) === true;
  }

  /** Whether a session has to be told. */
  get isOwed(): boolean {
    return this.#owed;
  }

  /** Other tokens work now: all sessions have to be told. */
  changed(): void {
    this.#untold = new Set(this.#object.carried.ids);
    this.#store(this.#untold.size > 0);
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
    this.#untold = null;
    this.#store(false);
  }

  async #tellNow(): Promise<boolean> {
    if (!this.#owed) return false;
    const { carried, session, state, working } = this.#object;
    this.#untold ??= new Set(carried.ids);
    const ids = [...this.#untold].slice(0, SESSIONS_PER_RUN);
    // Taken out first: if the tokens change meanwhile, all are to be told again.
    for (const id of ids) this.#untold.delete(id);
    const told = await sideBySide(ids, SESSIONS_AT_ONCE, (id) =>
      session(id).nodeTokensChanged(state.id, working()),
    );
    // One that cannot be told keeps none of the others waiting.
    for (const [i, { status }] of told.entries()) {
      if (status === "rejected") this.#untold?.add(ids[i] ?? "");
    }
    this.#store((this.#untold?.size ?? 0) > 0);
    return told.some(({ status }) => status === "fulfilled");
  }

  #store(owed: boolean): void {
    if (owed === this.#owed) return;
    this.#owed = owed;
    if (owed) this.#object.kv.put(KEY, true);
    else this.#object.kv.delete(KEY);
  }
}
