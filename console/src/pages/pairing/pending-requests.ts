/** The requests that wait for a decision, and what became of those that were shown, by the service's word. */

import { signal } from "@preact/signals";
import { listAllPairingRequests, type PairingRequest } from "drawbridge-client";
import { useMemo } from "preact/hooks";
import { result } from "../../call";
import { type Live, useLive } from "../../live";
import { cursorBefore } from "./request-order";

/** How many requests a page has. */
const PAGE_ROWS = 20;

/** For so long a request that has ended stays where it was, unless the person takes it away. Milliseconds. */
const ENDED_SHOWN_MS = 60_000;

/** A page of requests, newest first. */
export interface ShownRequests {
  /** Those that wait, and those that have ended since they were shown. */
  requests: readonly PairingRequest[];
  nextCursor: string | null;
}

/** The requests of a page, live. */
export interface PendingRequests {
  live: Live<ShownRequests>;
  /** Those that are to be drawn now. */
  requests: readonly PairingRequest[];
  /** Takes a request away: it was decided here, or the person has read what became of it. */
  takeAway: (id: string) => void;
}

/** Watches the pending requests of all applications, from a cursor on (null: the newest). */
export function usePendingRequests(cursor: string | null): PendingRequests {
  const watch = useMemo(() => new Watch(cursor), [cursor]);
  const live = useLive(watch.ask, [watch]);
  const takenAway = watch.takenAway.value;
  const requests = live.state.value.value?.requests ?? [];
  return {
    live,
    requests: requests.filter(({ pair_request_id }) => !takenAway.has(pair_request_id)),
    takeAway: (id) => {
      watch.takenAway.value = new Set([...takenAway, id]);
      void live.refresh();
    },
  };
}

/** The element of a request: its id in the page. */
export function elementId({ pair_request_id }: PairingRequest): string {
  return `request-${pair_request_id}`;
}

class Watch {
  readonly takenAway = signal<ReadonlySet<string>>(new Set());
  readonly #cursor: string | null;
  /** What is shown, by its id. */
  #shown = new Map<string, PairingRequest>();
  /** When an end was first seen, by this machine's clock. */
  readonly #endedAt = new Map<string, number>();

  constructor(cursor: string | null) {
    this.#cursor = cursor;
  }

  ask = async (): Promise<ShownRequests> => {
    const { data, next_cursor } = await result(
      listAllPairingRequests({
        query: {
          status: "pending",
          limit: PAGE_ROWS,
          ...(this.#cursor === null ? {} : { cursor: this.#cursor }),
        },
      }),
    );
    const pending = new Set(data.map(({ pair_request_id }) => pair_request_id));
    const missing = [...this.#shown.values()].filter(
      ({ pair_request_id: id }) => !pending.has(id) && !this.takenAway.value.has(id),
    );
    const ended = await Promise.all(missing.map((request) => this.#endOf(request)));
    const requests = [...data, ...ended.filter((request) => request !== null)].sort((a, b) =>
      a.pair_request_id < b.pair_request_id ? 1 : -1,
    );
    this.#shown = new Map(requests.map((request) => [request.pair_request_id, request]));
    return { requests, nextCursor: next_cursor };
  };

  /** The request as it has ended; null: it is no longer to be shown here. */
  async #endOf(shown: PairingRequest): Promise<PairingRequest | null> {
    const id = shown.pair_request_id;
    const request = shown.status === "pending" ? await findRequest(id) : shown;
    // It waits on another page: newer ones have pushed it there. Or its application is gone.
    if (!request || request.status === "pending") return null;
    const at = this.#endedAt.get(id) ?? Date.now();
    this.#endedAt.set(id, at);
    const inUse = document.getElementById(elementId(shown))?.contains(document.activeElement);
    return inUse || Date.now() - at < ENDED_SHOWN_MS ? request : null;
  }
}

/** A request as it is now. There is no call for one request, but a list may begin at any. */
async function findRequest(id: string): Promise<PairingRequest | undefined> {
  const { data } = await result(
    listAllPairingRequests({ query: { limit: 1, cursor: cursorBefore(id) } }),
  );
  return data.find(({ pair_request_id }) => pair_request_id === id);
}
