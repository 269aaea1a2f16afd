/** What a node was asked over its link and has not answered yet, in the memory of its object. */
import type { FromNode } from "./link-protocol";

/** An answer of a node: a message with the `ref` of what it was asked. */
export type NodeAnswer = Extract<FromNode, { ref?: string | null | undefined }>;

export class PendingAnswers {
  readonly #waiting = new Map<string, (answer: NodeAnswer | null) => void>();

  /**
   * Waits for the answer to a new question.
   * @param ask sends the question, with this `ref`
   * @returns null when none came in time, or the link is gone
   */
  async wait(milliseconds: number, ask: (ref: string) => void): Promise<NodeAnswer | null> {
    // Not counted: an object that wakes would count from 0 again, and take an old answer for a new one.
    const ref = crypto.randomUUID();
    const { promise, resolve } = Promise.withResolvers<NodeAnswer | null>();
    const timer = setTimeout(() => resolve(null), milliseconds);
    this.#waiting.set(ref, resolve);
    try {
      ask(ref);
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(ref);
    }
  }

  /** An answer has come. One that nobody waits for any more is dropped. */
  answer(answer: NodeAnswer): void {
    this.#waiting.get(answer.ref ?? "")?.(answer);
  }

  /** The link is gone: nothing more is answered on it. */
  giveUp(): void {
    for (const resolve of this.#waiting.values()) resolve(null);
  }
}
