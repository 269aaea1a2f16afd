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
import type { NodePermissions, NodeToken } from "../session/relay-node";
import { drawUserTokens, sessionTokens } from "../session/relay-tokens";
import { type ExpiryReason, isFinal } from "../session/session";
import type {
  JoiningUser,
  NewSession,
  SessionCalls,
  SessionResult,
  UserRequest,
} from "../session/session-calls";
import type { SessionJournal } from "../session/session-outbox";
import { Admission } from "./admission";
import { Announcer } from "./announcer";
import { idleTimeOnWaking, SessionClock } from "./clock";
import { ComingsAndGoings } from "./comings-and-goings";
import { CommandCalls, NOT_FOUND } from "./command-calls";
import { SessionCommands } from "./commands";
import { type KnownAtLoad, type LoadedSession, loadSession, viewOf } from "./loaded-session";
import { NodeDebt } from "./node-debt";
import { NodeLink } from "./node-link";
import { NodePlacement } from "./node-placement";
import { NodeReportCalls } from "./node-reports";
import { OutcomeWaiters } from "./outcome-waiters";
import { Removal } from "./removal";
import { SessionUsers } from "./session-users";
import { SessionSockets } from "./sockets";
import { UsageStore } from "./usage-store";

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
  readonly #calls: CommandCalls;
  readonly #users: SessionUsers;
  readonly #reports: NodeReportCalls;
  readonly #removal: Removal;
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
    const told = { outcomeWaiters: this.#outcomeWaiters, nodes: this.#nodes };
    this.#commands = new SessionCommands(ctx.storage, told);
    this.#announcer = new Announcer({ ctx, clock: this.#clock, current });
    const { relay: limits, secret } = this.#config;
    this.#admission = new Admission({ ctx, env, announcer: this.#announcer, limits, current });
    const parts = {
      ctx,
      commands: this.#commands,
      clock: this.#clock,
      usage: this.#usage,
      nodes: this.#nodes,
      announcer: this.#announcer,
      admission: this.#admission,
      current,
    };
    this.#sockets = new SessionSockets({ ...parts, presence: new ComingsAndGoings(parts) });
    this.#calls = new CommandCalls({ ...parts, sockets: this.#sockets });
    this.#reports = new NodeReportCalls(parts);
    this.#removal = new Removal({ ...parts, env, secret, forget: () => this.#forget() });
    this.#users = new SessionUsers({ ...parts, calls: this.#calls, secret });
    this.#placement = new NodePlacement({
      ...parts,
      mayCreate: () => this.#loaded === null && !this.#creationPrevented,
      load: (first) => this.#load(first, { announced: 0, idleAt: null }),
      tellSockets: (loaded) => this.#sockets.tellNode(loaded),
    });
    const journal = ctx.storage.kv.get<SessionJournal>("session");
    if (!journal) return;
    ctx.blockConcurrencyWhile(async () => {
      const alarmAt = await this.#clock.readAlarm();
      const idleAt = journal.retry?.idleAt ?? alarmAt;
      const loaded = this.#load(journal, { announced: null, idleAt });
      loaded.idleAt = idleTimeOnWaking(loaded, idleAt);
    });
  }

  async create(asked: NewSession): Promise<SessionResult> {
    if (this.#loaded || this.#creationPrevented) return { ok: false, refusal: { code: "exists" } };
    const { facts, expiresAt, nodes } = asked;
    const users = drawUserTokens(sessionTokens(this.#config.secret, facts.id), asked.users);
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
    const loaded = await this.#calls.currentFor(organisationId);
    // Reading a relay session is using it. Reading a source session is not.
    if (loaded?.session.kind === "relay") this.#clock.restartIdleTime(loaded, Date.now());
    return this.#calls.view(loaded);
  }

  async peek(organisationId: number): Promise<SessionResult> {
    return this.#calls.view(await this.#calls.currentFor(organisationId));
  }

  async readOrPreventCreation(organisationId: number): Promise<SessionResult> {
    // In memory only: the create that this prevents is at most moments behind.
    this.#creationPrevented = !this.#loaded;
    return this.read(organisationId);
  }

  async outcome(organisationId: number, milliseconds: number): Promise<SessionResult> {
    const pending = await this.#calls.currentFor(organisationId);
    if (pending?.session.status === "pending") {
      await this.#outcomeWaiters.wait(milliseconds);
      await this.#announcer.announce();
    }
    const loaded = await this.#calls.currentFor(organisationId);
    return loaded ? viewOf(loaded, loaded.session) : NOT_FOUND;
  }

  async activate(organisationId: number, expiresAt: number | null): Promise<SessionResult> {
    return this.#calls.run(organisationId, ({ session }) => ({
      type: "activate",
      expiresAt: expiresAt !== null && expiresAt < session.expiresAt ? expiresAt : null,
    }));
  }

  async fail(organisationId: number, error: string): Promise<SessionResult> {
    return this.#calls.run(organisationId, () => ({ type: "fail", error }));
  }

  async use(organisationId: number): Promise<SessionResult> {
    return this.#calls.use(organisationId);
  }

  async authorizeUser(organisationId: number, user: UserRequest): Promise<SessionResult> {
    return this.#users.authorize(organisationId, user);
  }

  async join(organisationId: number, user: JoiningUser): Promise<SessionResult> {
    return this.#users.join(organisationId, user);
  }

  async revokeUser(organisationId: number, token: number): Promise<SessionResult> {
    return this.#users.revoke(organisationId, token);
  }

  async assignHost(organisationId: number, token: number): Promise<SessionResult> {
    return this.#users.assignHost(organisationId, token);
  }

  async setJoinCode(organisationId: number, draw: number | null): Promise<SessionResult> {
    return this.#users.setJoinCode(organisationId, draw);
  }

  async closeDeviceSockets(revocation: DeviceRevocation): Promise<void> {
    return this.#users.closeDeviceSockets(revocation);
  }

  async expire(organisationId: number | null, reason: ExpiryReason): Promise<SessionResult> {
    return this.#calls.run(organisationId, () => ({ type: "expire", reason }));
  }

  async permissionsChanged(organisationId: number): Promise<void> {
    const loaded = await this.#calls.currentFor(organisationId);
    if (!loaded || isFinal(loaded.session)) return;
    if (await loaded.permissions.refresh()) await this.#nodes.tellPermissions(loaded);
  }

  async nodeLost(nodeId: string): Promise<void> {
    return this.#reports.nodeLost(nodeId);
  }

  async silentOnNode(nodeId: string): Promise<boolean> {
    return this.#reports.silentOnNode(nodeId);
  }

  async permissionsForNode(nodeId: string): Promise<NodePermissions | null> {
    return this.#reports.permissionsForNode(nodeId);
  }

  async nodeTokensChanged(nodeId: string, tokens: readonly NodeToken[]): Promise<void> {
    return this.#reports.nodeTokensChanged(nodeId, tokens);
  }

  async reconcile(): Promise<boolean> {
    if (!this.#loaded) return false;
    const now = Date.now();
    this.#commands.doWhatIsDue(this.#loaded, now);
    this.#commands.warnIfExpiring(this.#loaded, now);
    this.#clock.setAlarm(this.#loaded);
    this.#nodes.tell(this.#loaded);
    await this.#announcer.drain({ reproject: true });
    return true;
  }

  async purge(): Promise<void> {
    return this.#removal.purge();
  }

  async purgeEnded(): Promise<boolean> {
    return this.#removal.purgeEnded();
  }

  override async fetch(request: Request): Promise<Response> {
    return this.#sockets.upgrade(request, await this.#calls.currentFor(null));
  }

  override webSocketMessage(ws: WebSocket, message: ArrayBuffer | string): void | Promise<void> {
    return this.#sockets.message(ws, message);
  }

  override webSocketClose(ws: WebSocket, code: number): void {
    this.#sockets.closed(ws, code);
  }

  override webSocketError(ws: WebSocket): void {
    this.#sockets.forget(ws);
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    const now = Date.now();
    const loaded = this.#loaded;
    this.#clock.alarmRings(loaded, info?.scheduledTime, now);
    if (!loaded) return;
    try {
      this.#sockets.closeSilent(loaded, now);
      this.#commands.doWhatIsDue(loaded, now);
      await Promise.all([
        this.#nodes.tellIfOwed(loaded),
        this.#announcer.drain({ reproject: false }),
      ]);
      await this.#removal.purgeIfLongOver(now);
    } finally {
      // The platform gives up after six throws: the next alarm never depends on this one's success.
      if (this.#loaded) this.#clock.setAlarm(this.#loaded);
    }
  }

  #forget(): void {
    this.#loaded = null;
  }

  #load(journal: SessionJournal, known: KnownAtLoad): LoadedSession {
    const parts = { ctx: this.ctx, env: this.env, config: this.#config, usage: this.#usage };
    const permissionsRead = (users: readonly number[]) => this.#applyPermissions(users);
    this.#loaded = loadSession({ ...parts, permissionsRead }, journal, known);
    return this.#loaded;
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
