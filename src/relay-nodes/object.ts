/**
 * One relay node: the Durable Object at the other end of its link. It gives the node its sessions, again
 * after each reconnect; asks and tells it what sessions' objects want to know and to change; and finds out
 * when it is lost. While nothing changes it sleeps: the platform answers the node's pings.
 *
 * Its alarm rings 25 s after the node was last heard, and so about every 20 s while it is linked: one row.
 */
import { DurableObject } from "cloudflare:workers";
import { openDatabase } from "../db/open";
import { type DomainEvent, newEventId } from "../events/event";
import { EventOutbox } from "../events/event-outbox";
import type { EventType } from "../events/event-types";
import { type Config, readConfig } from "../platform/config";
import { describeError, log } from "../platform/log";
import { closeSocket } from "../relay/participant";
import type {
  Assignment,
  NodeFigures,
  NodePermissions,
  NodeReports,
  PlacementResult,
  RelayNodeCalls,
} from "../session/relay-node";
import { sessionTokens } from "../session/relay-tokens";
import {
  type AssignedSession,
  BLIND_SECONDS,
  type FromNode,
  type Hello,
  LINK_PING,
  LINK_PONG,
  LINK_PROTOCOL,
  type LinkPermissions,
  type NodeLoad,
  PING_SECONDS,
  parseFromNode,
  type ToNode,
} from "./link-protocol";
import {
  isOpen,
  type LinkAttachment,
  markClosed,
  readLink,
  refuseLink,
  sendToNode,
} from "./link-socket";
import { capacityOf, DEFAULT_CAPACITY, type RelayNodeEventData, SHARED } from "./node";
import type { LinkRequest, NodeAdministration } from "./node-calls";
import { Assignments, type NodeRecord } from "./node-record";
import { reportNode } from "./node-store";
import { type NodeAnswer, PendingAnswers } from "./pending-answers";

/** A node that does not take a session in this time is passed over. */
const PLACE_MS = 1_500;
/** How long callers wait for what a node is told. */
const TELL_MS = 2_000;
/** How long a reader waits for a node's figures. */
const ASK_MS = 500;
/** A link on which nothing was heard for so long is closed. */
const UNHEARD_MS = 25_000;
/** A node is lost so long after its link was. */
const LOST_AFTER_MS = BLIND_SECONDS * 1_000;
/** How soon what failed is tried again. */
const TRY_AGAIN_MS = 10_000;
/** How many sessions are told in one go that their node is lost, and how many of these at once. */
const SESSIONS_PER_RUN = 500;
const SESSIONS_AT_ONCE = 50;
/** A share of the capacity: D1 is told when the fill has changed by so much. */
const FILL_STEP = 1 / 8;
/** D1 is told of the load this often at most. */
const LOAD_EVERY_MS = 60_000;
/** How long an assignment outlives its session: the object of the session takes it away before. */
const STALE_MS = 60_000;

const PONG = new WebSocketRequestResponsePair(LINK_PING, LINK_PONG);

export class RelayNodeObject
  extends DurableObject<Env>
  implements RelayNodeCalls, NodeAdministration
{
  readonly #config: Config;
  readonly #assignments: Assignments;
  readonly #pending = new PendingAnswers();
  #record: NodeRecord | null;
  /** When a message came on the link, pings apart. Unix milliseconds. */
  #heardAt = 0;
  /** The writing to D1 that runs. */
  #reporting: Promise<void> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#config = readConfig(env);
    this.#assignments = new Assignments(ctx.storage.kv);
    this.#record = ctx.storage.kv.get<NodeRecord>("node") ?? null;
    ctx.setWebSocketAutoResponse(PONG);
  }

  async place(
    assignment: Assignment,
    permissions: NodePermissions | null,
  ): Promise<PlacementResult> {
    const record = this.#record;
    const node = this.#address();
    if (!record || !node || !this.#link()) return { ok: false, code: "offline" };
    if (record.draining || record.settings.drained) return { ok: false, code: "draining" };
    if (this.#assignments.count >= this.#capacity()) return { ok: false, code: "full" };
    this.#assignments.put(assignment);
    const answer = await this.#ask(PLACE_MS, (ref) => ({
      type: "assign",
      ref,
      session: this.#toAssigned(assignment, permissions),
    }));
    if (answer?.type === "done") {
      this.#fillChanged();
      return { ok: true, node };
    }
    this.#drop(assignment.id, "not taken");
    const refused = answer?.type === "failed" ? answer.code : null;
    const code = refused === "full" || refused === "draining" ? refused : "unanswered";
    return { ok: false, code };
  }

  async update(
    assignment: Assignment,
    permissions: NodePermissions | null,
  ): Promise<number | null> {
    if (!this.#assignments.has(assignment.id)) return null;
    this.#assignments.put(assignment);
    const session = this.#toAssigned(assignment, permissions);
    return this.#tell((ref) => ({ type: "assign", ref, session }));
  }

  async release(sessionId: string, reason: string): Promise<number | null> {
    if (!this.#assignments.delete(sessionId)) return null;
    this.#fillChanged();
    return this.#tell((ref) => ({ type: "end", ref, id: sessionId, reason }));
  }

  async permissions(sessionId: string, permissions: NodePermissions): Promise<number | null> {
    if (!this.#assignments.has(sessionId)) return null;
    const known = toLinkPermissions(permissions);
    return this.#tell((ref) => ({ type: "permissions", ref, id: sessionId, ...known }));
  }

  async sockets(sessionId: string, open: boolean): Promise<void> {
    if (!this.#assignments.setHasSockets(sessionId, open)) return;
    const link = this.#link();
    if (link) sendToNode(link, { type: "trunk", id: sessionId, open });
  }

  async figures(sessionId: string): Promise<readonly NodeFigures[] | null> {
    if (!this.#assignments.has(sessionId)) return null;
    const answer = await this.#ask(ASK_MS, (ref) => ({ type: "figures", ref, id: sessionId }));
    if (answer?.type !== "figures") return null;
    return answer.users.map(({ bytes_in, bytes_out, ...user }) => ({
      ...user,
      bytesIn: bytes_in,
      bytesOut: bytes_out,
    }));
  }

  async load(): Promise<NodeLoad | null> {
    const answer = await this.#ask(ASK_MS, (ref) => ({ type: "load", ref }));
    if (answer?.type !== "load") return null;
    const { type: _type, ref: _ref, ...load } = answer;
    return load;
  }

  async drain(drained: boolean): Promise<void> {
    const record = this.#record;
    if (!record) return;
    this.#change({ settings: { ...record.settings, drained } });
    for (const ws of this.ctx.getWebSockets()) {
      const attached = readLink(ws);
      if (!attached) continue;
      const settings = { ...attached.settings, drained };
      ws.serializeAttachment({ ...attached, settings } satisfies LinkAttachment);
    }
    const link = this.#link();
    if (!link) return;
    sendToNode(link, { type: "drain", draining: drained });
    this.#showLinked();
    await this.#reporting;
  }

  async tokenRotated(digest: string, graceMs: number): Promise<void> {
    for (const ws of this.ctx.getWebSockets()) {
      const link = readLink(ws);
      if (!link || link.closed || link.tokenDigest === digest) continue;
      const until = Math.min(link.tokenUntil ?? Number.POSITIVE_INFINITY, Date.now() + graceMs);
      ws.serializeAttachment({ ...link, tokenUntil: until } satisfies LinkAttachment);
    }
    this.#closeWithEndedToken(Date.now());
    this.#setAlarm(Date.now());
  }

  async remove(): Promise<void> {
    const message = "This relay node was deleted. Make another one, and use its token.";
    for (const ws of this.ctx.getWebSockets())
      refuseLink(ws, "removed", { code: "removed", message });
    this.#pending.giveUp();
    if (!this.#record) return this.#forget();
    this.#change({ removed: true, status: "lost", downSince: null, owed: null });
    await this.#failSessions();
  }

  override async fetch(request: Request): Promise<Response> {
    const asked: LinkRequest = JSON.parse(request.headers.get("Drawbridge-Node") ?? "null");
    const now = Date.now();
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    const link: LinkAttachment = { ...asked, since: now, greeted: false, closed: false };
    server.serializeAttachment(link);
    // Closes it if it never says hello.
    this.#setAlarm(now);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(ws: WebSocket, message: ArrayBuffer | string): Promise<void> {
    const now = Date.now();
    const link = readLink(ws);
    if (!link || link.closed) return;
    this.#closeWithEndedToken(now);
    if (!isOpen(ws)) return;
    const parsed =
      typeof message === "string"
        ? parseFromNode(message)
        : ({ type: "malformed", problem: "a binary message" } as const);
    if (parsed === null) return;
    if (parsed.type === "malformed") {
      log("relay node sent a malformed message", {
        node: link.settings.id,
        problem: parsed.problem,
      });
      const text = `A message was malformed: ${parsed.problem}.`;
      this.#closeLink(ws, "malformed", { code: "malformed", message: text }, now);
      return;
    }
    if (!link.greeted) {
      if (parsed.type === "hello") {
        this.#greet(ws, link, parsed, now);
        return;
      }
      const text = "The first message of a link is hello.";
      this.#closeLink(ws, "malformed", { code: "malformed", message: text }, now);
      return;
    }
    this.#heardAt = now;
    await this.#receive(ws, parsed, now);
  }

  override async webSocketClose(ws: WebSocket, code: number): Promise<void> {
    closeSocket(ws, code === 1005 || code === 1006 ? 1000 : code, "");
    this.#gone(ws, Date.now());
  }

  override async webSocketError(ws: WebSocket): Promise<void> {
    this.#gone(ws, Date.now());
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    try {
      this.#closeWithEndedToken(now);
      this.#closeUnheard(now);
      if (this.#record?.removed) return await this.#failSessions();
      this.#noticeLostLink(now);
      const downSince = this.#record?.downSince ?? null;
      if (downSince !== null && now >= downSince + LOST_AFTER_MS) this.#lose(now);
      if (this.#record?.status === "lost") await this.#failSessions();
      if (this.#record?.owed) await this.#report();
    } catch (error) {
      log("relay node's alarm failed", { error: describeError(error) });
    } finally {
      // The platform gives up after six throws: the next alarm never depends on this one's success.
      this.#setAlarm(now);
    }
  }

  #greet(ws: WebSocket, link: LinkAttachment, hello: Hello, now: number): void {
    if (hello.protocol !== LINK_PROTOCOL) {
      const old = hello.protocol < LINK_PROTOCOL;
      const code = old ? "node-too-old" : "node-too-new";
      const message = old
        ? `This relay node speaks version ${hello.protocol} of the link's protocol, and Drawbridge version ${LINK_PROTOCOL}. Update the relay node.`
        : `This relay node speaks version ${hello.protocol} of the link's protocol, and Drawbridge version ${LINK_PROTOCOL}. Update Drawbridge, or use an older relay node.`;
      this.#closeLink(ws, "wrongProtocol", { code, message }, now);
      return;
    }
    for (const other of this.ctx.getWebSockets()) {
      if (other === ws || !isOpen(other) || !readLink(other)?.greeted) continue;
      const message =
        "Another process has linked with this relay node's token, and takes its place.";
      refuseLink(other, "replaced", { code: "replaced", message });
    }
    this.#pending.giveUp();
    ws.serializeAttachment({ ...link, greeted: true, since: now } satisfies LinkAttachment);
    this.#heardAt = now;
    const before = this.#record;
    const { host, ip = null, ports, version, capacity = null } = hello;
    const facts = {
      version,
      host,
      ip,
      serverPort: ports.server,
      clientPort: ports.client,
      capacity,
    };
    const { latitude, longitude, settings } = link;
    this.#record = {
      status: before?.status ?? "never-connected",
      fill: before?.fill ?? 0,
      load: before?.load ?? null,
      owed: before?.owed ?? null,
      removed: before?.removed ?? false,
      settings,
      draining: hello.draining ?? false,
      facts,
      latitude,
      longitude,
      seenAt: now,
      downSince: null,
    };
    this.ctx.storage.kv.put("node", this.#record);
    this.#welcome(ws, this.#record);
    this.#giveSessions(ws, hello.sessions, now);
    this.#showLinked(hasOtherFacts(before, this.#record));
    this.#setAlarm(now);
  }

  #welcome(ws: WebSocket, { settings, draining }: NodeRecord): void {
    const { bytesPerSecond, burstBytes, messagesPerSecond, burstMessages } = this.#config.relay;
    sendToNode(ws, {
      type: "welcome",
      protocol: LINK_PROTOCOL,
      node_id: settings.id,
      ping_seconds: PING_SECONDS,
      blind_seconds: BLIND_SECONDS,
      limits: {
        bytes_per_second: bytesPerSecond,
        burst_bytes: burstBytes,
        messages_per_second: messagesPerSecond,
        burst_messages: burstMessages,
      },
      draining: draining || settings.drained,
    });
  }

  /** Gives a node that has just linked all its sessions, and takes from it what it should not have. */
  #giveSessions(ws: WebSocket, carried: readonly string[], now: number): void {
    for (const assignment of this.#assignments.all()) {
      if (assignment.expiresAt + STALE_MS < now) {
        this.#assignments.delete(assignment.id);
        continue;
      }
      // Permissions are not known here: a node that has frames asks for them.
      const session = this.#toAssigned(assignment, null);
      sendToNode(ws, { type: "assign", ref: crypto.randomUUID(), session });
    }
    for (const id of carried) {
      if (this.#assignments.has(id)) continue;
      sendToNode(ws, { type: "end", ref: crypto.randomUUID(), id, reason: "not on this node" });
    }
  }

  async #receive(ws: WebSocket, message: FromNode, now: number): Promise<void> {
    switch (message.type) {
      case "hello":
        return;
      case "done":
      case "failed":
      case "figures":
        return this.#pending.answer(message);
      case "load":
        return message.ref ? this.#pending.answer(message) : this.#saveLoad(message, now);
      case "silent":
        return this.#silent(message.id);
      case "permissions":
        return this.#sendPermissions(ws, message.id);
      case "draining":
        this.#change({ draining: true });
        return this.#showLinked();
      case "leaving":
        return this.#leave(ws, now);
    }
  }

  /** Nobody of this session is heard on the node: its object decides whether it ends. */
  async #silent(id: string): Promise<void> {
    const stays = this.#assignments.has(id) && (await this.#session(id).silentOnNode(this.#id()));
    if (!stays) this.#drop(id, "not on this node");
  }

  async #sendPermissions(ws: WebSocket, id: string): Promise<void> {
    if (!this.#assignments.has(id)) return;
    const permissions = await this.#session(id).permissionsForNode(this.#id());
    if (permissions === null || !isOpen(ws)) return;
    const ref = crypto.randomUUID();
    sendToNode(ws, { type: "permissions", ref, id, ...toLinkPermissions(permissions) });
  }

  /** The node ends now. */
  #leave(ws: WebSocket, now: number): void {
    markClosed(ws);
    closeSocket(ws, 1000, "left");
    this.#pending.giveUp();
    this.#lose(now);
    this.#setAlarm(now);
  }

  /** Takes a session off the node without waiting for it. */
  #drop(id: string, reason: string): void {
    if (this.#assignments.delete(id)) this.#fillChanged();
    const link = this.#link();
    if (link) sendToNode(link, { type: "end", ref: crypto.randomUUID(), id, reason });
  }

  /** Asks the node something. Null: no answer came in time, or there is no link. */
  async #ask(
    milliseconds: number,
    toQuestion: (ref: string) => ToNode,
  ): Promise<NodeAnswer | null> {
    const link = this.#link();
    if (!link) return null;
    return this.#pending.wait(milliseconds, (ref) => sendToNode(link, toQuestion(ref)));
  }

  /** Tells the node something that it must not miss: see `RelayNodeCalls.update`. */
  async #tell(toMessage: (ref: string) => ToNode): Promise<number | null> {
    const link = this.#link();
    if (!link) return this.#blindAt(Date.now());
    const answer = await this.#pending.wait(TELL_MS, (ref) => sendToNode(link, toMessage(ref)));
    if (answer) return null;
    const now = Date.now();
    // Without its link it is blind in 30 s at most, and with a new one it gets everything again.
    const message = "You did not answer in time. Come back.";
    if (isOpen(link)) this.#closeLink(link, "unanswered", { code: "unanswered", message }, now);
    return this.#blindAt(now);
  }

  /** When the node carries nothing any more, unless it is linked again. Null: it does not already. */
  #blindAt(now: number): number | null {
    const record = this.#record;
    if (record?.status !== "online" && record?.status !== "draining") return null;
    const at = (record.downSince ?? now) + BLIND_SECONDS * 1_000;
    return at > now ? at : null;
  }

  /** The node's link; null: there is none. */
  #link(): WebSocket | null {
    const open = this.ctx.getWebSockets().filter((ws) => isOpen(ws) && readLink(ws)?.greeted);
    return open[0] ?? null;
  }

  #closeLink(
    ws: WebSocket,
    close: Parameters<typeof refuseLink>[1],
    why: { code: string; message: string },
    now: number,
  ): void {
    refuseLink(ws, close, why);
    this.#gone(ws, now);
  }

  /** A websocket has closed. If it was the node's link, the node has so long to come back. */
  #gone(ws: WebSocket, now: number): void {
    if (readLink(ws)?.greeted) this.#noticeLostLink(now);
  }

  /** After a deploy of the Worker websockets are gone without a close event. */
  #noticeLostLink(now: number): void {
    const record = this.#record;
    if (this.#link() || !record || record.downSince !== null) return;
    if (record.status !== "online" && record.status !== "draining") return;
    this.#pending.giveUp();
    this.#change({ downSince: now, seenAt: now });
    if (record.status === "draining" && this.#assignments.count === 0) this.#lose(now);
    this.#setAlarm(now);
  }

  /** Closes what has not been heard for too long. */
  #closeUnheard(now: number): void {
    for (const ws of this.ctx.getWebSockets()) {
      if (!isOpen(ws) || now < this.#lastHeard(ws) + UNHEARD_MS) continue;
      const message = "Nothing was heard from you for 25 seconds. Ping every 10.";
      const at = this.#lastHeard(ws);
      this.#closeLink(ws, "unanswered", { code: "unheard", message }, at);
    }
  }

  #lastHeard(ws: WebSocket): number {
    const pinged = this.ctx.getWebSocketAutoResponseTimestamp(ws)?.getTime() ?? 0;
    const link = readLink(ws);
    const heard = link?.greeted ? this.#heardAt : 0;
    return Math.max(pinged, heard, link?.since ?? 0);
  }

  #closeWithEndedToken(now: number): void {
    for (const ws of this.ctx.getWebSockets()) {
      const until = readLink(ws)?.tokenUntil ?? null;
      if (!isOpen(ws) || until === null || now < until) continue;
      const message = "The token of this relay node was replaced. Use the new one.";
      this.#closeLink(ws, "tokenRevoked", { code: "token-replaced", message }, now);
    }
  }

  /** The node is not there any more: what runs on it fails, in `#failSessions`. */
  #lose(now: number): void {
    const record = this.#record;
    if (!record || record.status === "lost" || record.status === "offline") return;
    const left = record.status === "draining" && this.#assignments.count === 0;
    this.#change({ status: left ? "offline" : "lost", downSince: null, seenAt: now });
    this.#owe(left ? null : "relay-node.lost", now);
    this.ctx.waitUntil(this.#report());
  }

  /** Tells the sessions of a lost node. Those that could not be told are told by the next alarm. */
  async #failSessions(): Promise<void> {
    const ids = this.#assignments.all().map(({ id }) => id);
    for (let at = 0; at < Math.min(ids.length, SESSIONS_PER_RUN); at += SESSIONS_AT_ONCE) {
      const page = ids.slice(at, at + SESSIONS_AT_ONCE);
      const told = await Promise.allSettled(
        page.map((id) => this.#session(id).nodeLost(this.#id())),
      );
      told.forEach(({ status }, i) => {
        if (status === "fulfilled") this.#drop(page[i] ?? "", "lost");
      });
      // It may have come back meanwhile. Then it keeps the others.
      if (this.#link()) break;
    }
    if (this.#record?.removed && this.#assignments.count === 0) return this.#forget();
    if (this.#record && this.#record.fill > 0 && this.#assignments.count === 0) {
      this.#change({ fill: 0 });
      this.#owe(null, Date.now());
    }
    this.#setAlarm(Date.now());
  }

  async #forget(): Promise<void> {
    this.#record = null;
    await this.ctx.storage.deleteAll();
  }

  /** The link is there: shows the node as online or draining. */
  #showLinked(hasChanged = false): void {
    const record = this.#record;
    if (!record) return;
    const now = Date.now();
    const status = record.draining || record.settings.drained ? "draining" : "online";
    if (status === record.status) {
      if (!hasChanged) return;
      this.#owe(null, now);
    } else {
      this.#change({ status });
      // One that is back from draining was online all the time.
      const isNews = status === "draining" || record.status !== "draining";
      this.#owe(isNews ? `relay-node.${status}` : null, now);
    }
    this.ctx.waitUntil(this.#report());
  }

  #saveLoad(load: NodeLoad, now: number): void {
    if (now - (this.#record?.load?.at ?? 0) < LOAD_EVERY_MS) return;
    this.#change({
      load: {
        sessions: load.sessions,
        users: load.users,
        datagramsPerSecond: load.datagrams_per_second,
        bytesPerSecond: load.bytes_per_second,
        droppedPerSecond: load.dropped_per_second,
        at: now,
      },
    });
    this.#owe(null, now);
    this.ctx.waitUntil(this.#report());
  }

  /** Sessions have come or gone: tells D1, if it makes a difference. */
  #fillChanged(): void {
    const record = this.#record;
    if (!record) return;
    const fill = this.#assignments.count / this.#capacity();
    const isOther = Math.abs(fill - record.fill) >= FILL_STEP || fill >= 1 !== record.fill >= 1;
    if (!isOther) return;
    this.#change({ fill });
    this.#owe(null, Date.now());
    this.ctx.waitUntil(this.#report());
  }

  /** Takes note that D1 has to be told what the record says now, and of this event. */
  #owe(type: EventType | null, now: number): void {
    const record = this.#record;
    if (!record) return;
    // Another array each time: `#report` sees by it that more is owed.
    const owed = [...(record.owed ?? [])];
    // The owner of a shared node is no organisation: nobody receives its events.
    if (type === null || record.settings.organisationId === SHARED) {
      this.#change({ owed });
      return;
    }
    const { settings, status, facts } = record;
    const { id, name, region, createdAt, organisationId } = settings;
    const data: RelayNodeEventData = {
      relayNode: { id, name, region, createdAt, status, facts },
    };
    const event: DomainEvent = { id: newEventId(now), organisationId, type, at: now, data };
    this.#change({ owed: [...owed, event] });
  }

  /** Tells D1 what it has to be told. One at a time; what fails is tried again by the alarm. */
  #report(): Promise<void> {
    this.#reporting = this.#reporting.then(async () => {
      const record = this.#record;
      if (!record?.owed || record.removed) return;
      const { owed, status, seenAt, facts, latitude, longitude, fill, load } = record;
      const db = openDatabase(this.env);
      const events = new EventOutbox(db, this.env.EVENTS, this.ctx);
      const report = { status, seenAt, facts, latitude, longitude, fill, load };
      try {
        await reportNode({ db, events }, record.settings, report, owed);
        // If more was owed meanwhile, it is told next.
        if (this.#record?.owed === owed) this.#change({ owed: null });
      } catch (error) {
        log("relay node not reported", { node: record.settings.id, error: describeError(error) });
        this.#setAlarm(Date.now());
      }
    });
    return this.#reporting;
  }

  #change(changes: Partial<NodeRecord>): void {
    if (!this.#record) return;
    this.#record = { ...this.#record, ...changes };
    this.ctx.storage.kv.put("node", this.#record);
  }

  /** Sets the alarm for what has to be done next, if there is anything. */
  #setAlarm(now: number): void {
    const times: number[] = [];
    for (const ws of this.ctx.getWebSockets()) {
      if (!isOpen(ws)) continue;
      times.push(this.#lastHeard(ws) + UNHEARD_MS);
      const until = readLink(ws)?.tokenUntil ?? null;
      if (until !== null) times.push(until);
    }
    const record = this.#record;
    if (record?.downSince != null) times.push(record.downSince + LOST_AFTER_MS);
    if (record?.owed) times.push(now + TRY_AGAIN_MS);
    if (record && (record.removed || record.status === "lost") && this.#assignments.count > 0) {
      times.push(now + TRY_AGAIN_MS);
    }
    if (times.length > 0) void this.ctx.storage.setAlarm(Math.max(now + 1, Math.min(...times)));
  }

  #capacity(): number {
    const record = this.#record;
    if (!record) return DEFAULT_CAPACITY;
    return capacityOf({ capacity: record.settings.capacity, facts: record.facts });
  }

  #address() {
    const record = this.#record;
    if (!record?.facts) return null;
    const { host, ip, serverPort, clientPort } = record.facts;
    return { id: record.settings.id, host, ip, serverPort, clientPort };
  }

  #id(): string {
    return this.#record?.settings.id ?? "";
  }

  #session(id: string): NodeReports {
    return this.env.SESSIONS.getByName(id) as unknown as NodeReports;
  }

  #toAssigned(
    { id, idleSeconds, expiresAt, users, hasSockets }: Assignment,
    permissions: NodePermissions | null,
  ): AssignedSession {
    const tokens = sessionTokens(this.#config.secret, id);
    return {
      id,
      token: tokens.session,
      idle_seconds: idleSeconds,
      expires_at: expiresAt,
      users: users.map(({ gated, ...user }) => ({ n: user.n, token: tokens.user(user), gated })),
      permissions: permissions && toLinkPermissions(permissions),
      trunk: hasSockets,
    };
  }
}

function toLinkPermissions({ toClients, toHost, ageMs }: NodePermissions): LinkPermissions {
  return { to_clients: [...toClients], to_host: [...toHost], age_ms: ageMs };
}

/** Whether D1 has to be told what a node said of itself. */
function hasOtherFacts(before: NodeRecord | null, after: NodeRecord): boolean {
  const told = ({ facts, latitude, longitude }: NodeRecord) =>
    JSON.stringify([facts, latitude, longitude]);
  return before === null || told(before) !== told(after);
}
