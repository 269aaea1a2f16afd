/**
 * The tests' side of the webhook receiver that `receiver-server.ts` runs: each test makes a mailbox
 * of its own, says how it should answer, and reads what arrived. Uses only `fetch`, so that it
 * works inside workerd.
 */

import { LIMIT_MS } from "./eventually";

/** How long one question to the receiver waits. */
const HELD_BACK_MS = 30_000;

/** How the receiver answers one request. */
export type Behaviour =
  | {
      kind: "status";
      status: number;
      headers?: Record<string, string>;
      body?: string;
      delayMs?: number;
      /** Answers when the test calls `release`. */
      held?: boolean;
    }
  /** Never answers; the socket is destroyed after a minute. */
  | { kind: "hang" }
  /** Destroys the socket at once. */
  | { kind: "reset" }
  /**
   * Answers 200 with the beginning of a longer body, and destroys the socket when that was read.
   */
  | { kind: "cut"; body: string }
  | { kind: "redirect"; to: string };

export type ReceivedRequest = {
  /** Unix milliseconds by the receiver's clock, which tests cannot move. */
  at: number;
  method: string;
  /** Path and query. */
  path: string;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: string;
};

export type Mailbox = {
  /** Where to send webhooks. */
  url: string;
  /** Sets the answers to come, in order; the last one repeats. At first: 204. */
  answer(...behaviours: Behaviour[]): Promise<void>;
  /** Answers the requests that have arrived and are held. */
  release(): Promise<void>;
  /** What has arrived so far, oldest first. */
  requests(): Promise<ReceivedRequest[]>;
  /** Resolves as soon as at least so many have arrived, with all of them; rejects otherwise. */
  waitForRequests(count: number, timeoutMs?: number): Promise<ReceivedRequest[]>;
};

/** A new mailbox that no other test knows. `receiverUrl` is `inject("receiverUrl")`. */
export function createMailbox(receiverUrl: string): Mailbox {
  const name = crypto.randomUUID();
  const control = `${receiverUrl}/control/${name}`;

  async function tell(method: string, body: unknown): Promise<void> {
    const response = await fetch(control, { method, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`receiver: ${response.status} ${await response.text()}`);
  }

  async function requests(query = ""): Promise<ReceivedRequest[]> {
    const response = await fetch(control + query);
    if (!response.ok) throw new Error(`receiver: ${response.status} ${await response.text()}`);
    return response.json();
  }

  return {
    url: `${receiverUrl}/hooks/${name}`,
    requests: () => requests(),

    answer: (...behaviours) => tell("PUT", behaviours),
    release: () => tell("POST", null),

    // The receiver holds its answer back until the condition is true, or the time is up.
    async waitForRequests(count, timeoutMs = LIMIT_MS) {
      let received: ReceivedRequest[] = [];
      // In parts, since the receiver holds nothing back for longer than a minute. Counted, since
      // the clock may be stopped.
      for (let left = timeoutMs; left > 0 && received.length < count; left -= HELD_BACK_MS) {
        const part = Math.min(left, HELD_BACK_MS);
        received = await requests(`?count=${count}&timeoutMs=${part}`);
      }
      if (received.length < count) {
        throw new Error(
          `expected ${count} requests within ${timeoutMs} ms, received ${received.length}: ` +
            JSON.stringify(received.map(({ method, path }) => `${method} ${path}`)),
        );
      }
      return received;
    },
  };
}
