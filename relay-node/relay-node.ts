/**
 * A relay node: two UDP ports, and one link to Drawbridge that says which sessions it carries. Nothing is
 * stored: a node that starts again is given its sessions again.
 */
import type {
  AssignedSession,
  Hello,
  NodeLoad,
  ToNode,
  Welcome,
} from "../src/relay-nodes/link-protocol";
import type { CarrierPorts } from "./carrier";
import { monotonicNow } from "./clock";
import type { Role } from "./datagram";
import { Link } from "./link";
import { LoadMeter, MEASURE_EVERY_MS } from "./load";
import type { Log } from "./log";
import { OwnPorts } from "./own-ports";
import { Trunks } from "./trunks";
import { Workers } from "./workers";

const TICK_MS = 1_000;
/** How often the node looks whether the last session has ended, while it drains, in milliseconds. */
const DRAIN_LOOK_MS = 200;

export interface RelayNodeOptions {
  /** Where Drawbridge is. */
  url: URL;
  /** `drbn_…` */
  token: string;
  /** Where players reach this node: a name or an address. */
  host: string;
  /** Its address; null: not known. */
  ip: string | null;
  /** The address to bind. */
  bind: string;
  /** UDP ports; 0: any free one. */
  serverPort: number;
  clientPort: number;
  /** How many sessions it takes; null: as many as Drawbridge was told when the node was made. */
  capacity: number | null;
  /** How long it goes on after it was told to drain, in milliseconds. */
  drainMs: number;
  /** How many processes forward datagrams. 1: this one does, else workers do. */
  workers: number;
  /** The file that runs as a worker. */
  program: string;
  /** Of this program. */
  version: string;
  log: Log;
}

/** Why a node has ended: it was drained or stopped, or it cannot go on. */
export type NodeEnd =
  | { type: "stopped" }
  /** `lasts`: it would not go better if it were started again as it is. */
  | { type: "failed"; reason: string; lasts: boolean };

export class RelayNode {
  /** What it carries, and whoever forwards the datagrams of that. */
  readonly forwarder: OwnPorts | Workers;
  /** Settles when the node has ended, for whatever reason. Never rejects. */
  readonly ended: Promise<NodeEnd>;
  readonly #options: RelayNodeOptions;
  readonly #link: Link;
  readonly #load: LoadMeter;
  readonly #trunks: Trunks;
  readonly #timers: NodeJS.Timeout[] = [];
  #ports: Record<Role, number> = { server: 0, client: 0 };
  #resolveEnded: (end: NodeEnd) => void = () => {};
  #ending = false;
  /** How long datagrams pass after Drawbridge was last heard. */
  #blindMs = 0;
  /** This program was told to take no new sessions; Drawbridge has said so. */
  #drains = false;
  #draining = false;
  #drainTimer: NodeJS.Timeout | undefined;

  /** Binds the ports and dials. Rejects when a port cannot be bound. */
  static async start(options: RelayNodeOptions): Promise<RelayNode> {
    const node = new RelayNode(options);
    await node.#open();
    return node;
  }

  private constructor(options: RelayNodeOptions) {
    this.#options = options;
    const { url, token, log, workers } = options;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    const ports: CarrierPorts = {
      presenceChanged: (session) => this.#trunks.presenceChanged(session),
      silent: ({ id }) => this.#link.send({ type: "silent", id }),
      askPermissions: ({ id }) => this.#link.send({ type: "permissions", id }),
    };
    const failed = (reason: string) => void this.#end({ type: "failed", reason, lasts: false });
    this.forwarder =
      workers === 1
        ? new OwnPorts(ports, { ...options, failed })
        : new Workers(ports, { ...options, count: workers, failed });
    this.#trunks = new Trunks({
      url,
      token,
      log,
      frame: (session, frame) => this.forwarder.receiveFromTrunk(session, frame, monotonicNow()),
      users: (session, before, now) =>
        this.forwarder.setUsersOnWebsockets(session, before, now, monotonicNow()),
    });
    this.#load = new LoadMeter(this.forwarder.counts, monotonicNow());
    this.#link = new Link({
      url,
      token,
      log,
      hello: () => this.#hello(),
      welcomed: (welcome, helloSentAt) => this.#welcomed(welcome, helloSentAt),
      heard: (pingSentAt) => this.#heard(pingSentAt),
      received: (message) => this.#received(message),
      lost: () => this.forwarder.linkLost(),
      ended: (reason) => void this.#end({ type: "failed", reason, lasts: true }),
    });
  }

  /** The UDP ports. */
  get ports(): Record<Role, number> {
    return this.#ports;
  }

  /** Whether Drawbridge has welcomed the node on the link that is open. */
  get isLinked(): boolean {
    return this.#link.isUp;
  }

  /** Whether it takes no new session. */
  get isDraining(): boolean {
    return this.#draining;
  }

  /** Takes no new session any more, and ends after the last one, or when the time to drain is over. */
  drain(): void {
    if (this.#drains) return;
    this.#drains = true;
    this.#options.log.info("draining", { sessions: this.forwarder.table.sessionCount });
    this.#link.send({ type: "draining" });
    this.#setDraining(true);
    this.#timers.push(setTimeout(() => void this.stop(), this.#options.drainMs));
  }

  /** Ends at once. Sessions that are still here are lost. */
  stop(): Promise<NodeEnd> {
    return this.#end({ type: "stopped" });
  }

  async #open(): Promise<void> {
    const { bind, host, log } = this.#options;
    this.#ports = await this.forwarder.open();
    const { server, client } = this.#ports;
    log.info("listening", { host, bind, server_port: server, client_port: client });
    this.#timers.push(
      setInterval(() => this.forwarder.tick(monotonicNow()), TICK_MS),
      setInterval(() => this.#load.measure(monotonicNow()), MEASURE_EVERY_MS),
    );
    this.#link.start();
  }

  #hello(): Omit<Hello, "type" | "protocol"> {
    const { version, host, ip, capacity } = this.#options;
    const sessions = [...this.forwarder.table.all()].map(({ id }) => id);
    return { version, host, ip, ports: this.ports, capacity, draining: this.#drains, sessions };
  }

  #welcomed(welcome: Welcome, helloSentAt: number): void {
    const { node_id, limits, blind_seconds, draining } = welcome;
    this.#options.log.info("linked", { node_id });
    this.forwarder.setLimits({
      bytesPerSecond: limits.bytes_per_second,
      burstBytes: limits.burst_bytes,
      messagesPerSecond: limits.messages_per_second,
      burstMessages: limits.burst_messages,
    });
    this.#blindMs = blind_seconds * 1_000;
    this.forwarder.newLink(helloSentAt + this.#blindMs);
    this.#setDraining(draining);
  }

  #heard(pingSentAt: number): void {
    // The first ping is sent after the welcome: its answer comes after all that was said with it.
    this.forwarder.heardDrawbridge(pingSentAt + this.#blindMs);
  }

  #received(message: ToNode): void {
    switch (message.type) {
      case "assign":
        this.#answer(message.ref, this.#assign(message.session), () => this.#sayLoadIfChanged());
        return;
      case "end":
        this.#options.log.info("session ended", { session: message.id, reason: message.reason });
        this.forwarder.end(message.id);
        this.#answer(message.ref, null, () => this.#sayLoadIfChanged());
        return;
      case "permissions": {
        const known = this.forwarder.setPermissions(message.id, message, monotonicNow());
        this.#answer(message.ref, known ? null : "unknown-session");
        return;
      }
      case "trunk":
        this.forwarder.setWantsTrunk(message.id, message.open);
        return;
      case "figures":
        this.#sendFigures(message.ref, message.id);
        return;
      case "load":
        this.forwarder.whenDone(() => this.#sendLoad(message.ref));
        return;
      case "drain":
        this.#setDraining(message.draining);
    }
  }

  /** @returns null: the session is here; or the code of why not */
  #assign(assigned: AssignedSession): string | null {
    const { table, knowsAllSessions } = this.forwarder;
    // What comes before is on this node already: nobody else would carry it.
    const wasKnown = table.get(assigned.id) !== undefined;
    const isNew = knowsAllSessions && !wasKnown;
    if (isNew && this.#drains) return "draining";
    const { capacity } = this.#options;
    if (isNew && capacity !== null && table.sessionCount >= capacity) return "full";
    if (!this.forwarder.assign(assigned, monotonicNow())) return "tokens-taken";
    if (!wasKnown) this.#options.log.info("session assigned", { session: assigned.id });
    return null;
  }

  /** Answers when what was said holds for every datagram, and does `then`. */
  #answer(ref: string, code: string | null, then = () => {}): void {
    this.forwarder.whenDone(() => {
      this.#link.send(code === null ? { type: "done", ref } : { type: "failed", ref, code });
      then();
    });
  }

  #sendFigures(ref: string, id: string): void {
    this.forwarder.askFigures(id, (users) => {
      if (users) this.#link.send({ type: "figures", ref, users });
      else this.#link.send({ type: "failed", ref, code: "unknown-session" });
    });
  }

  #currentLoad(): NodeLoad {
    const { table, presence } = this.forwarder;
    return this.#load.load(table.sessionCount, presence.connectedUsers);
  }

  #sendLoad(ref: string | null): void {
    const load = this.#currentLoad();
    if (this.#link.send({ type: "load", ref, ...load })) this.#load.said(load, monotonicNow());
  }

  /** Says a load that has changed, while Drawbridge is awake: it would not be woken for this alone. */
  #sayLoadIfChanged(): void {
    const load = this.#currentLoad();
    if (this.#load.isWorthSaying(load, monotonicNow())) this.#sendLoad(null);
  }

  /** While it drains, the node ends after its last session. */
  #setDraining(byDrawbridge: boolean): void {
    clearInterval(this.#drainTimer);
    this.#draining = byDrawbridge || this.#drains;
    if (!this.#draining) return;
    this.#drainTimer = setInterval(() => {
      if (this.forwarder.table.sessionCount > 0) return;
      // A node that has just started does not know yet whether it has sessions.
      if (this.#drains || this.forwarder.knowsAllSessions) void this.stop();
    }, DRAIN_LOOK_MS);
  }

  async #end(end: NodeEnd): Promise<NodeEnd> {
    if (this.#ending) return this.ended;
    this.#ending = true;
    clearInterval(this.#drainTimer);
    for (const timer of this.#timers) clearTimeout(timer);
    this.#trunks.close();
    this.forwarder.close();
    this.#link.send({ type: "leaving" });
    await this.#link.stop();
    this.#resolveEnded(end);
    return end;
  }
}
