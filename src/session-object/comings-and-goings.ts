/**
 * What follows for a session when users come and go: when they left is kept, the alarm is set for the time
 * at which a host who is gone is replaced, and then the host is replaced.
 */
import { mayLoseSeat } from "../session/seats";
import { hostOf, isFinal } from "../session/session";
import type { Announcer } from "./announcer";
import type { SessionClock } from "./clock";
import type { SessionCommands } from "./commands";
import { connectedUsers, type LoadedSession } from "./loaded-session";
import type { UsageStore } from "./usage-store";

/** The object whose users come and go, with the parts of it that this needs. */
interface PresenceContext {
  commands: SessionCommands;
  clock: SessionClock;
  usage: UsageStore;
  announcer: Announcer;
}

export class ComingsAndGoings {
  readonly #object: PresenceContext;

  constructor(object: PresenceContext) {
    this.#object = object;
  }

  /** A websocket has opened or closed. */
  socketsChanged(loaded: LoadedSession, now: number): void {
    const { session, departures } = loaded;
    if (isFinal(session)) return;
    const { usage, commands, clock, announcer } = this.#object;
    const left = departures.note(connectedUsers(loaded), now);
    const counting = left.filter((n) => isCountedFor(loaded, n));
    if (left.length > 0) usage.saveTraffic(loaded, counting, now);
    if (session.hostMigration === undefined) return;
    const host = hostOf(session);
    if (departures.isHere(host)) usage.saveHere(loaded, host, now);
    if (commands.migrateHostIfDue(loaded, now)) void announcer.announce();
    clock.setAlarm(loaded);
  }
}

/** Whether something is to happen some time after this user left. */
function isCountedFor({ session }: LoadedSession, n: number): boolean {
  // Whoever is made the host while they are away is replaced some time after they left.
  return mayLoseSeat(session, n) || session.hostMigration !== undefined;
}
