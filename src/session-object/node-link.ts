/**
 * How a session's object reaches the relay node that carries its datagrams: it places the session on one,
 * and tells it what changes. While people play, nothing is called.
 */
import { openDatabase } from "../db/open";
import { describeError, log } from "../platform/log";
import { withTimeout } from "../platform/wait";
import {
  type Assignment,
  carriedUntil,
  type NodeFigures,
  RELAY_NODE_LOST,
  type RelayNodeAddress,
  type RelayNodeCalls,
} from "../session/relay-node";
import { endReasonOf, isFinal, type RelayUser, type Session } from "../session/session";
import { readPairedDevices } from "./device-admission";
import type { LoadedSession } from "./loaded-session";
import type { NodeDebt } from "./node-debt";

/** How many nodes are asked to take a session. */
const MAX_NODES_TRIED = 3;
/** A node's object that takes longer is not reached. It waits 2 s for its node itself. */
const CALL_TIMEOUT_MS = 3_000;
/** How long callers wait for a node to do what it is told. */
const TOLD_WAIT_MS = 2_000;
/** How long a reader waits for a node's figures. */
const FIGURES_WAIT_MS = 500;

interface NodeLinkContext {
  ctx: { waitUntil(work: Promise<unknown>): void };
  env: Env;
  /** Has D1 show the session's state: see `Announcer`. */
  ensureInD1(loaded: LoadedSession): Promise<boolean>;
  debt: NodeDebt;
}

/** A session that is to be placed. */
type Placeable = Pick<Session, "id" | "idleSeconds" | "expiresAt" | "users">;

export class NodeLink {
  readonly #object: NodeLinkContext;
  /** One stub for all calls: its calls arrive in their order. */
  #stub: { id: string; calls: RelayNodeCalls } | null = null;
  /** The newest change that was told. */
  #telling: Promise<number | null> = Promise.resolve(null);
  /** How often something was told: an older try gives up. */
  #changes = 0;
  /** When the node carries this session no longer, even if it cannot be told. */
  #carriedUntil = 0;

  constructor(object: NodeLinkContext) {
    this.#object = object;
  }

  /**
   * Places a session on the first of these nodes that takes it. Never throws.
   * @returns null when none did
   */
  async place(session: Placeable, nodeIds: readonly string[]): Promise<RelayNodeAddress | null> {
    for (const id of nodeIds.slice(0, MAX_NODES_TRIED)) {
      try {
        // Users with a device are told when D1 shows the session: see `#admittedDevices`.
        const result = await this.#call(id, (node) =>
          node.place(assignmentOf(session, NO_DEVICES, false), null),
        );
        if (result.ok) return result.node;
        log("relay node passed over", { node: id, session: session.id, code: result.code });
      } catch (error) {
        log("relay node unreachable", { node: id, error: describeError(error) });
        // It may have taken the session, and its answer was lost.
        this.letGo({ id }, session, "passed over");
      }
    }
    return null;
  }

  /** The session has changed: tells its node, if one carries it. Runs behind the caller: see `whenTold`. */
  tell(loaded: LoadedSession): void {
    const { session } = loaded;
    if (!session.node) return;
    // The node's object itself says that.
    if (session.status === "failed" && session.error === RELAY_NODE_LOST) {
      this.#object.debt.settle(loaded);
      return;
    }
    this.#carriedUntil = carriedUntil(session);
    this.#changes += 1;
    const change = this.#changes;
    // One after the other: what was read of devices before must not be sent after what was read later.
    this.#telling = this.#telling.then(() =>
      change === this.#changes ? this.#tellNow(loaded, change) : null,
    );
    this.#object.ctx.waitUntil(this.#telling);
  }

  /** Tells the node what it may not have been told. The object's alarm calls it. Never throws. */
  async tellIfOwed(loaded: LoadedSession): Promise<void> {
    if (!this.#object.debt.isOwed(loaded)) return;
    this.tell(loaded);
    await this.#telling;
  }

  /**
   * Waits until the node has done what it was told last, but 2 s at most.
   * @returns null when it has; else when it is done at the latest, Unix milliseconds
   */
  async whenTold(): Promise<number | null> {
    let waits = true;
    const newest = async () => {
      let telling: Promise<number | null>;
      let effectiveBy: number | null;
      do {
        telling = this.#telling;
        effectiveBy = await telling;
      } while (waits && telling !== this.#telling);
      return effectiveBy;
    };
    return withTimeout(TOLD_WAIT_MS, newest())
      .catch(() => this.#carriedUntil)
      .finally(() => {
        waits = false;
      });
  }

  /** Takes a session off a node that has taken it in vain. */
  letGo(node: Pick<RelayNodeAddress, "id">, session: Pick<Session, "id">, reason: string): void {
    const released = this.#callTwice(node.id, (calls) => calls.release(session.id, reason));
    this.#object.ctx.waitUntil(released.catch(() => undefined));
  }

  /** Tells the node that relay permissions have changed. */
  async tellPermissions({ session, permissions }: LoadedSession): Promise<void> {
    const known = permissions.snapshot(Date.now());
    if (!session.node || isFinal(session) || known === null) return;
    const telling = this.#callTwice(session.node.id, (node) => node.permissions(session.id, known));
    // If it fails, the node's permissions are void after 30 seconds, unless it reads them again.
    await telling.catch(() => undefined);
  }

  /** Tells the node whether somebody is on a websocket. */
  tellSockets(loaded: LoadedSession): void {
    const { session, hub } = loaded;
    if (!session.node || isFinal(session)) return;
    const isOpen = hub.size > 0;
    const telling = this.#callTwice(session.node.id, (node) => node.sockets(session.id, isOpen));
    // `update` says it too.
    const owe = () => this.#object.debt.owe(loaded, Date.now());
    this.#object.ctx.waitUntil(telling.catch(owe));
  }

  /** What the node has counted; null: no node carries the session, or it does not say within 500 ms. */
  async figures({ session }: LoadedSession): Promise<readonly NodeFigures[] | null> {
    if (!session.node || isFinal(session)) return null;
    const asking = this.#callTwice(session.node.id, (node) => node.figures(session.id));
    // Its object bounds the node; this bounds the object.
    return withTimeout(FIGURES_WAIT_MS, asking).catch(() => null);
  }

  async #tellNow(loaded: LoadedSession, change: number): Promise<number | null> {
    const { debt } = this.#object;
    try {
      const effectiveBy = await this.#send(loaded);
      if (change === this.#changes) debt.settle(loaded);
      return effectiveBy;
    } catch (error) {
      log("relay node not told", {
        session: loaded.session.id,
        node: loaded.session.node?.id,
        error: describeError(error),
      });
      debt.owe(loaded, Date.now());
      return carriedUntil(loaded.session);
    }
  }

  async #send(loaded: LoadedSession): Promise<number | null> {
    const devices = await this.#admittedDevices(loaded);
    // As it is now: it may have changed while that was read.
    const { session, hub, permissions } = loaded;
    if (!session.node) return null;
    const assignment = assignmentOf(session, devices, hub.size > 0);
    const known = permissions.snapshot(Date.now());
    return this.#callTwice(session.node.id, (node) =>
      isFinal(session)
        ? node.release(session.id, endReasonOf(session) ?? "")
        : node.update(assignment, known),
    );
  }

  /**
   * The devices of the session's users that may play now. As with websockets, D1 has to show the session
   * first: the code that revokes a device looks there for the sessions to tell.
   */
  async #admittedDevices(loaded: LoadedSession): Promise<ReadonlySet<string>> {
    const { session } = loaded;
    const ids = [...new Set(session.users.flatMap(({ deviceId }) => deviceId ?? []))];
    if (ids.length === 0 || isFinal(session)) return NO_DEVICES;
    if (!(await this.#object.ensureInD1(loaded))) return NO_DEVICES;
    return readPairedDevices(openDatabase(this.#object.env), session.organisationId, ids);
  }

  /** A call that may run twice. It is repeated once: the node's object may have died, and be there again. */
  async #callTwice<T>(id: string, call: (node: RelayNodeCalls) => Promise<T>): Promise<T> {
    return this.#call(id, call).catch(() => this.#call(id, call));
  }

  async #call<T>(id: string, call: (node: RelayNodeCalls) => Promise<T>): Promise<T> {
    try {
      return await withTimeout(CALL_TIMEOUT_MS, call(this.#callsOf(id)));
    } catch (error) {
      // A stub that has thrown stays broken.
      this.#stub = null;
      throw error;
    }
  }

  #callsOf(id: string): RelayNodeCalls {
    if (this.#stub?.id !== id) {
      const stub = this.#object.env.RELAY_NODES.getByName(id);
      this.#stub = { id, calls: stub as unknown as RelayNodeCalls };
    }
    return this.#stub.calls;
  }
}

const NO_DEVICES: ReadonlySet<string> = new Set();

/**
 * A session as a node is told of it. A user with a device is told only while that is paired.
 * @param devices those that are paired
 */
function assignmentOf(
  { id, idleSeconds, expiresAt, users }: Placeable,
  devices: ReadonlySet<string>,
  hasSockets: boolean,
): Assignment {
  const mayPlay = ({ deviceId }: RelayUser) => deviceId === null || devices.has(deviceId);
  const assigned = users
    .filter(mayPlay)
    .map(({ n, draw, connectionId }) => ({ n, draw, gated: connectionId !== null }));
  return { id, idleSeconds, expiresAt, users: assigned, hasSockets };
}
