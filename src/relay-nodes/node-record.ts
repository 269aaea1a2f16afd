/**
 * What a node's object stores, in its own key-value store: `node` is what it knows of the node, `s:…` are
 * the sessions that are on it. No token is among it: tokens are derived.
 */
import type { NodeFacts, NodeLoadFacts } from "../db/schema/relay-nodes";
import type { DomainEvent } from "../events/event";
import type { Assignment } from "../session/relay-node";
import type { NodeSettings, NodeStatus } from "./node";

/** What a node's object knows of its node. Times are Unix milliseconds. */
export interface NodeRecord {
  settings: NodeSettings;
  status: NodeStatus;
  /** Whether the node itself takes no new sessions. */
  draining: boolean;
  facts: NodeFacts | null;
  latitude: number | null;
  longitude: number | null;
  /** When its link opened, closed or was lost last. */
  seenAt: number;
  /** When its link was lost; null: it is there, or nothing waits for it any more. */
  downSince: number | null;
  fill: number;
  load: NodeLoadFacts | null;
  /** What D1 has not been told yet: the record itself, and these events. Null: nothing. */
  owed: readonly DomainEvent[] | null;
  /** How many events were made of it since then. Absent: none. */
  told?: { since: number; count: number };
  /** The node was deleted: what ran on it is being ended. */
  removed: boolean;
}

const PREFIX = "s:";

/** The sessions of a node. They are read when they are needed first. */
export class Assignments {
  readonly #kv: SyncKvStorage;
  #all: Map<string, Assignment> | null = null;

  constructor(kv: SyncKvStorage) {
    this.#kv = kv;
  }

  get count(): number {
    return this.#read().size;
  }

  has(id: string): boolean {
    return this.#read().has(id);
  }

  all(): readonly Assignment[] {
    return [...this.#read().values()];
  }

  put(assignment: Assignment): void {
    this.#read().set(assignment.id, assignment);
    this.#kv.put(PREFIX + assignment.id, assignment);
  }

  /** @returns whether the session is here, and that is news */
  setHasSockets(id: string, hasSockets: boolean): boolean {
    const assignment = this.#read().get(id);
    if (!assignment || assignment.hasSockets === hasSockets) return false;
    this.put({ ...assignment, hasSockets });
    return true;
  }

  /** From now on this one is the last of `all`. */
  postpone(id: string): void {
    const assignment = this.#read().get(id);
    if (!assignment) return;
    this.#read().delete(id);
    this.#read().set(id, assignment);
  }

  /** @returns whether it was there */
  delete(id: string): boolean {
    if (!this.#read().delete(id)) return false;
    this.#kv.delete(PREFIX + id);
    return true;
  }

  #read(): Map<string, Assignment> {
    this.#all ??= new Map(
      [...this.#kv.list<Assignment>({ prefix: PREFIX })].map(([, each]) => [each.id, each]),
    );
    return this.#all;
  }
}
