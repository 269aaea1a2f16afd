/** One relay session that is watched: what it is now, what goes through it, and whether it has ended. */
import { getRelaySession, type RelaySession } from "drawbridge-client";
import { useMemo } from "preact/hooks";
import { CallError, result } from "../../call";
import { type Live, useLive } from "../../live";
import { Traffic } from "./traffic";

/** What is known of a session. */
export interface Watched {
  /** As it was last; null: it was gone before it was seen. */
  session: RelaySession | null;
  hasEnded: boolean;
}

/** Watches a session. That does not keep it alive. */
export function useWatchedSession(id: string): { live: Live<Watched>; traffic: Traffic } {
  const watch = useMemo(() => new Watch(id), [id]);
  return { live: useLive(watch.ask, [watch]), traffic: watch.traffic };
}

class Watch {
  readonly traffic = new Traffic();
  readonly #id: string;
  #known: Watched = { session: null, hasEnded: false };

  constructor(id: string) {
    this.#id = id;
  }

  ask = async (): Promise<Watched> => {
    // What has ended does not come back.
    if (this.#known.hasEnded) return this.#known;
    try {
      const call = getRelaySession({ path: { id: this.#id }, query: { touch: "false" } });
      this.#known = { session: await result(call), hasEnded: false };
      this.traffic.add(Date.now(), this.#known.session?.session_users ?? []);
    } catch (error) {
      if (!(error instanceof CallError) || error.code !== "session-not-found") throw error;
      this.#known = { ...this.#known, hasEnded: true };
    }
    return this.#known;
  };
}
