/**
 * The sweep, each minute: the net beneath alarms and queues, and what keeps tables from growing. It
 * finds what is due by index, in pages, and a run is bounded; what is left is found by the next one.
 */

import { type Database, openDatabase } from "../db/open";
import { sweepDeadLetters } from "../dead-letters/bury";
import { EventOutbox } from "../events/outbox";
import { sweepEvents } from "../events/store";
import { announceExpiringKeys } from "../keys/expiring";
import { removeOrganisationKeys } from "../keys/retention";
import { sweepIdempotencyKeys } from "../once/idempotency-keys";
import { sweepNonces } from "../once/nonces";
import { sweepSignedOut } from "../operators/store";
import {
  listDeletedOrganisations,
  listShareOfOrganisations,
  removeEmptyOrganisation,
} from "../organisations/store";
import { expireRequests } from "../pairing/endings";
import { removeDeviceData, sweepDeviceData } from "../pairing/retention";
import { sweepSetupCodes } from "../pairing/setup-codes";
import { type Config, readConfig } from "../platform/config";
import { describeError, log } from "../platform/log";
import { removePermissionsOf } from "../relay-permissions/retention";
import { SessionClient } from "../session/client";
import { sweepJoinCodes } from "../session/join-codes";
import type { SessionKind } from "../session/machine";
import {
  type DueSession,
  findDueSessions,
  findEndedBefore,
  forgetSession,
  listLiveSessions,
  type SessionKey,
} from "../session/projection";
import type { CheckMessage } from "../sources/checks";
import { removeSources } from "../sources/source-store";
import { sweepDeliveries } from "../webhooks/delivery-store";
import { removeEndpoints } from "../webhooks/endpoint-store";
import { sweepRecoveries } from "../webhooks/recovery";

/** Rows per page: a page of pokes takes about a second. */
const PAGE = 100;
/** Pages per kind of work and run, so that a run ends well before the next begins. */
const MOST_PAGES = 10;
/** Objects reached side by side. */
const AT_ONCE = 10;
/** Retention goes through all organisations once in this many runs. */
const SHARES = 60;
/** What is only deleted goes in larger pages: 50,000 rows a table, organisation and hour. */
const DELETE_PAGE = 2_000;
const MOST_DELETE_PAGES = 25;
const KINDS: readonly SessionKind[] = ["relay", "source"];
const DAY_MS = 86_400_000;
/** How long after its deletion something of an organisation may still arrive. */
const LATE_ARRIVALS_MS = 3_600_000;

interface Deps {
  db: Database;
  sessions: SessionClient;
  checks: Queue;
  config: Config;
}

/**
 * One run of the sweep.
 * @param scheduledAt the minute it stands for, Unix milliseconds: it picks the share of organisations
 */
export async function sweep(env: Env, ctx: ExecutionContext, scheduledAt: number): Promise<void> {
  const config = readConfig(env);
  const db = openDatabase(env);
  const deps = { db, sessions: new SessionClient(env, ctx), checks: env.CHECKS, config };
  const events = new EventOutbox(db, env.EVENTS, ctx);
  const now = Date.now();
  const cutoff = now - config.retentionDays * DAY_MS;
  // Each stands alone: one that fails is logged and must not keep the others from their work.
  await run("due sessions", () => sweepDueSessions(deps, now));
  await run("owed events", () => inPages(() => events.sweep(now, PAGE)));
  await run("expiring keys", () => inPages(() => announceExpiringKeys({ db, events }, now, PAGE)));
  await run("retention", () => sweepRetention(deps, cutoff, Math.floor(scheduledAt / 60_000)));
  await run("deleted organisations", () => sweepDeletedOrganisations(deps, now));
  await run("pairing requests", () => inPages(() => expireRequests({ db, events }, now, PAGE)));
  await run("setup codes", () => inPages(() => sweepSetupCodes(db, now, PAGE)));
  await run("nonces", () => deleteInPages((limit) => sweepNonces(db, now, limit)));
  await run("join codes", () => inPages(() => sweepJoinCodes(deps.db, now, PAGE)));
  await run("signed-out tokens", () => inPages(() => sweepSignedOut(deps.db, now, PAGE)));
  await run("idempotency keys", () => inPages(() => sweepIdempotencyKeys(deps.db, now, PAGE)));
  await run("dead letters", () => inPages(() => sweepDeadLetters(deps.db, cutoff, PAGE)));
}

async function run(work: string, job: () => Promise<unknown>): Promise<void> {
  try {
    await job();
  } catch (error) {
    log("sweep failed", { work, error: describeError(error) });
  }
}

/** Repeats a job that does a page and says how many it did; true once a page was not full. */
async function inPages(page: () => Promise<number>): Promise<boolean> {
  for (let i = 0; i < MOST_PAGES; i++) if ((await page()) < PAGE) return true;
  return false;
}

/** The same for one that only deletes so many rows. */
async function deleteInPages(page: (limit: number) => Promise<number>): Promise<boolean> {
  for (let i = 0; i < MOST_DELETE_PAGES; i++) {
    if ((await page(DELETE_PAGE)) < DELETE_PAGE) return true;
  }
  return false;
}

async function sweepDueSessions(deps: Deps, now: number): Promise<void> {
  let after: DueSession | null = null;
  for (let i = 0; i < MOST_PAGES; i++) {
    const due: DueSession[] = await findDueSessions(deps.db, now, after, PAGE);
    await sideBySide(due, async (key) => {
      const known = await deps.sessions.poke(key.id);
      // A row whose object holds nothing stands for nothing.
      if (!known) await forgetSession(deps.db, key);
    });
    await sendChecks(deps, due);
    after = due.at(-1) ?? null;
    if (due.length < PAGE) return;
  }
}

/** Source sessions that are due may be due for a check by their connector: who consumes it knows. */
async function sendChecks({ checks }: Deps, due: readonly DueSession[]): Promise<void> {
  const messages = due
    .filter(({ checked }) => checked)
    .map(({ organisationId, id }) => ({
      body: { v: 1, organisationId, sessionId: id } satisfies CheckMessage,
    }));
  if (messages.length > 0) await checks.sendBatch(messages);
}

async function sweepRetention(deps: Deps, cutoff: number, minute: number): Promise<void> {
  let after = 0;
  for (let i = 0; i < MOST_PAGES; i++) {
    const share = { remainder: minute % SHARES, shares: SHARES, after, limit: PAGE };
    const ids = await listShareOfOrganisations(deps.db, share);
    await sideBySide(ids, (id) => sweepOrganisation(deps, id, cutoff));
    after = ids.at(-1) ?? 0;
    if (ids.length < PAGE) return;
  }
}

/** Removes what ended before `cutoff`; true when nothing of that is left. */
async function sweepOrganisation(
  { db, sessions }: Deps,
  organisationId: number,
  cutoff: number,
): Promise<void> {
  for (const kind of KINDS) {
    await inPages(async () => {
      const ended = await findEndedBefore(db, { organisationId, kind, cutoff, limit: PAGE });
      await sideBySide(ended, (key) => removeSession(db, sessions, key));
      return ended.length;
    });
  }
  // Events after what tells of their delivery: that is of no use without them.
  if (await deleteInPages((limit) => sweepDeliveries(db, organisationId, cutoff, limit))) {
    await deleteInPages((limit) => sweepEvents(db, organisationId, cutoff, limit));
  }
  await deleteInPages((limit) => sweepRecoveries(db, organisationId, cutoff, limit));
  await inPages(() => sweepDeviceData(db, organisationId, cutoff, PAGE));
}

/** The object first: its row is what finds it again if that fails. */
async function removeSession(
  db: Database,
  sessions: SessionClient,
  key: SessionKey,
): Promise<void> {
  await sessions.purge(key.id);
  await forgetSession(db, key);
}

/**
 * Ends and removes all that deleted organisations had. What was on its way when they were deleted
 * (a message on a queue, a call with a key that an isolate still trusted) arrives in the hour after,
 * and goes like the rest: then the organisation itself does.
 */
async function sweepDeletedOrganisations(deps: Deps, now: number): Promise<void> {
  const { db, sessions } = deps;
  for (const { id: organisationId, deletedAt } of await listDeletedOrganisations(db, PAGE)) {
    await removeOrganisationKeys(db, organisationId);
    for (const kind of KINDS) {
      await inPages(async () => {
        const query = { organisationId, kind, offset: 0, limit: PAGE, now: 0 };
        const live = (await listLiveSessions(db, query)).sessions;
        await sideBySide(live, (key) => removeSession(db, sessions, key));
        return live.length;
      });
    }
    await sweepOrganisation(deps, organisationId, Number.MAX_SAFE_INTEGER);
    const emptied = await inPages(() => removePermissionsOf(db, organisationId, PAGE));
    await inPages(() => removeSources(db, organisationId, PAGE));
    await removeEndpoints(db, organisationId);
    await removeDeviceData(db, organisationId, PAGE, MOST_PAGES);
    const isOld = deletedAt < now - LATE_ARRIVALS_MS;
    if (emptied && isOld) await removeEmptyOrganisation(db, organisationId);
  }
}

async function sideBySide<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  for (let i = 0; i < items.length; i += AT_ONCE) {
    const done = await Promise.allSettled(items.slice(i, i + AT_ONCE).map(work));
    for (const one of done) {
      if (one.status === "rejected") {
        log("sweep item failed", { error: describeError(one.reason) });
      }
    }
  }
}
