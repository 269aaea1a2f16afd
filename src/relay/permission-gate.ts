/**
 * Keeps the relay permissions between a session's users in its object's memory, and says whether a frame
 * may pass, so that no frame causes a read of D1. The hub asks it for every frame. It reads D1 when a user
 * with a connection joins, when the Worker reports a change, and when the permissions grow old while
 * frames flow. When they are too old, no frame passes. They are never stored: an object that wakes reads
 * them again, and the frames that woke it wait for that.
 */
import { describeError, log } from "../platform/log";
import { mayRelay, type PermissionState, permissionLookup } from "../relay-permissions/permission";

/** From this age on, a frame starts a new read, and does not wait for it. */
export const REFRESH_AFTER_MS = 20_000;
/** Above this age, no frame passes. So a change takes effect after at most 30 s, even if its notice is lost. */
export const MAX_AGE_MS = 30_000;
/** How soon after a failure the permissions may be read again. */
const RETRY_AFTER_MS = 1_000;
/** How many frames may wait at once, of at most 64 KB each. All others are judged by what is known. */
const MAX_WAITING = 256;

/** A user, as far as permissions go. */
interface User {
  readonly n: number;
  readonly connectionId: string | null;
}

/** Where the gate reads from, and what it calls. */
export interface PermissionGatePorts {
  /** The session's users now. The same array as long as they are the same. */
  users(): readonly User[];
  /** The ordinal of the session's host now. */
  host(): number;
  /** Reads the permissions between these connections; rejects when that takes too long. */
  load(
    host: string | null,
    clients: readonly string[],
  ): Promise<{
    permissions: readonly PermissionState[];
    /** Connections of the session's users that were deleted. */
    deletedConnections: readonly string[];
  }>;
  /** Called after each reading, with the users whose connection was deleted: they are to be revoked. */
  permissionsRead(usersToRevoke: readonly number[]): void;
}

export class PermissionGate {
  readonly #ports: PermissionGatePorts;
  /** When the reading began that gave these permissions, Unix milliseconds. */
  #readAt = Number.NEGATIVE_INFINITY;
  /** Who was the host then: they are between the host and the clients, and say nothing of another host. */
  #readForHost: number | null = null;
  #retryAt = Number.NEGATIVE_INFINITY;
  /** Clients to whom the host may send, and clients who may send to the host. */
  #toClient: ReadonlySet<number> = new Set();
  #toHost: ReadonlySet<number> = new Set();
  #users: readonly User[] = [];
  #connections: ReadonlyMap<number, string> = new Map();
  #running: Promise<boolean> | null = null;
  /** Who was the host when the reading began that runs. */
  #runningForHost: number | null = null;
  #next: Promise<boolean> | null = null;
  #waiting = 0;

  constructor(ports: PermissionGatePorts) {
    this.#ports = ports;
  }

  /**
   * Whether a frame may pass between these users. The hub asks it for every frame: it must cost nothing.
   * @param now Unix milliseconds
   */
  mayPass(from: number, to: number, now: number): boolean {
    const connections = this.#connectionsNow();
    if (!connections.has(from) || !connections.has(to)) return true;
    if (this.#ageAt(now) > MAX_AGE_MS) return false;
    return from === this.#ports.host() ? this.#toClient.has(to) : this.#toHost.has(from);
  }

  /** What is known now, for a relay node; null: nothing that may be relied on. */
  snapshot(now: number): { toClients: number[]; toHost: number[]; ageMs: number } | null {
    const ageMs = this.#ageAt(now);
    if (ageMs > MAX_AGE_MS) return null;
    return { toClients: [...this.#toClient], toHost: [...this.#toHost], ageMs };
  }

  /**
   * What a frame of this user has to wait for, so that it is judged by fresh permissions. Null: it need
   * not wait.
   */
  whenFresh(from: number, now: number): Promise<unknown> | null {
    const connections = this.#connectionsNow();
    if (!connections.has(from) || !connections.has(this.#ports.host()) || connections.size < 2)
      return null;
    const age = this.#ageAt(now);
    if (age <= REFRESH_AFTER_MS || now < this.#retryAt) return null;
    // A reading that began under another host says nothing: `refresh` has one more follow.
    const isOfNow = this.#runningForHost === this.#ports.host();
    const reading = isOfNow && this.#running !== null ? this.#running : this.refresh();
    if (age <= MAX_AGE_MS || this.#waiting >= MAX_WAITING) return null;
    this.#waiting += 1;
    return reading.finally(() => {
      this.#waiting -= 1;
    });
  }

  /**
   * Reads the permissions as they are now. One reading runs at a time, so that none overtakes another.
   * @returns false when they could not be read; what was known goes on ageing
   */
  refresh(): Promise<boolean> {
    if (this.#running === null) {
      this.#running = this.#read().finally(() => {
        this.#running = null;
      });
      return this.#running;
    }
    // The reading that runs may have seen D1 before the change that this call is about: one more follows.
    this.#next ??= this.#running.then(() => {
      this.#next = null;
      return this.refresh();
    });
    return this.#next;
  }

  async #read(): Promise<boolean> {
    const startedAt = Date.now();
    const connections = this.#connectionsNow();
    const hostOrdinal = this.#ports.host();
    this.#runningForHost = hostOrdinal;
    const host = connections.get(hostOrdinal) ?? null;
    const clients = [...connections].filter(([n]) => n !== hostOrdinal);
    try {
      const { permissions, deletedConnections } = await this.#ports.load(
        host,
        clients.map(([, connection]) => connection),
      );
      const isEnabled = permissionLookup(permissions);
      const allows = (from: string, to: string) => mayRelay(from, to, isEnabled).allowed;
      const ordinals = (fits: (connection: string) => boolean) =>
        new Set(clients.filter(([, connection]) => fits(connection)).map(([n]) => n));
      this.#toClient = ordinals((client) => host !== null && allows(host, client));
      this.#toHost = ordinals((client) => host !== null && allows(client, host));
      this.#readAt = startedAt;
      this.#readForHost = hostOrdinal;
      const isDeleted = ([, connection]: [number, string]) =>
        deletedConnections.includes(connection);
      this.#ports.permissionsRead([...connections].filter(isDeleted).map(([n]) => n));
      return true;
    } catch (error) {
      this.#retryAt = Date.now() + RETRY_AFTER_MS;
      log("permissions not read", { error: describeError(error) });
      return false;
    }
  }

  /**
   * How old the permissions are. If the clock went backwards, that is not known: as old as can be. So they
   * are if another user is the host since then.
   */
  #ageAt(now: number): number {
    const isVoid = now < this.#readAt || this.#readForHost !== this.#ports.host();
    return isVoid ? Number.POSITIVE_INFINITY : now - this.#readAt;
  }

  #connectionsNow(): ReadonlyMap<number, string> {
    const users = this.#ports.users();
    if (users !== this.#users) {
      this.#users = users;
      this.#connections = new Map(
        users.flatMap(({ n, connectionId }) => (connectionId === null ? [] : [[n, connectionId]])),
      );
    }
    return this.#connections;
  }
}
