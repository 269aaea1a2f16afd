/** Sessions as values: facts, users, events and states for a test, with what it changes. */

import { evolve } from "../../src/session/evolve";
import type { SessionCommand, SessionEvent } from "../../src/session/machine";
import { decide } from "../../src/session/machine";
import type { NewRelayUser, Session, SessionFacts } from "../../src/session/session";

/** When the sessions of these tests were created; a time that no clock shows. */
export const BORN_AT = 1_000_000_000;

/** The life of a session whose test does not say otherwise. */
export const TTL_MS = 3_600_000;

export function factsOf(changes: Partial<SessionFacts> = {}): SessionFacts {
  return {
    id: "0123456789ab-S",
    kind: "relay",
    organisationId: 7,
    keyId: 8,
    createdAt: BORN_AT,
    idleSeconds: 300,
    maxUsers: 3,
    origin: "https://relay.example.com",
    webhookUrl: null,
    metadata: null,
    region: null,
    joinCodeDraw: null,
    ...changes,
  };
}

/** A user as requested; the last part of the address tells users apart. */
export function userAt(host: number): NewRelayUser {
  return { draw: 0, ip: `192.0.2.${host}`, connectionId: null, deviceId: null };
}

/** The command that creates a session with so many users. */
export function creation(
  changes: Partial<SessionFacts> & { users?: number; active?: boolean; expiresAt?: number } = {},
): Extract<SessionCommand, { type: "create" }> {
  const { users = 1, active = true, expiresAt = BORN_AT + TTL_MS, ...facts } = changes;
  return {
    type: "create",
    facts: factsOf(facts),
    expiresAt,
    users: Array.from({ length: users }, (_, n) => userAt(n)),
    active,
  };
}

/**
 * The events that a command makes of a state.
 * @throws Error where it is refused
 */
export function eventsOf(
  state: Session | null,
  command: SessionCommand,
  now: number,
): readonly SessionEvent[] {
  const decision = decide(state, command, now);
  if (!decision.ok) throw new Error(`refused: ${decision.refusal.code}`);
  return decision.events;
}

/** The state after these commands, one second apart, each of which must be accepted. */
export function after(...commands: SessionCommand[]): Session {
  let state: Session | null = null;
  commands.forEach((command, seconds) => {
    const events: readonly SessionEvent[] = eventsOf(state, command, BORN_AT + seconds * 1_000);
    state = events.reduce<Session | null>(evolve, state);
  });
  if (state === null) throw new Error("no session was made");
  return state;
}
