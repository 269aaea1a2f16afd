/**
 * The idle clock of a session, and the one alarm of its object. The alarm rings when the session has to
 * end, when a host who is gone is to be replaced, when announcing is to be tried again, or when the object of
 * a source session that has ended is to be removed.
 * `session/timing.ts` has the rules.
 */
import { hostMigrationAt } from "../session/host-migration";
import { hostOf, isFinal } from "../session/session";
import type { DrainRetry } from "../session/session-outbox";
import { dueAt, idleSlackMs, planAlarm, planRemoval } from "../session/timing";
import { type LoadedSession, seatUseOf } from "./loaded-session";

export class SessionClock {
  readonly #storage: DurableObjectStorage;
  /** When the alarm will ring, Unix milliseconds; null: none is set. */
  #alarmAt: number | null = null;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Reads when the alarm will ring, after the object has woken; null: none is set. */
  async readAlarm(): Promise<number | null> {
    this.#alarmAt = await this.#storage.getAlarm();
    return this.#alarmAt;
  }

  /** Forgets the alarm: it was deleted with everything else. */
  forgetAlarm(): void {
    this.#alarmAt = null;
  }

  /**
   * Takes note that the alarm rings now.
   * @param scheduledTime when the platform was to ring it; undefined: it does not say
   */
  alarmRings(loaded: LoadedSession | null, scheduledTime: number | undefined, now: number): void {
    const setFor = scheduledTime ?? this.#alarmAt;
    this.#alarmAt = null;
    if (!loaded) return;
    const { retry } = loaded.journal;
    // If a retry is planned, the alarm's time is not the idle time. The retry is due now.
    if (retry)
      loaded.journal = { ...loaded.journal, retry: { ...retry, at: Math.min(retry.at, now) } };
    // After an eviction, the time that this alarm was set for is what is left of the idle clock.
    else loaded.idleAt ??= idleTimeOfAlarm(loaded, setFor);
    // The node says when nobody is heard there. What this clock knew is over.
    if (loaded.session.node && loaded.idleAt !== null && loaded.idleAt <= now) loaded.idleAt = null;
  }

  /** Restarts the idle clock: the session is used, or its last socket has closed. Once it has ended, there is none. */
  restartIdleTime(loaded: LoadedSession, now: number): void {
    const { session, journal } = loaded;
    if (isFinal(session)) {
      this.setAlarm(loaded);
      return;
    }
    loaded.idleAt = now + session.idleSeconds * 1_000;
    if (journal.retry && loaded.idleAt > (journal.retry.idleAt ?? 0)) {
      this.storeRetry(loaded, { ...journal.retry, idleAt: storedIdleAt(loaded) });
    }
    this.setAlarm(loaded);
  }

  /** Plans the next try to announce, or to tell the relay node, after a failure. */
  retryAt(
    loaded: LoadedSession,
    at: number,
    attempt: number,
    { node = loaded.journal.retry?.node ?? false } = {},
  ): void {
    this.storeRetry(loaded, { attempt, at, idleAt: storedIdleAt(loaded), node });
  }

  /** Stores what is remembered while announcing fails (null: it works again), and sets the alarm for it. */
  storeRetry(loaded: LoadedSession, retry: DrainRetry | null): void {
    loaded.journal = { ...loaded.journal, retry };
    this.#storage.kv.put("session", loaded.journal);
    this.setAlarm(loaded);
  }

  /** Sets the alarm if it has to move; one write if so. */
  setAlarm(loaded: LoadedSession): void {
    const at = this.#nextAlarm(loaded);
    if (at === null) return;
    this.#alarmAt = at;
    void this.#storage.setAlarm(at);
  }

  /** The time to which the alarm has to move; null: it may stay where it is. */
  #nextAlarm(loaded: LoadedSession): number | null {
    const planned = this.#plannedAlarm(loaded);
    const hostAt = hostAlarmAt(loaded);
    const otherwise = planned ?? this.#alarmAt;
    return hostAt !== null && (otherwise === null || hostAt < otherwise) ? hostAt : planned;
  }

  /** As `#nextAlarm`, for all but the host. */
  #plannedAlarm({ session, hub, idleAt, journal: { retry } }: LoadedSession): number | null {
    const idle = hub.size > 0 ? null : idleAt;
    if (!retry && isFinal(session)) return planRemoval(session, this.#alarmAt);
    if (!retry) return planAlarm(session, idle, this.#alarmAt);
    // `retry.idleAt` already includes the slack. An early alarm is set again when it rings.
    const latest = isFinal(session) ? retry.at : Math.min(retry.at, dueAt(session, idle));
    return this.#alarmAt === null || this.#alarmAt > latest ? latest : null;
  }
}

/**
 * When the alarm has to ring because the host is gone, Unix milliseconds. Null: it need not. If nobody is
 * connected, whoever comes next becomes the host.
 */
function hostAlarmAt(loaded: LoadedSession): number | null {
  if (loaded.hub.size === 0) return null;
  return hostMigrationAt(loaded.session, seatUseOf(loaded, hostOf(loaded.session)));
}

/** `retry.idleAt` as it is stored: with slack, so that not every call has to store it. */
function storedIdleAt({ idleAt, session }: LoadedSession): number | null {
  return idleAt === null ? null : idleAt + idleSlackMs(session.idleSeconds);
}

/** When a session counts as idle whose object has woken, and knows nothing but when its alarm will ring. */
export function idleTimeOnWaking(loaded: LoadedSession, alarmAt: number | null): number | null {
  const idleAt = idleTimeOfAlarm(loaded, alarmAt);
  // On a node, an alarm for the end of the session's life says nothing of its last use.
  const { node, expiresAt } = loaded.session;
  return node && idleAt !== null && idleAt >= expiresAt ? null : idleAt;
}

/**
 * When a session counts as idle by the time for which its alarm was set, if nothing else is known.
 * An alarm for the host rings earlier; but when somebody left, the session was in use.
 */
function idleTimeOfAlarm(
  { session, departures }: LoadedSession,
  alarmAt: number | null,
): number | null {
  if (alarmAt === null || departures.last === null) return alarmAt;
  return Math.max(alarmAt, departures.last + session.idleSeconds * 1_000);
}
