/**
 * One session: the Durable Object around the machine. It loads, decides, stores the new state with
 * the events that are owed in one synchronous write, replies, and announces.
 *
 * Storage, in the object's own key-value store (no table: making one costs rows):
 * `session` the log (state and outbox), `traffic` the counters of closed sockets, `used` when a source
 * session was last used. A read of an object that has no session writes nothing.
 */
import { DurableObject } from "cloudflare:workers";
import { openDatabase } from "../db/open";
import { newEventId } from "../events/event";
import { sendEvents } from "../events/event-queue";
import { type Config, readConfig } from "../platform/config";
import { describeError, log } from "../platform/log";
import { withTimeout } from "../platform/wait";
import { closeSocket } from "../relay/participant";
import { PermissionsView } from "../relay/permissions-view";
import { CLOSE } from "../relay/protocol";
import { type Arrival, RelayHub } from "../relay/relay-hub";
import { loadSessionPermissions } from "../relay-permissions/load-permissions";
import type { DeviceCut } from "../session/device-revocation";
import {
  decide,
  type ExpiryReason,
  endedRefusal,
  isFinal,
  type RelayUser,
  type Session,
  type SessionCommand,
  type SessionEvent,
  type SessionFacts,
} from "../session/machine";
import { findAnnounced, projectSession } from "../session/projection";
import { drawUser, type SessionTokens, sessionTokens } from "../session/relay-tokens";
import type {
  SessionCalls,
  SessionResult,
  SessionView,
  Traffic,
  UserRequest,
} from "../session/session-calls";
import { type DrainRetry, Outbox, replay, type SessionLog } from "../session/session-outbox";
import {
  drainBackoffMs,
  dueAt,
  endDue,
  expiringAt,
  idleSlackMs,
  planAlarm,
} from "../session/timing";
import { sourceLearning } from "../sources/source-state";
import {
  Admission,
  type AdmissionRefusal,
  chooseProtocol,
  isSameToken,
  type Knock,
  readKnock,
  usersWithDevice,
  usersWithTokens,
} from "./admission";
import { type AdmittedDevice, readDevice } from "./device-admission";
import { Waiting } from "./outcome-waiters";

/** The caller waits this long for the announcement, so that a list right after shows the change. */
const ANNOUNCE_WAIT_MS = 2_000;
/** Reading relay permissions has failed when it takes longer: frames and joins wait for it. */
const PERMISSIONS_TIMEOUT_MS = 2_000;
/** A device may be revoked while it is read: then it is read again, so often at most. */
const MOST_DEVICE_READS = 5;
/** Counters of closed sockets are written at most this often; an eviction in between loses the rest. */
const TRAFFIC_SAVE_MS = 5_000;
/** The time of the last use is written at most this often; an eviction in between loses the rest. */
const USED_SAVE_MS = 60_000;

interface Held {
  log: SessionLog;
  session: Session;
  outbox: Outbox;
  tokens: SessionTokens;
  hub: RelayHub;
  permissions: PermissionsView;
  /**
   * When the session counts as idle if nobody calls and no socket is open, Unix milliseconds. Null:
   * not known, because the object was evicted and its alarm is lost or running.
   */
  idleAt: number | null;
  usedAt: number | null;
}

export class SessionObject extends DurableObject<Env> implements SessionCalls {
  readonly #config: Config;
  readonly #admission = new Admission();
  /** How many notices there were that a device has changed: what is read of one meanwhile is not relied on. */
  #cuts = 0;
  #held: Held | null = null;
  #alarmAt: number | null = null;
  #draining: Promise<void> | null = null;
  #trafficSavedAt = 0;
  #usedSavedAt = 0;
  readonly #waiting = new Waiting();
  /** No session can be made here any more: see `readOrClose`. */
  #closed = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#config = readConfig(env);
    const log = ctx.storage.kv.get<SessionLog>("session");
    if (!log) return;
    ctx.blockConcurrencyWhile(async () => {
      this.#alarmAt = await ctx.storage.getAlarm();
      this.#hold(log, null, log.retry?.idleAt ?? this.#alarmAt);
    });
  }

  /** Makes the session. Users beyond `maxUsers`, or a taken id, are refused. */
  async create(
    facts: SessionFacts,
    expiresAt: number,
    users: readonly UserRequest[],
    active: boolean,
  ): Promise<SessionResult> {
    if (this.#held || this.#closed) return { ok: false, refusal: { code: "exists" } };
    const now = Date.now();
    const tokens = sessionTokens(this.#config.secret, facts.id);
    const taken = new Set<number>();
    const drawn = users.map((user, n) => {
      const draw = drawUser(tokens, n, taken);
      taken.add(tokens.user({ n, draw }));
      return { ...user, draw };
    });
    const command = { type: "create", facts, expiresAt, users: drawn, active } as const;
    const decision = decide(null, command, now);
    if (!decision.ok) return decision;
    const events = decision.events.map((event) => ({ id: newEventId(now), event }));
    const log: SessionLog = { v: 1, base: null, events, retry: null };
    this.ctx.storage.transactionSync(() => this.ctx.storage.kv.put("session", log));
    const held = this.#hold(log, 0, now + facts.idleSeconds * 1_000);
    this.#arm();
    await this.#announce();
    return this.#view(held, held.session);
  }

  /**
   * The session as it is now. Costs no write, unless its end was due and not yet recorded.
   * @param organisationId null: whoever it belongs to (where the caller is yet to be established)
   */
  async read(organisationId: number | null): Promise<SessionResult> {
    const held = await this.#open(organisationId);
    if (!held) return { ok: false, refusal: { code: "not-found" } };
    // A relay is in use where it is asked for; whoever looks at a source session does not use it.
    if (held.session.kind === "relay") this.#touch(held, Date.now());
    return this.#view(held, held.session);
  }

  /**
   * As `read`, for who makes the session elsewhere if it is not here: then it cannot be made here any
   * more, by a twin that is still on its way. In memory only: the twin is at most moments behind.
   */
  async readOrClose(organisationId: number): Promise<SessionResult> {
    this.#closed = !this.#held;
    return this.read(organisationId);
  }

  /** The session once it is not pending any more, or as it is after so many milliseconds. */
  async outcome(organisationId: number, milliseconds: number): Promise<SessionResult> {
    const pending = await this.#open(organisationId);
    if (pending?.session.status === "pending") {
      await this.#waiting.wait(milliseconds);
      await this.#announce();
    }
    const held = await this.#open(organisationId);
    if (!held) return { ok: false, refusal: { code: "not-found" } };
    return this.#view(held, held.session);
  }

  /**
   * Its third party has accepted the credentials.
   * @param expiresAt when access ends there, Unix milliseconds; null: not known
   */
  async activate(organisationId: number, expiresAt: number | null): Promise<SessionResult> {
    return this.#command(organisationId, ({ session }) => ({
      type: "activate",
      expiresAt: expiresAt !== null && expiresAt < session.expiresAt ? expiresAt : null,
    }));
  }

  /** Its third party has not given access. */
  async fail(organisationId: number, error: string): Promise<SessionResult> {
    return this.#command(organisationId, () => ({ type: "fail", error }));
  }

  /** Says whether work may be done with the session now; if so, its idle clock restarts. */
  async use(organisationId: number): Promise<SessionResult> {
    const held = await this.#open(organisationId);
    if (!held) return { ok: false, refusal: { code: "not-found" } };
    const { session } = held;
    if (isFinal(session)) return { ok: false, refusal: endedRefusal(session) };
    if (session.status !== "active") {
      return { ok: false, refusal: { code: "not-active", status: session.status } };
    }
    const now = Date.now();
    held.usedAt = now;
    if (now - this.#usedSavedAt >= USED_SAVE_MS) {
      this.#usedSavedAt = now;
      this.ctx.storage.kv.put("used", now);
    }
    this.#touch(held, now);
    return this.#view(held, session);
  }

  /** Adds a user; they are the last of the answer's `users`, unless it is the repeat of a join. */
  async authorizeUser(organisationId: number, user: UserRequest): Promise<SessionResult> {
    return this.#command(organisationId, ({ session, tokens }) => {
      const taken = new Set(session.users.map((other) => tokens.user(other)));
      const draw = drawUser(tokens, session.nextUser, taken);
      return { type: "authorize-user", user: { ...user, draw } };
    });
  }

  /** Removes the user with this token, and closes their socket before the answer. */
  async revokeUser(organisationId: number, token: number): Promise<SessionResult> {
    return this.#command(organisationId, ({ session, tokens }) => {
      const user = session.users.find((other) => isSameToken(tokens.user(other), token));
      // An ordinal that no user has: the machine says what is wrong.
      return { type: "revoke-user", n: user?.n ?? -1 };
    });
  }

  /** Closes the sockets that a device has opened and may not keep. */
  async cutDevice(cut: DeviceCut): Promise<void> {
    const held = this.#held;
    if (held?.session.organisationId !== cut.organisationId) return;
    this.#cuts += 1;
    const theirs = held.session.users.filter(({ deviceId }) => deviceId === cut.deviceId);
    held.hub.cut(
      theirs.map(({ n }) => n),
      cut,
    );
  }

  /** Ends the session. `organisationId` null: whoever it belongs to (the root token, the sweep). */
  async expire(organisationId: number | null, reason: ExpiryReason): Promise<SessionResult> {
    return this.#command(organisationId, () => ({ type: "expire", reason }));
  }

  /** Notice that permissions of this session's connections may have changed: they are read again. */
  async permissionsChanged(organisationId: number): Promise<void> {
    const held = await this.#open(organisationId);
    if (held && !isFinal(held.session)) await held.permissions.refresh();
  }

  /**
   * For the sweep: ends what is due, announces what is owed and what is about to expire, sets a lost
   * alarm, repairs the row in D1.
   * @returns whether there is a session here at all
   */
  async poke(): Promise<boolean> {
    if (!this.#held) return false;
    const now = Date.now();
    this.#settle(this.#held, now);
    this.#warn(this.#held, now);
    this.#arm();
    await this.#drain(true);
    return true;
  }

  /** Forgets everything, for good: retention. Open sockets are closed. */
  async purge(): Promise<void> {
    this.#held?.hub.end("deleted");
    this.#held = null;
    this.#alarmAt = null;
    // Takes the alarm with it (compatibility date 2026-02-24 and later).
    await this.ctx.storage.deleteAll();
  }

  /**
   * Admits a websocket of the data plane: `…/server` for the host, `…/client` for everyone else. The
   * only use of `fetch`, since a websocket cannot be handed over by a method call. A refusal is JSON.
   */
  override async fetch(request: Request): Promise<Response> {
    const now = Date.now();
    const refused = (refusal: AdmissionRefusal) => Response.json(refusal);
    const held = await this.#open(null);
    if (!held) return refused({ code: "not-found" });
    if (isFinal(held.session)) return refused(endedRefusal(held.session));
    const knock = readKnock(request);
    const locked = this.#admission.locked(knock, held, now);
    if (locked) return refused(locked);
    // Before anything is read for it: who is not let in after all has cost that too. With a device token,
    // who it is turns out only then.
    const known = knock.deviceToken === null ? usersWithTokens(knock, held)[0] : undefined;
    const owed = known ? held.hub.payToJoin(known.n, now) : 0;
    if (owed > 0) return refused({ code: "over-limit", retryAfterSeconds: owed });
    for (let reads = 0; reads < MOST_DEVICE_READS; reads++) {
      const cuts = this.#cuts;
      const judged = await this.#judge(held, knock);
      // While it waited, anything may have happened.
      if (this.#held !== held) return refused({ code: "not-found" });
      if (isFinal(held.session)) return refused(endedRefusal(held.session));
      if (cuts !== this.#cuts) continue;
      if ("code" in judged) {
        const isWrong = judged.code === "wrong-token";
        return refused(isWrong ? this.#admission.refuse(knock, held, now) : judged);
      }
      const user = this.#choose(held, judged.users);
      if (!user) return refused({ code: "user-revoked" });
      const wait = known ? 0 : held.hub.payToJoin(user.n, Date.now());
      if (wait > 0) return refused({ code: "over-limit", retryAfterSeconds: wait });
      const arrival = { from: knock.from, pairing: judged.device?.pairing ?? null };
      return this.#join(held, user, arrival, chooseProtocol(request.headers));
    }
    return refused({ code: "device-not-read" });
  }

  override async webSocketMessage(ws: WebSocket, message: ArrayBuffer | string): Promise<void> {
    const ready = this.#held?.hub.whenReady(ws, Date.now());
    if (ready) await ready;
    const held = this.#held;
    if (!held) return;
    const now = Date.now();
    // Only the end of its life: idle it cannot be, with this socket open.
    if (now >= held.session.expiresAt && this.#settle(held, now)) return this.#announce();
    const before = held.hub.size;
    held.hub.receive(ws, message, now);
    if (held.hub.size < before) this.#left(held, now);
  }

  override async webSocketClose(ws: WebSocket, code: number): Promise<void> {
    // Without an answering close, clients wait ten seconds for a 1006 (2026-11).
    closeSocket(ws, code === 1005 || code === 1006 ? 1000 : code, "");
    this.#leave(ws);
  }

  override async webSocketError(ws: WebSocket): Promise<void> {
    this.#leave(ws);
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    const scheduledAt = info?.scheduledTime ?? this.#alarmAt;
    this.#alarmAt = null;
    const held = this.#held;
    if (!held) return;
    // Evicted since: what is left of the idle clock is the time for which this alarm was set.
    // An alarm for a retry says nothing of it; the retry's own time has come, early or late.
    const { retry } = held.log;
    if (retry) held.log = { ...held.log, retry: { ...retry, at: Math.min(retry.at, Date.now()) } };
    else held.idleAt ??= scheduledAt;
    try {
      this.#settle(held, Date.now());
      await this.#drain(false);
    } finally {
      // The platform gives up after six throws: the next alarm never depends on this one's success.
      this.#arm();
    }
  }

  #hold(log: SessionLog, announced: number | null, idleAt: number | null): Held {
    const session = replay(log);
    if (!session) throw new Error("a stored session has no events");
    const db = openDatabase(this.env);
    const outbox = new Outbox(
      {
        findAnnounced: (of) => findAnnounced(db, of),
        send: (events) => sendEvents(this.env.EVENTS, events),
        project: (of, version) =>
          projectSession(db, of, {
            announced: version,
            now: Date.now(),
            also: sourceLearning(db, of),
          }),
      },
      announced,
    );
    const saved = this.ctx.storage.kv.get<Map<number, Traffic>>("traffic") ?? new Map();
    const { organisationId, id: sessionId } = session;
    const permissions = new PermissionsView({
      users: () => (this.#held?.session ?? session).users,
      load: (host, clients) => {
        const query = { organisationId, sessionId, host, clients };
        return withTimeout(PERMISSIONS_TIMEOUT_MS, loadSessionPermissions(db, query));
      },
      changed: (cut) => this.#applyPermissions(cut),
    });
    const hub = new RelayHub(this.ctx.getWebSockets(), this.#config.relay, saved, permissions);
    const tokens = sessionTokens(this.#config.secret, session.id);
    // Read only where there can be one: a relay session costs no row for it.
    const usedAt = session.source ? (this.ctx.storage.kv.get<number>("used") ?? null) : null;
    this.#held = { log, session, outbox, tokens, hub, permissions, idleAt, usedAt };
    return this.#held;
  }

  /** The session for a caller, ended if that was due. Null also for another organisation's. */
  async #open(organisationId: number | null): Promise<Held | null> {
    const held = this.#held;
    if (!held || (organisationId !== null && held.session.organisationId !== organisationId)) {
      return null;
    }
    if (this.#settle(held, Date.now())) await this.#announce();
    return held;
  }

  async #command(
    organisationId: number | null,
    toCommand: (held: Held) => SessionCommand,
  ): Promise<SessionResult> {
    const held = await this.#open(organisationId);
    if (!held) return { ok: false, refusal: { code: "not-found" } };
    const now = Date.now();
    const decision = decide(held.session, toCommand(held), now);
    if (!decision.ok) return decision;
    const isRepeat = decision.events.length === 0;
    if (!isRepeat) this.#commit(held, decision.events, now);
    this.#touch(held, now);
    // As this command left it: others may change the session while this one is announced.
    const { session } = held;
    await this.#announce();
    return { ...this.#view(held, session), ...(isRepeat ? { isRepeat } : {}) };
  }

  /** Ends the session if its time is over; true if it did. Late alarms change nothing for callers. */
  #settle(held: Held, now: number): boolean {
    const end = endDue(held.session, held.hub.size > 0 ? null : held.idleAt, now);
    if (end === null) return false;
    const decision = decide(held.session, end, now);
    if (decision.ok) this.#commit(held, decision.events, now);
    return decision.ok;
  }

  /** Announces ahead of time that the session is about to expire. */
  #warn(held: Held, now: number): void {
    const at = expiringAt(held.session);
    if (at === null || now < at) return;
    const decision = decide(held.session, { type: "warn" }, now);
    if (decision.ok) this.#commit(held, decision.events, now);
  }

  /** Stores state and outbox in one write, then does to the sockets what the events mean. */
  #commit(held: Held, events: readonly SessionEvent[], now: number): void {
    const stored = events.map((event) => ({ id: newEventId(now), event }));
    const log = held.outbox.append(held.log, stored);
    const session = replay(log);
    if (!session) throw new Error("a stored session has no events");
    this.ctx.storage.transactionSync(() => this.ctx.storage.kv.put("session", log));
    held.log = log;
    held.session = session;
    for (const event of events) this.#applyToSockets(held, event);
    if (session.status !== "pending") this.#waiting.wake();
  }

  #applyToSockets(held: Held, event: SessionEvent): void {
    if (event.type === "session.user_revoked") {
      held.hub.close(event.n, CLOSE.revoked, "revoked");
    } else if (event.type === "session.expired") {
      held.hub.end(event.reason);
    } else if (event.type === "session.failed") {
      held.hub.end(event.error);
    }
  }

  /** Revokes the users whose connection was deleted, and lets the hub know that permissions moved. */
  #applyPermissions(cut: readonly number[]): void {
    const held = this.#held;
    if (!held) return;
    const now = Date.now();
    for (const n of cut) {
      const decision = decide(held.session, { type: "revoke-user", n }, now);
      if (decision.ok) this.#commit(held, decision.events, now);
    }
    held.hub.forgetRefusals(now);
    if (cut.length === 0) return;
    this.#left(held, now);
    void this.#announce();
  }

  /** Restarts the idle clock. */
  #touch(held: Held, now: number): void {
    if (isFinal(held.session)) return;
    held.idleAt = now + held.session.idleSeconds * 1_000;
    const { retry } = held.log;
    if (retry && held.idleAt > (retry.idleAt ?? 0)) {
      this.#setRetry(held, { ...retry, idleAt: this.#durableIdleAt(held) });
    }
    this.#arm();
  }

  /** What is stored of the idle clock: with slack, so that not every call has to store it. */
  #durableIdleAt({ idleAt, session }: Held): number | null {
    return idleAt === null ? null : idleAt + idleSlackMs(session.idleSeconds);
  }

  /** Sets the alarm if it has to move; one write if so. */
  #arm(): void {
    const held = this.#held;
    if (!held) return;
    const at = this.#nextAlarm(held);
    if (at === null) return;
    this.#alarmAt = at;
    void this.ctx.storage.setAlarm(at);
  }

  #nextAlarm({ session, hub, idleAt, log: { retry } }: Held): number | null {
    const clock = hub.size > 0 ? null : idleAt;
    if (!retry) return isFinal(session) ? null : planAlarm(session, clock, this.#alarmAt);
    // What is stored of the idle clock has its slack already. An early alarm is set again.
    const latest = isFinal(session) ? retry.at : Math.min(retry.at, dueAt(session, clock));
    return this.#alarmAt === null || this.#alarmAt > latest ? latest : null;
  }

  /** Announces, but keeps the caller no longer than the bound: the rest happens behind the answer. */
  async #announce(): Promise<void> {
    await withTimeout(ANNOUNCE_WAIT_MS, this.#drain(false)).catch(() => undefined);
  }

  /** Drains the outbox until it is empty or fails; a failure sets the alarm. Never throws. */
  #drain(reproject: boolean): Promise<void> {
    const held = this.#held;
    if (!held || (!reproject && !held.log.retry && held.outbox.isDrained(held.session))) {
      return Promise.resolve();
    }
    this.#draining ??= this.#drainAll(reproject);
    this.ctx.waitUntil(this.#draining);
    return this.#draining;
  }

  async #drainAll(reproject: boolean): Promise<void> {
    try {
      for (let again = reproject; this.#held; again = false) {
        const held = this.#held;
        if (!again && held.outbox.isDrained(held.session)) break;
        await held.outbox.drain(held.log, again);
      }
      if (this.#held?.log.retry) this.#setRetry(this.#held, null);
    } catch (error) {
      const held = this.#held;
      log("session outbox not drained", {
        session: held?.session.id,
        organisation: held?.session.organisationId,
        error: describeError(error),
      });
      if (held) this.#retryLater(held, Date.now());
    } finally {
      // In the turn in which the last event was seen to be announced: a later one starts a new drain.
      this.#draining = null;
    }
  }

  #retryLater(held: Held, now: number): void {
    const before = held.log.retry;
    // A command's own try in between neither brings the planned one forward nor puts it off.
    if (before && now < before.at) return;
    const attempt = (before?.attempt ?? -1) + 1;
    const at = now + drainBackoffMs(attempt);
    this.#setRetry(held, { attempt, at, idleAt: this.#durableIdleAt(held) });
  }

  #setRetry(held: Held, retry: DrainRetry | null): void {
    held.log = { ...held.log, retry };
    this.ctx.storage.kv.put("session", held.log);
    this.#arm();
  }

  #leave(ws: WebSocket): void {
    this.#held?.hub.leave(ws);
    if (this.#held) this.#left(this.#held, Date.now());
  }

  /** A socket has closed: its counters are kept, and after the last one the idle clock starts. */
  #left(held: Held, now: number): void {
    if (isFinal(held.session)) return;
    if (now - this.#trafficSavedAt >= TRAFFIC_SAVE_MS) this.#saveTraffic(held, now);
    if (held.hub.size === 0) this.#touch(held, now);
  }

  #saveTraffic(held: Held, now: number): void {
    if (held.hub.traffic.size === 0) return;
    this.#trafficSavedAt = now;
    this.ctx.storage.kv.put("traffic", new Map(held.hub.traffic));
  }

  /**
   * Who it may be that knocks, once it is known that they may be let in; or why they may not. Costs
   * nothing for a user without a device and a connection.
   */
  async #judge(
    held: Held,
    knock: Knock,
  ): Promise<{ users: readonly RelayUser[]; device: AdmittedDevice | null } | AdmissionRefusal> {
    let users =
      knock.deviceToken === null ? usersWithTokens(knock, held) : usersWithDevice(knock, held);
    if (users.length === 0) return { code: "wrong-token" };
    const isFree = (user: RelayUser) => user.deviceId === null && user.connectionId === null;
    if (users.every(isFree)) return { users, device: null };
    // Who revokes a device or deletes a connection finds its sessions in D1: they must not miss a
    // socket. So the device is read after D1 shows the session.
    if (!(await this.#isShown(held))) return { code: "session-not-shown" };
    const deps = { db: openDatabase(this.env), ctx: this.ctx };
    const device = await readDevice(deps, held.session, knock, users);
    if (device && "code" in device) return device;
    if (device) users = users.filter(({ deviceId }) => deviceId === device.id);
    // A join relies on no permission that was known before.
    const isConnection = users.some(({ connectionId }) => connectionId !== null);
    if (isConnection && !(await held.permissions.refresh()))
      return { code: "permissions-not-read" };
    return { users, device };
  }

  /** Of the users whom it may be, one who is still there, and if possible not connected yet. */
  #choose({ session, hub }: Held, users: readonly RelayUser[]): RelayUser | undefined {
    const still = users.filter(({ n }) => session.users.some((user) => user.n === n));
    return still.find(({ n }) => !hub.isConnected(n)) ?? still[0];
  }

  #join(held: Held, { n }: RelayUser, arrival: Arrival, protocol: string | null): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    held.hub.join(server, n, arrival, Date.now());
    const headers = protocol === null ? {} : { "Sec-WebSocket-Protocol": protocol };
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  /** Whether D1 shows the session as it is; if not, it is shown now, if that does not take too long. */
  async #isShown(held: Held): Promise<boolean> {
    if (!held.outbox.isShown(held.session)) await this.#announce();
    return held.outbox.isShown(held.session);
  }

  #view(held: Held, session: Session): Extract<SessionResult, { ok: true }> {
    const traffic: SessionView["traffic"] = {};
    for (const [n, figures] of held.hub.traffic) {
      traffic[n] = { ...figures, connected: held.hub.isConnected(n) };
    }
    return { ok: true, session, traffic, usedAt: held.usedAt };
  }
}
