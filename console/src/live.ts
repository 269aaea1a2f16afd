/** What a page shows is asked for again and again, so that it is current without a click. */
import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { asCallError, type CallError } from "./call";

/** The pause after an answer that changed something, and the longest one while nothing changes. Milliseconds. */
const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 2_500;
/** The longest pause while the service does not answer. */
const LONGEST_FAILING_MS = 10_000;

/** What is shown of something live. */
export interface LiveState<T> {
  /** The last answer; undefined: there was none yet. */
  value: T | undefined;
  /** When it came, by this machine's clock: only its age is shown. */
  at: number;
  /** Why the last try failed; null: it did not. */
  error: CallError | null;
}

/** Something that is asked for again and again. */
export interface Live<T> {
  state: Signal<LiveState<T>>;
  /** Asks now: after an action of the person. Resolves when what is shown is newer than the call. */
  refresh: () => Promise<void>;
}

/**
 * Asks while the page is open and seen: every second while something changes, every 2.5 seconds while
 * nothing does.
 * @param ask the call
 * @param inputs what the call depends on. When one changes, what was shown is forgotten
 */
export function useLive<T>(ask: () => Promise<T>, inputs: readonly unknown[]): Live<T> {
  const poller = useMemo(() => new Poller(ask), inputs);
  useEffect(() => poller.start(), [poller]);
  return poller;
}

/**
 * A call that is not made again once it has answered what will not change any more.
 * @param isFinal whether this answer is the last one that there will be
 */
export function untilFinal<T>(
  ask: () => Promise<T>,
  isFinal: (value: T) => boolean,
): () => Promise<T> {
  let final: { value: T } | null = null;
  return async () => {
    if (final) return final.value;
    const value = await ask();
    if (isFinal(value)) final = { value };
    return value;
  };
}

class Poller<T> implements Live<T> {
  readonly state = signal<LiveState<T>>({ value: undefined, at: 0, error: null });
  readonly #ask: () => Promise<T>;
  #pause = SHORTEST_PAUSE_MS;
  #timer: number | undefined;
  #running = false;
  #asked = 0;
  /** How many calls are not answered yet. */
  #underWay = 0;
  #known = "";

  constructor(ask: () => Promise<T>) {
    this.#ask = ask;
  }

  start(): () => void {
    this.#running = true;
    const seen = () => {
      if (document.hidden) window.clearTimeout(this.#timer);
      // What was asked before the tab was hidden may still be under way.
      else if (this.#underWay === 0) void this.refresh();
    };
    document.addEventListener("visibilitychange", seen);
    void this.refresh();
    return () => {
      this.#running = false;
      window.clearTimeout(this.#timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }

  refresh = async (): Promise<void> => {
    window.clearTimeout(this.#timer);
    this.#asked += 1;
    const turn = this.#asked;
    this.#underWay += 1;
    const answer = await this.#try();
    this.#underWay -= 1;
    // A later call has been made meanwhile: its answer counts, this one may be older.
    if (turn !== this.#asked || !this.#running) return;
    this.#show(answer);
    if (!document.hidden) this.#timer = window.setTimeout(this.refresh, this.#pause);
  };

  async #try(): Promise<{ value: T } | { error: CallError }> {
    try {
      return { value: await this.#ask() };
    } catch (error) {
      return { error: asCallError(error) };
    }
  }

  #show(answer: { value: T } | { error: CallError }): void {
    if ("error" in answer) {
      this.#pause = Math.min(this.#pause * 2, LONGEST_FAILING_MS);
      this.state.value = { ...this.state.value, error: answer.error };
      return;
    }
    const text = JSON.stringify(answer.value);
    const changed = text !== this.#known;
    this.#known = text;
    this.#pause = changed ? SHORTEST_PAUSE_MS : Math.min(this.#pause * 1.5, LONGEST_PAUSE_MS);
    // What did not change keeps its identity, so that nothing is drawn anew.
    const value = changed ? answer.value : this.state.value.value;
    this.state.value = { value, at: Date.now(), error: null };
  }
}
