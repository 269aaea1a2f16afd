/** The outbox as the Worker and its objects open it: with what follows from events of devices. */
import { type Database, openDatabase } from "../db/open";
import { EventOutbox } from "../events/event-outbox";
import { JournalClient } from "../events/journal-client";
import { SessionClient } from "../session/session-client";
import { closeSocketsForEvent } from "./close-sockets";

/** Opens the outbox of changes in D1. It costs nothing: nothing is called. */
export function openOutbox(
  env: Env,
  ctx: { waitUntil(promise: Promise<unknown>): void },
  db: Database = openDatabase(env),
): EventOutbox {
  const sessions = new SessionClient(env, ctx);
  return new EventOutbox({
    db,
    journals: new JournalClient(env),
    ctx,
    followUp: (event) => closeSocketsForEvent(db, sessions, event),
  });
}
