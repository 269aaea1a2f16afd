/**
 * One session: the Durable Object around its machine. For each call it loads the session, has the
 * machine decide, stores the new state with the events that are owed in one synchronous write, and
 * answers. `SessionCalls` says what each call does.
 *
 * Storage, in the object's own key-value store (no table: making one costs rows):
 * `session` the journal (state and outbox), `traffic` the counters of closed sockets, `used` when a source
 * session was last used. A read of an object that has no session writes nothing.
 */
import { DurableObject } from "cloudflare:workers";
import { type Config, readConfig } from "../platform/config";
import type { DeviceRevocation } from "../session/device-revocation";
import { endedRefusal, type SessionCommand } from "../session/machine";
import { type NodePermissions, RELAY_NODE_LOST } from "../session/relay-node";
import { drawUserToken, drawUserTokens, isSameToken, sessionTokens } from "../session/relay-tokens";
import { type ExpiryReason, isFinal } from "../session/session";
import type {
  NewSession,
  SessionCalls,
  SessionResult,
  UserRequest,
} from "../session/session-calls";
import type { SessionJournal } from "../session/session-outbox";
import { Admission } from "./admission";
import { Announcer } from "./announcer";
import { SessionClock } from "./clock";
import { SessionCommands } from "./commands";
import { type KnownAtLoad, type LoadedSession, loadSession, viewOf } from "./loaded-session";
import { NodeDebt } from "./node-debt";
import { NodeLink } from "./node-link";
import { NodePlacement } from "./node-placement";
import { OutcomeWaiters } from "./outcome-waiters";
import { SessionSockets } from "./sockets";
import { UsageStore } from "./usage-store";

const NOT_FOUND = { ok: false, refusal: { code: "not-found" } } as const;

export class SessionObject extends DurableObject<Env> implements SessionCalls {
  readonly #config: Config;
  readonly #clock: SessionClock;
  readonly #usage: UsageStore;
  readonly #announcer: Announcer;
  readonly #admission: Admission;
  readonly #sockets: SessionSockets;
  readonly #commands: SessionCommands;
  readonly #outcomeWaiters = new OutcomeWaiters();
  readonly #nodes: NodeLink;
  readonly #placement: NodePlacement;
  /** The session; null: there is none here. */
  #loaded: LoadedSession | null = null;
  /** True once no session can be made here any more: see `readOrPreventCreation`. */
  #creationPrevented = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#config = readConfig(env);
    this.#clock = new SessionClock(ctx.storage);
    this.#usage = new UsageStore(ctx.storage.kv);
    const ensureInD1 = (loaded: LoadedSession) => this.#announcer.ensureInD1(loaded);
    const current = () => this.#loaded;
    const debt = new NodeDebt({ clock: this.#clock, current });
    this.#nodes = new NodeLink({ ctx, env, ensureInD1, debt });
    const outcomeWaiters = this.#outcomeWaiters;
    this.#commands = new SessionCommands(ctx.storage, { outcomeWaiters, nodes: this.#nodes });
    this.#announcer = new Announcer({ ctx, clock: this.#clock, current });
    this.#admission = new Admission({
      ctx,
      env,
      announcer: this.#announcer,
      limits: this.#config.relay,
      current,
    });
    this.#sockets = new SessionSockets({
      ctx,
      admission: this.#admission,
      commands: this.#commands,
      clock: this.#clock,
      usage: this.#usage,
      nodes: this.#nodes,
      announcer: this.#announcer,
      current,
    });
    this.#placement = new NodePlacement({
      ctx,
      nodes: this.#nodes,
      commands: this.#commands,
      clock: this.#clock,
      announcer: this.#announcer,
      current,
      mayCreate: () => this.#loaded === null && !this.#creationPrevented,
      load: (first) => this.#load(first, { announced: 0, idleAt: null }),
      tellSockets: (loaded) => this.#sockets.tellNode(loaded),
    });
    const journal = ctx.storage.kv.get<SessionJournal>("session");
    if (!journal) return;
    ctx.blockConcurrencyWhile(async () => {
      const alarmAt = await this.#clock.readAlarm();
      const loaded = this.#load(journal, {
        announced: null,
        idleAt: journal.retry?.idleAt ?? alarmAt,
      });
      // On a node, an alarm for the end of the session's life says nothing of its last use.
      const { node, expiresAt } = loaded.session;
      if (node && loaded.idleAt !== null && loaded.idleAt >= expiresAt) loaded.idleAt = null;
    });
  }

  async create(asked: NewSession): Promise<SessionResult> {
    if (this.#loaded || this.#creationPrevented) return { ok: false, refusal: { code: "exists" } };
    const { facts, expiresAt, nodes } = asked;
    const tokens = sessionTokens(this.#config.secret, facts.id);
    const users = drawUserTokens(tokens, asked.users);
    const command = { type: "create", facts, expiresAt, users } as const;
    if (nodes) return this.#placement.create(command, nodes);
    const now = Date.now();
    const created = this.#commands.create({ ...command, active: asked.active }, now);
    if (!created.ok) return created;
    const idleAt = now + facts.idleSeconds * 1_000;
    const loaded = this.#load(created.journal, { announced: 0, idleAt });
    this.#clock.setAlarm(loaded);
    await this.#announcer.announce();
    return viewOf(loaded, loaded.session);
  }

  async read(organisationId: number | null): Promise<SessionResult> {
    const loaded = await this.#currentFor(organisationId);
    if (!loaded) return NOT_FOUND;
    // Reading a relay session is using it. Reading a source session is not.
    if (loaded.session.kind === "relay") this.#clock.restartIdleTime(loaded, Date.now());
    const { session } = loaded;
    if (!session.node || isFinal(session)) return viewOf(loaded, session);
    return viewOf(loaded, session, { figures: await this.#nodes.figures(loaded) });
  }

  async readOrPreventCreation(organisationId: number): Promise<SessionResult> {
    // In memory only: the create that this prevents is at most moments behind.
    this.#creationPrevented = !this.#loaded;
    return this.read(organisationId);
  }

  async outcome(organisationId: number, milliseconds: number): Promise<SessionResult> {
    const pending = await this.#currentFor(organisationId);
    if (pending?.session.status === "pending") {
      await this.#outcomeWaiters.wait(milliseconds);
      await this.#announcer.announce();
    }
    const loaded = await this.#currentFor(organisationId);
    return loaded ? viewOf(loaded, loaded.session) : NOT_FOUND;
  }

  async activate(organisationId: number, expiresAt: number | null): Promise<SessionResult> {
    return this.#command(organisationId, ({ session }) => ({
      type: "activate",
      expiresAt: expiresAt !== null && expiresAt < session.expiresAt ? expiresAt : null,
    }));
  }

  async fail(organisationId: number, error: string): Promise<SessionResult> {
    return this.#command(organisationId, () => ({ type: "fail", error }));
  }

  async use(organisationId: number): Promise<SessionResult> {
    const loaded = await this.#currentFor(organisationId);
    if (!loaded) return NOT_FOUND;
    const { session } = loaded;
    if (isFinal(session)) return { ok: false, refusal: endedRefusal(session) };
    if (session.status !== "active") {
      return { ok: false, refusal: { code: "not-active", status: session.status } };
    }
    const now = Date.now();
    loaded.usedAt = now;
    this.#usage.saveUsedAt(now);
    this.#clock.restartIdleTime(loaded, now);
    return viewOf(loaded, session);
  }

  async authorizeUser(organisationId: number, user: UserRequest): Promise<SessionResult> {
    return this.#command(organisationId, ({ session, tokens }) => {
      const taken = new Set(session.users.map((other) => tokens.user(other)));
      const draw = drawUserToken(tokens, session.nextUser, taken);
      return { type: "authorize-user", user: { ...user, draw } };
    });
  }

  async revokeUser(organisationId: number, token: number): Promise<SessionResult> {
    return this.#command(organisationId, ({ session, tokens }) => {
      const user = session.users.find((other) => isSameToken(tokens.user(other), token));
      // No user has -1: the machine says what is wrong.
      return { type: "revoke-user", n: user?.n ?? -1 };
    });
  }

  async closeDeviceSockets(revocation: DeviceRevocation): Promise<void> {
    const loaded = this.#loaded;
    if (loaded?.session.organisationId !== revocation.organisationId) return;
    this.#admission.deviceRevoked();
    const users = loaded.session.users.filter(({ deviceId }) => deviceId === revocation.deviceId);
    for (const { n } of users) loaded.hub.closeIfRevoked(n, revocation);
    if (users.length === 0 || !loaded.session.node) return;
    // It is read again whether they may play.
    this.#nodes.tell(loaded);
    await this.#nodes.whenTold();
  }

  async expire(organisationId: number | null, reason: ExpiryReason): Promise<SessionResult> {
    return this.#command(organisationId, () => ({ type: "expire", reason }));
  }

  async permissionsChanged(organisationId: number): Promise<void> {
    const loaded = await this.#currentFor(organisationId);
    if (!loaded || isFinal(loaded.session)) return;
    if (await loaded.permissions.refresh()) await this.#nodes.tellPermissions(loaded);
  }

  async nodeLost(nodeId: string): Promise<void> {
    const loaded = this.#onNode(nodeId);
    if (!loaded) return;
    const command = { type: "fail", error: RELAY_NODE_LOST } as const;
    if (this.#commands.run(loaded, command, Date.now()).ok) await this.#announcer.announce();
  }

  async silentOnNode(nodeId: string): Promise<boolean> {
    const loaded = this.#onNode(nodeId);
    if (!loaded || isFinal(loaded.session)) return false;
    const now = Date.now();
    if (loaded.hub.size > 0 || (loaded.idleAt !== null && now < loaded.idleAt)) return true;
    const command = { type: "expire", reason: "api" } as const;
    if (this.#commands.run(loaded, command, now).ok) await this.#announcer.announce();
    return false;
  }

  async permissionsForNode(nodeId: string): Promise<NodePermissions | null> {
    const loaded = this.#onNode(nodeId);
    if (!loaded || isFinal(loaded.session)) return null;
    return (await loaded.permissions.refresh()) ? loaded.permissions.snapshot(Date.now()) : null;
  }

  async reconcile(): Promise<boolean> {
    if (!this.#loaded) return false;
    const now = Date.now();
    this.#commands.endIfDue(this.#loaded, now);
    this.#commands.warnIfExpiring(this.#loaded, now);
    this.#clock.setAlarm(this.#loaded);
    this.#nodes.tell(this.#loaded);
    await this.#announcer.drain({ reproject: true });
    return true;
  }

  async purge(): Promise<void> {
    const session = this.#loaded?.session;
    this.#loaded?.hub.end("deleted");
    this.#loaded = null;
    if (session?.node && !isFinal(session)) this.#nodes.letGo(session.node, session, "deleted");
    this.#clock.forgetAlarm();
    // Takes the alarm with it (compatibility date 2026-02-24 and later).
    await this.ctx.storage.deleteAll();
  }

  override async fetch(request: Request): Promise<Response> {
    return this.#sockets.upgrade(request, await this.#currentFor(null));
  }

  override async webSocketMessage(ws: WebSocket, message: ArrayBuffer | string): Promise<void> {
    await this.#sockets.message(ws, message);
  }

  override async webSocketClose(ws: WebSocket, code: number): Promise<void> {
    this.#sockets.closed(ws, code);
  }

  override async webSocketError(ws: WebSocket): Promise<void> {
    this.#sockets.forget(ws);
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    const now = Date.now();
    const loaded = this.#loaded;
    this.#clock.alarmRings(loaded, info?.scheduledTime, now);
    if (!loaded) return;
    try {
      this.#sockets.closeSilent(loaded, now);
      this.#commands.endIfDue(loaded, now);
      await Promise.all([
        this.#nodes.tellIfOwed(loaded),
        this.#announcer.drain({ reproject: false }),
      ]);
    } finally {
      // The platform gives up after six throws: the next alarm never depends on this one's success.
      if (this.#loaded) this.#clock.setAlarm(this.#loaded);
    }
  }

  #load(journal: SessionJournal, known: KnownAtLoad): LoadedSession {
    const { ctx, env } = this;
    const config = this.#config;
    const usage = this.#usage;
    const permissionsRead = (users: readonly number[]) => this.#applyPermissions(users);
    this.#loaded = loadSession({ ctx, env, config, usage, permissionsRead }, journal, known);
    return this.#loaded;
  }

  /**
   * The current session, for a call of this organisation (null: of any). If its end was due, it is ended
   * first.
   * @returns null where there is none, or it belongs to another organisation
   */
  async #currentFor(organisationId: number | null): Promise<LoadedSession | null> {
    const loaded = this.#loaded;
    if (!loaded || (organisationId !== null && loaded.session.organisationId !== organisationId)) {
      return null;
    }
    const now = Date.now();
    this.#sockets.closeSilent(loaded, now);
    if (this.#commands.endIfDue(loaded, now)) await this.#announcer.announce();
    return loaded;
  }

  async #command(
    organisationId: number | null,
    toCommand: (loaded: LoadedSession) => SessionCommand,
  ): Promise<SessionResult> {
    const loaded = await this.#currentFor(organisationId);
    if (!loaded) return NOT_FOUND;
    const now = Date.now();
    const decision = this.#commands.run(loaded, toCommand(loaded), now);
    if (!decision.ok) return decision;
    const isRepeat = decision.events.length === 0;
    this.#clock.restartIdleTime(loaded, now);
    // As this command left it: others may change the session while this one is announced.
    const { session } = loaded;
    const [effectiveBy] = await Promise.all([
      isRepeat ? null : this.#nodes.whenTold(),
      this.#announcer.announce(),
    ]);
    return {
      ...viewOf(loaded, session, session.node ? { figures: null } : undefined),
      ...(isRepeat ? { isRepeat } : {}),
      ...(effectiveBy === null ? {} : { effectiveBy }),
    };
  }

  /** The session, if this relay node carries it. */
  #onNode(nodeId: string): LoadedSession | null {
    return this.#loaded?.session.node?.id === nodeId ? this.#loaded : null;
  }

  /** Runs after each reading of permissions: revokes these users, and tells the hub. */
  #applyPermissions(usersToRevoke: readonly number[]): void {
    const loaded = this.#loaded;
    if (!loaded) return;
    const now = Date.now();
    for (const n of usersToRevoke) {
      this.#commands.run(loaded, { type: "revoke-user", n }, now);
    }
    loaded.hub.forgetBlockedPeers(now);
    if (usersToRevoke.length === 0) return;
    this.#sockets.afterClosing(loaded, now);
    void this.#announcer.announce();
  }
}
