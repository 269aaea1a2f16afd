/**
 * Makes sessions that a relay node carries: it has a node take the session, and stores the session when it
 * knows whether one did (docs/decisions/0027).
 */
import { withTimeout } from "../platform/wait";
import type { SessionCommand } from "../session/machine";
import { NO_RELAY_NODE, type RelayNodeAddress } from "../session/relay-node";
import type { SessionResult } from "../session/session-calls";
import type { SessionJournal } from "../session/session-outbox";
import type { Announcer } from "./announcer";
import type { SessionClock } from "./clock";
import type { SessionCommands } from "./commands";
import { type LoadedSession, viewOf } from "./loaded-session";
import type { NodeLink } from "./node-link";

/** How long a create waits for a relay node, so that its answer normally says READY. */
const LINK_WAIT_MS = 2_000;

/** The object whose session is made. */
interface PlacementContext {
  ctx: { waitUntil(work: Promise<unknown>): void };
  nodes: NodeLink;
  commands: SessionCommands;
  clock: SessionClock;
  announcer: Announcer;
  /** The session of the object; null: there is none. */
  current(): LoadedSession | null;
  /** Whether a session may be made here. */
  mayCreate(): boolean;
  /** Holds the session of a first journal. */
  load(journal: SessionJournal): LoadedSession;
  /** Tells the node whether somebody is on a websocket. */
  tellSockets(loaded: LoadedSession): void;
}

/** The command that makes a session, before it is known whether a node has it. */
type NewSessionCommand = Omit<Extract<SessionCommand, { type: "create" }>, "active" | "node">;

export class NodePlacement {
  readonly #object: PlacementContext;

  constructor(object: PlacementContext) {
    this.#object = object;
  }

  /** Makes a session that is active when one of these relay nodes has taken it. */
  async create(command: NewSessionCommand, nodeIds: readonly string[]): Promise<SessionResult> {
    const { ctx, nodes, commands, clock, announcer } = this.#object;
    const { facts, expiresAt } = command;
    const users = command.users.map((user, n) => ({ ...user, n }));
    const placing = nodes.place({ ...facts, expiresAt, users }, nodeIds);
    const outcome = await withTimeout(LINK_WAIT_MS, placing).catch(() => "waiting" as const);
    const node = outcome === "waiting" ? null : outcome;
    const now = Date.now();
    const created = this.#object.mayCreate()
      ? commands.create({ ...command, active: node !== null, ...(node ? { node } : {}) }, now)
      : ({ ok: false, refusal: { code: "exists" } } as const);
    if (!created.ok) {
      ctx.waitUntil(placing.then((placed) => placed && nodes.letGo(placed, facts, "not made")));
      return created;
    }
    const loaded = this.#object.load(created.journal);
    if (outcome === "waiting") {
      ctx.waitUntil(placing.then((placed) => this.#placed(loaded, placed)));
    } else if (node === null) {
      commands.run(loaded, { type: "fail", error: NO_RELAY_NODE }, now);
    }
    clock.setAlarm(loaded);
    await announcer.announce();
    await this.#tellDevices(loaded);
    return viewOf(loaded, loaded.session);
  }

  /** A node has taken the session after its create was answered; null: none did. */
  async #placed(loaded: LoadedSession, node: RelayNodeAddress | null): Promise<void> {
    const { nodes, commands, clock, announcer } = this.#object;
    const { users } = loaded.session;
    const command =
      node === null
        ? ({ type: "fail", error: NO_RELAY_NODE } as const)
        : ({ type: "activate", expiresAt: null, node } as const);
    const isHere = this.#object.current() === loaded;
    const decision = isHere ? commands.run(loaded, command, Date.now()) : null;
    if (!decision?.ok) {
      if (node) nodes.letGo(node, loaded.session, "ended");
      return;
    }
    // The node was given the users of the create.
    if (users.length < loaded.session.nextUser) nodes.tell(loaded);
    this.#object.tellSockets(loaded);
    clock.setAlarm(loaded);
    await announcer.announce();
    await this.#tellDevices(loaded);
  }

  /** Tells the node of users with devices: it was given the session without them. */
  async #tellDevices(loaded: LoadedSession): Promise<void> {
    if (!loaded.session.users.some(({ deviceId }) => deviceId !== null)) return;
    this.#object.nodes.tell(loaded);
    await this.#object.nodes.whenTold();
  }
}
