/**
 * One relay node: the Durable Object at the other end of its link. It gives the node its sessions, again
 * after each reconnect; asks and tells it what sessions' objects want to know and to change; and finds out
 * when it is lost. While nothing changes it sleeps: the platform answers the node's pings.
 *
 * Its alarm rings 25 s after the node was last heard, and so about every 20 s while it is linked: one row.
 */
import { DurableObject } from "cloudflare:workers";
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
import { toAssignedSession, toLinkPermissions } from "./assigned-session";
import {
  BLIND_SECONDS,
  type FromNode,
  type Hello,
  LINK_PROTOCOL,
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
import type { LinkRequest, NodeAdministration } from "./node-calls";
import { NodeLinks } from "./node-links";
import { Assignments } from "./node-record";
import { NodeState } from "./node-state";
import { type NodeAnswer, PendingAnswers } from "./pending-answers";

/** A node that does not take a session in this time is passed over. */
const PLACE_MS = 1_500;
/** How long callers wait for what a node is told. */
const TELL_MS = 1_500;
/** How long a reader waits for a node's figures. */
const ASK_MS = 500;
/** A node is lost so long after its link was. */
const LOST_AFTER_MS = BLIND_SECONDS * 1_000;
/** How soon what failed is tried again. */
const TRY_AGAIN_MS = 10_000;
/** How many sessions are told in one go that their node is lost, and how many of these at once. */
const SESSIONS_PER_RUN = 500;
const SESSIONS_AT_ONCE = 50;
/** How long an assignment outlives its session: the object of the session takes it away before. */
const STALE_MS = 60_000;

export class RelayNodeObject
  extends DurableObject<Env>
  implements RelayNodeCalls, NodeAdministration
{
  readonly #config: Config;
  readonly #assignments: Assignments;
  readonly #pending = new PendingAnswers();
  readonly #links: NodeLinks;
  readonly #state: NodeState;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#config = readConfig(env);
    this.#assignments = new Assignments(ctx.storage.kv);
    this.#links = new NodeLinks(ctx);
    const reportFailed = () => this.#setAlarm(Date.now());
    this.#state = new NodeState({ ctx, env, reportFailed });
  }

  async place(
    assignment: Assignment,
    permissions: NodePermissions | null,
  ): Promise<PlacementResult> {
    const node = this.#state.address;
    if (!node || !this.#links.current()) return { ok: false, code: "offline" };
    if (this.#state.isDraining) return { ok: false, code: "draining" };
    this.#dropStale(Date.now());
    if (this.#assignments.count >= this.#state.capacity) return { ok: false, code: "full" };
    this.#assignments.put(assignment);
    const session = toAssignedSession(assignment, this.#config.secret, permissions);
    const answer = await this.#ask(PLACE_MS, (ref) => ({ type: "assign", ref, session }));
    if (answer?.type === "done") {
      this.#state.setSessions(this.#assignments.count);
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
    const { id } = assignment;
    if (!this.#assignments.has(id)) return this.#tellEnd(id, "not on this node");
    this.#assignments.put(assignment);
    const session = toAssignedSession(assignment, this.#config.secret, permissions);
    return this.#tell((ref) => ({ type: "assign", ref, session }));
  }

  async release(sessionId: string, reason: string): Promise<number | null> {
    if (this.#assignments.delete(sessionId)) this.#state.setSessions(this.#assignments.count);
    return this.#tellEnd(sessionId, reason);
  }

  async permissions(sessionId: string, permissions: NodePermissions): Promise<number | null> {
    if (!this.#assignments.has(sessionId)) return null;
    const known = toLinkPermissions(permissions);
    return this.#tell((ref) => ({ type: "permissions", ref, id: sessionId, ...known }));
  }

  async sockets(sessionId: string, open: boolean): Promise<void> {
    if (!this.#assignments.setHasSockets(sessionId, open)) return;
    const link = this.#links.current();
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
    this.#state.setDrained(drained);
    this.#links.setDrained(drained);
    const link = this.#links.current();
    if (!link) return;
    sendToNode(link, { type: "drain", draining: drained });
    this.#state.showLinked();
    await this.#state.reported;
  }

  async tokenRotated(digest: string, graceMs: number): Promise<void> {
    const now = Date.now();
    this.#links.endOtherTokens(digest, now + graceMs);
    this.#links.closeWithEndedToken(now);
    this.#noticeLostLink(now);
    this.#setAlarm(now);
  }

  async remove(): Promise<void> {
    this.#links.closeAll();
    this.#pending.giveUp();
    if (!this.#state.record) return this.#state.forget();
    this.#state.removed(Date.now());
    await this.#failSessions();
  }

  override async fetch(request: Request): Promise<Response> {
    const asked: LinkRequest = JSON.parse(request.headers.get("Drawbridge-Node") ?? "null");
    const now = Date.now();
    const webSocket = this.#links.accept(asked, now);
    // Closes it if it never says hello.
    this.#setAlarm(now);
    return new Response(null, { status: 101, webSocket });
  }

  override async webSocketMessage(ws: WebSocket, message: ArrayBuffer | string): Promise<void> {
    const now = Date.now();
    this.#links.closeWithEndedToken(now);
    const link = readLink(ws);
    if (!link || !isOpen(ws)) return this.#noticeLostLink(now);
    const parsed =
      typeof message === "string"
        ? parseFromNode(message)
        : ({ type: "malformed", problem: "a binary message" } as const);
    if (parsed === null) return;
    if (parsed.type === "malformed") {
      const { problem } = parsed;
      log("relay node sent a malformed message", { node: link.settings.id, problem });
      this.#refuse(ws, "malformed", "malformed", `A message was malformed: ${problem}.`);
    } else if (link.greeted) {
      this.#links.heard(now);
      await this.#receive(ws, parsed, now);
    } else if (parsed.type === "hello") {
      this.#greet(ws, link, parsed, now);
    } else {
      this.#refuse(ws, "malformed", "malformed", "The first message of a link is hello.");
    }
  }

  override async webSocketClose(ws: WebSocket, code: number): Promise<void> {
    closeSocket(ws, code === 1005 || code === 1006 ? 1000 : code, "");
    this.#noticeLostLink(Date.now());
  }

  override async webSocketError(): Promise<void> {
    this.#noticeLostLink(Date.now());
  }

  override async alarm(): Promise<void> {
    const now = Date.now();
    try {
      this.#links.closeWithEndedToken(now);
      const heardAt = this.#links.closeUnheard(now);
      if (this.#state.record?.removed) return await this.#failSessions();
      // After a deploy of the Worker, websockets are gone without a close event.
      this.#noticeLostLink(heardAt ?? now);
      const downSince = this.#state.record?.downSince ?? null;
      if (downSince !== null && now >= downSince + LOST_AFTER_MS) this.#lose(now);
      this.#dropStale(now);
      if (this.#state.record?.status === "lost") await this.#failSessions();
      if (this.#state.record?.owed) await this.#state.report();
    } catch (error) {
      log("relay node's alarm failed", { error: describeError(error) });
    } finally {
      // The platform gives up after six throws: the next alarm never depends on this one's success.
      this.#setAlarm(now);
    }
  }

  #greet(ws: WebSocket, link: LinkAttachment, hello: Hello, now: number): void {
    if (hello.protocol !== LINK_PROTOCOL) {
      const isOld = hello.protocol < LINK_PROTOCOL;
      const what = `This relay node speaks version ${hello.protocol} of the link's protocol, and Drawbridge version ${LINK_PROTOCOL}.`;
      const advice = isOld
        ? "Update the relay node."
        : "Update Drawbridge, or use an older relay node.";
      const code = isOld ? "node-too-old" : "node-too-new";
      this.#refuse(ws, "wrongProtocol", code, `${what} ${advice}`);
      return;
    }
    this.#pending.giveUp();
    this.#links.greeted(ws, link, now);
    this.#state.greeted(link, hello, now);
    this.#welcome(ws);
    this.#giveSessions(ws, hello.sessions, now);
    this.#setAlarm(now);
  }

  #welcome(ws: WebSocket): void {
    const { bytesPerSecond, burstBytes, messagesPerSecond, burstMessages } = this.#config.relay;
    sendToNode(ws, {
      type: "welcome",
      protocol: LINK_PROTOCOL,
      node_id: this.#state.id,
      ping_seconds: PING_SECONDS,
      blind_seconds: BLIND_SECONDS,
      limits: {
        bytes_per_second: bytesPerSecond,
        burst_bytes: burstBytes,
        messages_per_second: messagesPerSecond,
        burst_messages: burstMessages,
      },
      draining: this.#state.isDraining,
    });
  }

  /** Gives a node that has just linked all its sessions, and takes from it what it should not have. */
  #giveSessions(ws: WebSocket, carried: readonly string[], now: number): void {
    this.#dropStale(now);
    for (const assignment of this.#assignments.all()) {
      // Permissions are not known here: a node that has frames asks for them.
      const session = toAssignedSession(assignment, this.#config.secret, null);
      sendToNode(ws, { type: "assign", ref: crypto.randomUUID(), session });
    }
    for (const id of carried) if (!this.#assignments.has(id)) this.#drop(id, "not on this node");
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
        return message.ref ? this.#pending.answer(message) : this.#state.saveLoad(message, now);
      case "silent":
        return this.#silent(message.id);
      case "permissions":
        return this.#sendPermissions(ws, message.id);
      case "draining":
        return this.#state.startedDraining();
      case "leaving":
        return this.#leave(ws, now);
    }
  }

  /** Nobody of this session is heard on the node: its object decides whether it ends. */
  async #silent(id: string): Promise<void> {
    const isHere = this.#assignments.has(id);
    const stays = isHere && (await this.#session(id).silentOnNode(this.#state.id));
    if (!stays) this.#drop(id, "not on this node");
  }

  async #sendPermissions(ws: WebSocket, id: string): Promise<void> {
    if (!this.#assignments.has(id)) return;
    const permissions = await this.#session(id).permissionsForNode(this.#state.id);
    if (permissions === null || !isOpen(ws)) return;
    const ref = crypto.randomUUID();
    sendToNode(ws, { type: "permissions", ref, id, ...toLinkPermissions(permissions) });
  }

  /** The node ends now. */
  async #leave(ws: WebSocket, now: number): Promise<void> {
    markClosed(ws);
    closeSocket(ws, 1000, "left");
    this.#pending.giveUp();
    this.#lose(now);
    // The alarm is for what cannot be told now.
    this.#setAlarm(now);
    await this.#failSessions();
  }

  /** Takes sessions off the node that are over, and that their objects did not take off: they may have died. */
  #dropStale(now: number): void {
    for (const { id, expiresAt } of this.#assignments.all()) {
      if (expiresAt + STALE_MS < now) this.#drop(id, "over");
    }
  }

  /** Takes a session off the node without waiting for it. */
  #drop(id: string, reason: string): void {
    if (this.#assignments.delete(id)) this.#state.setSessions(this.#assignments.count);
    const link = this.#links.current();
    if (link) sendToNode(link, { type: "end", ref: crypto.randomUUID(), id, reason });
  }

  /** Asks the node something. Null: no answer came in time, or there is no link. */
  async #ask(
    milliseconds: number,
    toQuestion: (ref: string) => ToNode,
  ): Promise<NodeAnswer | null> {
    const link = this.#links.current();
    if (!link) return null;
    return this.#pending.wait(milliseconds, (ref) => sendToNode(link, toQuestion(ref)));
  }

  /**
   * Has the node end a session, also one that is not here any more: an earlier call may have taken it off,
   * and not have heard from the node.
   */
  #tellEnd(id: string, reason: string): Promise<number | null> {
    return this.#tell((ref) => ({ type: "end", ref, id, reason }));
  }

  /** Tells the node something that it must not miss: see `RelayNodeCalls.update`. */
  async #tell(toMessage: (ref: string) => ToNode): Promise<number | null> {
    const link = this.#links.current();
    if (!link) return this.#state.blindAt(Date.now());
    const answer = await this.#pending.wait(TELL_MS, (ref) => sendToNode(link, toMessage(ref)));
    if (answer?.type === "done") return null;
    // Without its link it is blind in 30 s at most, and with a new one it gets everything again.
    const message = "You did not do in time what you were told. Come back.";
    if (isOpen(link)) this.#refuse(link, "unanswered", "unanswered", message);
    return this.#state.blindAt(Date.now());
  }

  #refuse(
    ws: WebSocket,
    close: Parameters<typeof refuseLink>[1],
    code: string,
    message: string,
  ): void {
    refuseLink(ws, close, { code, message });
    this.#noticeLostLink(Date.now());
  }

  /** If the link is gone, the node has so long to come back. `at`: since when, Unix milliseconds. */
  #noticeLostLink(at: number): void {
    const { record, isUp } = this.#state;
    if (!record || !isUp || record.downSince !== null || this.#links.current()) return;
    this.#pending.giveUp();
    this.#state.linkGone(at);
    if (record.status === "draining" && this.#assignments.count === 0) this.#lose(at);
    this.#setAlarm(Date.now());
  }

  /** The node is not there any more: what runs on it fails, in `#failSessions`. */
  #lose(now: number): void {
    this.#state.gone(now, { nothing: this.#assignments.count === 0 });
  }

  /** Tells the sessions of a lost node. Those that could not be told are told by the next alarm. */
  async #failSessions(): Promise<void> {
    const ids = this.#assignments.all().map(({ id }) => id);
    for (let at = 0; at < Math.min(ids.length, SESSIONS_PER_RUN); at += SESSIONS_AT_ONCE) {
      const page = ids.slice(at, at + SESSIONS_AT_ONCE);
      const told = await Promise.allSettled(
        page.map((id) => this.#session(id).nodeLost(this.#state.id)),
      );
      told.forEach(({ status }, i) => {
        if (status === "fulfilled") this.#drop(page[i] ?? "", "lost");
      });
      // It may have come back meanwhile. Then it keeps the others.
      if (this.#links.current()) break;
    }
    if (this.#state.record?.removed && this.#assignments.count === 0) return this.#state.forget();
    this.#setAlarm(Date.now());
  }

  /** Sets the alarm for what has to be done next, if there is anything. */
  #setAlarm(now: number): void {
    const { record } = this.#state;
    const isLost = record !== null && (record.removed || record.status === "lost");
    const isOwed = record?.owed != null || (isLost && this.#assignments.count > 0);
    const times = [
      this.#links.nextCheckAt(),
      record?.downSince == null ? null : record.downSince + LOST_AFTER_MS,
      isOwed ? now + TRY_AGAIN_MS : null,
    ].filter((time) => time !== null);
    if (times.length > 0) void this.ctx.storage.setAlarm(Math.max(now + 1, Math.min(...times)));
  }

  #session(id: string): NodeReports {
    return this.env.SESSIONS.getByName(id) as unknown as NodeReports;
  }
}
