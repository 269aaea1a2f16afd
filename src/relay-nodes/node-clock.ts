/**
 * When a node is lost, and the one alarm of its object. The alarm rings when a link may have to be closed,
 * when the node is lost, and when something is to be tried again.
 */
import type { CarriedSessions } from "./carried-sessions";
import { BLIND_SECONDS } from "./link-protocol";
import type { LinkQuestions } from "./link-questions";
import type { NodeLinks } from "./node-links";
import type { NodeState } from "./node-state";
import type { NodeTokens } from "./node-tokens";
import type { TrunkTokens } from "./trunk-tokens";

/** A node is lost so long after its link was. */
const LOST_AFTER_MS = BLIND_SECONDS * 1_000;
/** How soon what failed is tried again. */
const TRY_AGAIN_MS = 10_000;

interface ClockContext {
  storage: DurableObjectStorage;
  links: NodeLinks;
  questions: LinkQuestions;
  state: NodeState;
  carried: CarriedSessions;
  trunks: TrunkTokens;
  tokens: NodeTokens;
}

export class NodeClock {
  readonly #object: ClockContext;
  /** When sessions of a lost node are told next, Unix milliseconds. */
  #failAt = 0;
  /** When sessions are told next which tokens work, Unix milliseconds. */
  #tellTrunksAt = 0;

  constructor(object: ClockContext) {
    this.#object = object;
  }

  /** If the link is gone, the node has so long to come back. `at`: since when, Unix milliseconds. */
  noticeLostLink(at: number): void {
    const { links, questions, state, carried } = this.#object;
    const { record, isUp } = state;
    if (!record || !isUp || record.downSince !== null || links.current()) return;
    questions.giveUp();
    state.linkGone(at);
    if (record.status === "draining" && carried.count === 0) this.lose(at);
    this.setAlarm(Date.now());
  }

  /** Finds out whether the node has not come back in time. */
  loseIfDue(now: number): void {
    const downSince = this.#object.state.record?.downSince ?? null;
    if (downSince !== null && now >= downSince + LOST_AFTER_MS) this.lose(now);
  }

  /** The node is not there any more: what runs on it fails, in `failSessions`. */
  lose(now: number): void {
    const { state, carried } = this.#object;
    state.gone(now, { nothing: carried.count === 0 });
  }

  /** Tells sessions of a lost node, so many as one run may. The alarm goes on: at once, if that went well. */
  async failSessions(): Promise<void> {
    const { state, carried } = this.#object;
    const someTold = await carried.fail();
    this.#failAt = Date.now() + (someTold ? 0 : TRY_AGAIN_MS);
    if (state.record?.removed && carried.count === 0) await state.forget();
  }

  /** Does what is due about the tokens of the node: reads them, and tells sessions which ones work. */
  async lookAfterTokens(now: number): Promise<void> {
    await this.#object.tokens.readIfDue(now, TRY_AGAIN_MS);
    if (this.#object.trunks.isOwed) await this.tellTrunks();
  }

  /** Tells sessions which tokens of the node work, so many as one run may. The alarm goes on as with `failSessions`. */
  async tellTrunks(): Promise<void> {
    const someTold = await this.#object.trunks.tell();
    this.#tellTrunksAt = Date.now() + (someTold ? 0 : TRY_AGAIN_MS);
  }

  /** Sets the alarm for what has to be done next, if there is anything. */
  setAlarm(now: number): void {
    const { storage, links, state, carried, trunks, tokens } = this.#object;
    const { record, isLost } = state;
    const times = [
      links.nextCheckAt(),
      record?.downSince == null || isLost ? null : record.downSince + LOST_AFTER_MS,
      record?.owed == null ? null : now + TRY_AGAIN_MS,
      isLost && carried.count > 0 ? this.#failAt : null,
      trunks.isOwed && !record?.removed ? this.#tellTrunksAt : null,
      record?.removed ? null : tokens.dueAt,
    ].filter((time) => time !== null);
    if (times.length > 0) void storage.setAlarm(Math.max(now + 1, Math.min(...times)));
  }
}
