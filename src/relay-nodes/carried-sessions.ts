/**
 * The sessions that a node carries, at its object: what their own objects want to know and to change
 * (`RelayNodeCalls`), what the node says of them, and their end when the node is lost.
 */
import type {
  Assignment,
  NodeFigures,
  NodePermissions,
  NodeReports,
  PlacementResult,
  RelayNodeCalls,
} from "../session/relay-node";
import { toAssignedSession, toLinkPermissions } from "./assigned-session";
import type { LinkQuestions } from "./link-questions";
import { isOpen, sendToNode } from "./link-socket";
import type { NodeLinks } from "./node-links";
import { Assignments } from "./node-record";
import type { NodeState } from "./node-state";

/** A node that does not take a session in this time is passed over. */
const PLACE_MS = 1_500;
/** How long a reader waits for a node's figures. */
const FIGURES_MS = 500;
/** How many sessions of a node are told something in one go, and how many of these at once. */
export const SESSIONS_PER_RUN = 500;
export const SESSIONS_AT_ONCE = 50;
/** How long an assignment outlives its session (`carriedUntil`): the session's object takes it off before. */
const STALE_MS = 60_000;

interface CarriedContext {
  kv: SyncKvStorage;
  links: NodeLinks;
  questions: LinkQuestions;
  state: NodeState;
  /** The deployment's secret, from which tokens are derived. */
  secret: string;
  /** The object of a session. */
  session(id: string): NodeReports;
}

export class CarriedSessions implements RelayNodeCalls {
  readonly #object: CarriedContext;
  readonly #assignments: Assignments;

  constructor(object: CarriedContext) {
    this.#object = object;
    this.#assignments = new Assignments(object.kv);
  }

  get count(): number {
    return this.#assignments.count;
  }

  has(id: string): boolean {
    return this.#assignments.has(id);
  }

  /** The ids of all, those first that have somebody on a websocket. */
  get ids(): string[] {
    const ids = (have: boolean) =>
      this.#assignments.all().flatMap(({ id, hasSockets }) => (hasSockets === have ? [id] : []));
    return [...ids(true), ...ids(false)];
  }

  async place(
    assignment: Assignment,
    permissions: NodePermissions | null,
  ): Promise<PlacementResult> {
    const { links, questions, state } = this.#object;
    const node = state.address;
    if (!node || !links.current()) return { ok: false, code: "offline" };
    if (state.isDraining) return { ok: false, code: "draining" };
    this.dropStale(Date.now());
    if (this.count >= state.capacity) return { ok: false, code: "full" };
    this.#assignments.put(assignment);
    const session = this.#toSession(assignment, permissions);
    const answer = await questions.ask(PLACE_MS, (ref) => ({ type: "assign", ref, session }));
    if (answer?.type === "done") {
      state.setSessions(this.count);
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
    const session = this.#toSession(assignment, permissions);
    return this.#object.questions.tell((ref) => ({ type: "assign", ref, session }));
  }

  async release(sessionId: string, reason: string): Promise<number | null> {
    this.#forget(sessionId);
    return this.#tellEnd(sessionId, reason);
  }

  async permissions(sessionId: string, permissions: NodePermissions): Promise<number | null> {
    if (!this.#assignments.has(sessionId)) return null;
    const known = toLinkPermissions(permissions);
    const { questions } = this.#object;
    return questions.tell((ref) => ({ type: "permissions", ref, id: sessionId, ...known }));
  }

  async sockets(sessionId: string, open: boolean): Promise<void> {
    if (!this.#assignments.setHasSockets(sessionId, open)) return;
    this.#object.questions.say(() => ({ type: "trunk", id: sessionId, open }));
  }

  async figures(sessionId: string): Promise<readonly NodeFigures[] | null> {
    if (!this.#assignments.has(sessionId)) return null;
    const ask = { type: "figures", id: sessionId } as const;
    const answer = await this.#object.questions.ask(FIGURES_MS, (ref) => ({ ...ask, ref }));
    if (answer?.type !== "figures") return null;
    return answer.users.map(({ bytes_in, bytes_out, ...user }) => ({
      ...user,
      bytesIn: bytes_in,
      bytesOut: bytes_out,
    }));
  }

  /**
   * Gives a node that has just linked all its sessions, and takes from it what it should not have.
   * @param carried what it says that it carries
   */
  giveAll(ws: WebSocket, carried: readonly string[], now: number): void {
    this.dropStale(now);
    for (const assignment of this.#assignments.all()) {
      // Permissions are not known here: a node that has frames asks for them.
      const session = this.#toSession(assignment, null);
      sendToNode(ws, { type: "assign", ref: crypto.randomUUID(), session });
    }
    for (const id of carried) if (!this.#assignments.has(id)) this.#drop(id, "not on this node");
  }

  /** Nobody of this session is heard on the node: its object decides whether it ends. */
  async silent(id: string): Promise<void> {
    const { session, state } = this.#object;
    const isHere = this.#assignments.has(id);
    const stays = isHere && (await session(id).silentOnNode(state.id));
    if (!stays) this.#drop(id, "not on this node");
  }

  /** The node asks for the permissions of a session. */
  async sendPermissions(ws: WebSocket, id: string): Promise<void> {
    if (!this.#assignments.has(id)) return;
    const { session, state } = this.#object;
    const permissions = await session(id).permissionsForNode(state.id);
    if (permissions === null || !isOpen(ws)) return;
    const ref = crypto.randomUUID();
    sendToNode(ws, { type: "permissions", ref, id, ...toLinkPermissions(permissions) });
  }

  /** Takes sessions off the node that are over, and that their objects did not take off: they may have died. */
  dropStale(now: number): void {
    for (const { id, expiresAt } of this.#assignments.all()) {
      if (expiresAt + STALE_MS < now) this.#drop(id, "over");
    }
  }

  /**
   * Tells sessions of a lost node that it is lost, so many as one run may.
   * @returns whether one of them was told. Those that are left are told by the next run
   */
  async fail(): Promise<boolean> {
    const { links, session, state } = this.#object;
    const ids = this.#assignments.all().map(({ id }) => id);
    let someTold = false;
    for (let at = 0; at < Math.min(ids.length, SESSIONS_PER_RUN); at += SESSIONS_AT_ONCE) {
      const page = ids.slice(at, at + SESSIONS_AT_ONCE);
      const told = await Promise.allSettled(page.map((id) => session(id).nodeLost(state.id)));
      for (const [i, { status }] of told.entries()) {
        const id = page[i] ?? "";
        // One that cannot be told keeps none of the others waiting.
        if (status === "rejected") this.#assignments.postpone(id);
        else this.#drop(id, "lost");
        someTold ||= status === "fulfilled";
      }
      // It may have come back meanwhile. Then it keeps the others.
      if (links.current()) break;
    }
    return someTold;
  }

  #toSession(assignment: Assignment, permissions: NodePermissions | null) {
    return toAssignedSession(assignment, this.#object.secret, permissions);
  }

  /**
   * Has the node end a session, also one that is not here any more: an earlier call may have taken it off,
   * and not have heard from the node.
   */
  #tellEnd(id: string, reason: string): Promise<number | null> {
    return this.#object.questions.tell((ref) => ({ type: "end", ref, id, reason }));
  }

  /** Takes a session off the node without waiting for it. */
  #drop(id: string, reason: string): void {
    this.#forget(id);
    this.#object.questions.say((ref) => ({ type: "end", ref, id, reason }));
  }

  #forget(id: string): void {
    if (this.#assignments.delete(id)) this.#object.state.setSessions(this.count);
  }
}
