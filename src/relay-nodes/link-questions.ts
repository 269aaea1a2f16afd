/**
 * What a node's object asks its node over the link, and tells it and waits for: with a bound, so that no
 * caller waits for a node that is silent.
 */
import { BLIND_SECONDS, type ToNode } from "./link-protocol";
import { isOpen, sendToNode } from "./link-socket";
import type { NodeLinks } from "./node-links";
import { type NodeAnswer, PendingAnswers } from "./pending-answers";

/** How long callers wait for what a node is told: less than the 2 s that theirs wait for them. */
const TELL_MS = 1_500;

interface QuestionsContext {
  links: NodeLinks;
  /** When the node carries nothing any more, if it is not linked again: see `NodeState.blindAt`. */
  blindAt(now: number): number | null;
  /** Closes a link on which the node did not do in time what it was told. */
  closeUnanswered(ws: WebSocket): void;
}

export class LinkQuestions {
  readonly #object: QuestionsContext;
  readonly #pending = new PendingAnswers();

  constructor(object: QuestionsContext) {
    this.#object = object;
  }

  /** Asks the node something. Null: no answer came in time, or there is no link. */
  async ask(milliseconds: number, toQuestion: (ref: string) => ToNode): Promise<NodeAnswer | null> {
    const link = this.#object.links.current();
    if (!link) return null;
    return this.#pending.wait(milliseconds, (ref) => sendToNode(link, toQuestion(ref)));
  }

  /** Tells the node something that it must not miss: see `RelayNodeCalls.update`. */
  async tell(toMessage: (ref: string) => ToNode): Promise<number | null> {
    const { links, blindAt, closeUnanswered } = this.#object;
    const link = links.current();
    if (!link) return blindAt(Date.now());
    const answer = await this.#pending.wait(TELL_MS, (ref) => sendToNode(link, toMessage(ref)));
    if (answer?.type === "done") return null;
    // Without its link it is blind in 30 s at most, and with a new one it gets everything again.
    if (isOpen(link)) closeUnanswered(link);
    return Date.now() + BLIND_SECONDS * 1_000;
  }

  /** Tells the node something without waiting for it. */
  say(toMessage: (ref: string) => ToNode): void {
    const link = this.#object.links.current();
    if (link) sendToNode(link, toMessage(crypto.randomUUID()));
  }

  /** An answer has come. */
  answer(answer: NodeAnswer): void {
    this.#pending.answer(answer);
  }

  /** The link is gone: nothing more is answered on it. */
  giveUp(): void {
    this.#pending.giveUp();
  }
}
