/**
 * What a node's object knows of its node: it stores it, decides what D1 is to be told of it, and tells D1.
 * What could not be told is stored as owed, and told again by the object's alarm.
 */
import { openDatabase } from "../db/open";
import type { NodeFacts } from "../db/schema/relay-nodes";
import { openOutbox } from "../devices/event-outbox";
import { type DomainEvent, newEventId } from "../events/event";
import type { EventType } from "../events/event-types";
import { describeError, log } from "../platform/log";
import type { RelayNodeAddress } from "../session/relay-node";
import { BLIND_SECONDS, type Hello, type NodeLoad } from "./link-protocol";
import type { LinkAttachment } from "./link-socket";
import { capacityOf, DEFAULT_CAPACITY, type RelayNodeEventData, SHARED } from "./node";
import type { NodeRecord } from "./node-record";
import { reportNode } from "./node-store";

/** A share of the capacity: D1 is told when the fill has changed by so much. */
const FILL_STEP = 1 / 8;
/** A node that comes and goes more often is shown as it is, and no further events say so. */
const MAX_EVENTS_IN_AN_HOUR = 60;
const HOUR_MS = 3_600_000;
/** D1 is told of the load this often at most. */
const LOAD_EVERY_MS = 60_000;

interface StateContext {
  ctx: DurableObjectState;
  env: Env;
  /** Called when D1 could not be told: the alarm has to be set. */
  reportFailed(): void;
}

export class NodeState {
  readonly #object: StateContext;
  #record: NodeRecord | null;
  /** The writing to D1 that runs. */
  #reporting: Promise<void> = Promise.resolve();

  constructor(object: StateContext) {
    this.#object = object;
    this.#record = object.ctx.storage.kv.get<NodeRecord>("node") ?? null;
  }

  /** Null: the node was never linked. */
  get record(): NodeRecord | null {
    return this.#record;
  }

  /** The node's id; empty where it was never linked. */
  get id(): string {
    return this.#record?.settings.id ?? "";
  }

  /** Whether the node is linked, or may come back: sessions live on it. */
  get isUp(): boolean {
    return this.#record?.status === "online" || this.#record?.status === "draining";
  }

  /** Whether it is gone: what ran on it fails. */
  get isLost(): boolean {
    return this.#record !== null && (this.#record.removed || this.#record.status === "lost");
  }

  /** Whether it takes no new sessions: it or its owner says so. */
  get isDraining(): boolean {
    return this.#record !== null && (this.#record.draining || this.#record.settings.drained);
  }

  /** The most sessions. */
  get capacity(): number {
    if (!this.#record) return DEFAULT_CAPACITY;
    const { settings, facts } = this.#record;
    return capacityOf({ capacity: settings.capacity, facts });
  }

  /** Where players reach it; null: it was never linked. */
  get address(): RelayNodeAddress | null {
    if (!this.#record?.facts) return null;
    const { host, ip, serverPort, clientPort } = this.#record.facts;
    return { id: this.id, host, ip, serverPort, clientPort };
  }

  /** Resolves when what runs now has told D1, or has failed to. */
  get reported(): Promise<void> {
    return this.#reporting;
  }

  /** When the node carries nothing any more, unless it is linked again. Null: it does not already. */
  blindAt(now: number): number | null {
    const since = this.#record?.downSince ?? (this.isUp ? now : null);
    const at = since === null ? null : since + BLIND_SECONDS * 1_000;
    return at !== null && at > now ? at : null;
  }

  /** The node has linked, and said what it is. */
  greeted(link: LinkAttachment, hello: Hello, now: number): void {
    const before = this.#record;
    const { latitude, longitude, settings } = link;
    const known = { status: "never-connected", fill: 0, load: null, owed: null } as const;
    this.#store({
      ...(before ?? known),
      removed: before?.removed ?? false,
      settings,
      draining: hello.draining ?? false,
      facts: toFacts(hello),
      latitude,
      longitude,
      seenAt: now,
      downSince: null,
    });
    this.showLinked({ hasChanged: hasOtherFacts(before, this.#record) });
  }

  /** The node says that it takes no new sessions. */
  startedDraining(): void {
    this.#change({ draining: true });
    this.showLinked();
  }

  /** Its owner says whether it takes new sessions. */
  setDrained(drained: boolean): void {
    if (!this.#record) return;
    this.#change({ settings: { ...this.#record.settings, drained } });
  }

  /** The link is there: shows the node as online or draining. */
  showLinked({ hasChanged = false } = {}): void {
    const before = this.#record?.status;
    const status = this.isDraining ? "draining" : "online";
    if (status === before) {
      if (hasChanged) this.#show(null);
      return;
    }
    this.#change({ status });
    // One that is back from draining was online all the time.
    const isNews = status === "draining" || before !== "draining";
    this.#show(isNews ? `relay-node.${status}` : null);
  }

  /** The link is gone. D1 is told when the node is lost. */
  linkGone(at: number): void {
    this.#change({ downSince: at, seenAt: at });
  }

  /** The node is gone: it is lost, or `offline` if it drained and carried nothing any more. */
  gone(now: number, carries: { nothing: boolean }): void {
    if (!this.isUp) return;
    const left = this.#record?.status === "draining" && carries.nothing;
    this.#change({ status: left ? "offline" : "lost", downSince: null, seenAt: now });
    this.#show(left ? null : "relay-node.lost");
  }

  /** The node was deleted: D1 has it no more. */
  removed(now: number): void {
    const downSince = this.#record?.downSince ?? now;
    this.#change({ removed: true, status: "lost", downSince, owed: null });
  }

  /** Forgets everything, for good. */
  async forget(): Promise<void> {
    this.#record = null;
    await this.#object.ctx.storage.deleteAll();
  }

  /** The node says how loaded it is. */
  saveLoad(load: NodeLoad, now: number): void {
    if (now - (this.#record?.load?.at ?? 0) < LOAD_EVERY_MS) return;
    this.#change({
      load: {
        sessions: load.sessions,
        users: load.users,
        datagramsPerSecond: load.datagrams_per_second,
        bytesPerSecond: load.bytes_per_second,
        droppedPerSecond: load.dropped_per_second,
        at: now,
      },
    });
    this.#show(null);
  }

  /** The node has so many sessions now: D1 is told, if it makes a difference. */
  setSessions(count: number): void {
    const before = this.#record?.fill ?? 0;
    const fill = count / this.capacity;
    const isEmptied = count === 0 && before > 0 && !this.isUp;
    const isOther = Math.abs(fill - before) >= FILL_STEP || fill >= 1 !== before >= 1;
    if (!isOther && !isEmptied) return;
    this.#change({ fill });
    this.#show(null);
  }

  /** Tells D1 what it has to be told. One at a time. */
  report(): Promise<void> {
    this.#reporting = this.#reporting.then(() => this.#reportNow());
    return this.#reporting;
  }

  /** Has D1 told what the record says now, and this event. */
  #show(type: EventType | null): void {
    this.#owe(type, Date.now());
    this.#object.ctx.waitUntil(this.report());
  }

  #owe(type: EventType | null, now: number): void {
    const record = this.#record;
    if (!record || record.removed) return;
    // Another array each time: `#reportNow` sees by it that more is owed.
    const owed = [...(record.owed ?? [])];
    const { settings, status, facts } = record;
    const { id, name, region, createdAt, organisationId } = settings;
    // The owner of a shared node is no organisation: nobody receives its events.
    if (type !== null && organisationId !== SHARED && this.#mayTell(now)) {
      const relayNode = { id, name, region, createdAt, status, facts };
      const data: RelayNodeEventData = { relayNode };
      owed.push({ id: newEventId(now), organisationId, type, at: now, data } satisfies DomainEvent);
    }
    this.#change({ owed });
  }

  /** Counts an event; false: there were too many in this hour. */
  #mayTell(now: number): boolean {
    const before = this.#record?.told;
    const isOver = !before || now >= before.since + HOUR_MS;
    const told = isOver ? { since: now, count: 1 } : { ...before, count: before.count + 1 };
    if (told.count > MAX_EVENTS_IN_AN_HOUR) return false;
    this.#change({ told });
    return true;
  }

  async #reportNow(): Promise<void> {
    const record = this.#record;
    if (!record?.owed || record.removed) return;
    const { owed, status, seenAt, facts, latitude, longitude, fill, load } = record;
    const { ctx, env } = this.#object;
    const db = openDatabase(env);
    const events = openOutbox(env, ctx, db);
    const report = { status, seenAt, facts, latitude, longitude, fill, load };
    try {
      await reportNode({ db, events }, record.settings, report, owed);
      // If more was owed meanwhile, it is told next.
      if (this.#record?.owed === owed) this.#change({ owed: null });
    } catch (error) {
      log("relay node not reported", { node: record.settings.id, error: describeError(error) });
      this.#object.reportFailed();
    }
  }

  #change(changes: Partial<NodeRecord>): void {
    if (this.#record) this.#store({ ...this.#record, ...changes });
  }

  #store(record: NodeRecord): void {
    this.#record = record;
    this.#object.ctx.storage.kv.put("node", record);
  }
}

function toFacts({ version, host, ip = null, ports, capacity = null }: Hello): NodeFacts {
  return { version, host, ip, serverPort: ports.server, clientPort: ports.client, capacity };
}

/** Whether D1 has to be told what a node said of itself. */
function hasOtherFacts(before: NodeRecord | null, after: NodeRecord | null): boolean {
  const told = (record: NodeRecord | null) =>
    JSON.stringify([record?.facts, record?.latitude, record?.longitude]);
  return told(before) !== told(after);
}
