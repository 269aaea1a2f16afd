/**
 * Which tokens of a node work, as its object knows them: as D1 had them when it last looked. It looks when
 * the node's owner has changed them, and when it does not know the token of a link. So a token that was
 * replaced while its link was on the way is refused here, and a node can link again while D1 is down.
 *
 * It is told before a change, too, and looks a minute after that: the Worker that makes the change may die, or
 * D1 fail, before the object hears that it was made.
 */
import { describeError, log } from "../platform/log";
import type { NodeToken } from "../session/relay-node";

const KEY = "tokens";
const DUE_KEY = "tokens-due";
/** A change that was announced is made by then, in milliseconds: D1 gives up a query after 30 s. */
const CHANGED_WITHIN_MS = 60_000;

/** When D1 has to be asked because changes were announced. Unix milliseconds. */
interface Due {
  /** The next time. */
  at: number;
  /** The last one. */
  last: number;
}

interface TokensContext {
  kv: SyncKvStorage;
  /** Reads the node's tokens in D1: the digests of those that work. */
  read(): Promise<readonly NodeToken[]>;
  /** Called when other ones are stored, in the same turn. */
  changed(): void;
}

export class NodeTokens {
  readonly #object: TokensContext;
  #known: readonly NodeToken[];
  #due: Due | null;
  /** The reading that runs. One after the other: what was read before must not count after what was read later. */
  #reading: Promise<void> = Promise.resolve();

  constructor(object: TokensContext) {
    this.#object = object;
    this.#known = object.kv.get<readonly NodeToken[]>(KEY) ?? [];
    this.#due = object.kv.get<Due>(DUE_KEY) ?? null;
  }

  /** A token that works, if it is known here. Null: it does not work, or is not known yet. */
  find(digest: string, now: number): NodeToken | null {
    return this.working(now).find((token) => token.digest === digest) ?? null;
  }

  /** All tokens that are known here and work. */
  working(now: number): readonly NodeToken[] {
    return this.#known.filter(({ validUntil }) => validUntil === null || now < validUntil);
  }

  /**
   * As `find`; where it is not known, D1 is asked.
   * @throws what D1 threw
   */
  async verify(digest: string, now: number): Promise<NodeToken | null> {
    if (!this.find(digest, now)) await this.refresh();
    return this.find(digest, now);
  }

  /**
   * Asks D1 which tokens work.
   * @throws what D1 threw
   */
  refresh(): Promise<void> {
    const reading = this.#reading.then(() => this.#readNow());
    this.#reading = reading.catch(() => undefined);
    return reading;
  }

  /** When `readIfDue` has something to do, Unix milliseconds; null: no change was announced. */
  get dueAt(): number | null {
    return this.#due?.at ?? null;
  }

  /** D1 may get other tokens within a minute. */
  willChange(now: number): void {
    const last = now + CHANGED_WITHIN_MS;
    this.#setDue({ at: this.#due?.at ?? last, last });
  }

  /**
   * Asks D1 which tokens work, if a change was announced a minute ago.
   * @param again how long to wait after a failure, in milliseconds
   */
  async readIfDue(now: number, again: number): Promise<void> {
    if (this.#due === null || now < this.#due.at) return;
    try {
      await this.refresh();
      // What was announced less than a minute ago may not have been made yet.
      const last = this.#due?.last ?? 0;
      this.#setDue(last > now ? { at: last, last } : null);
    } catch (error) {
      log("relay node's tokens not read", { error: describeError(error) });
      if (this.#due) this.#setDue({ ...this.#due, at: now + again });
    }
  }

  /** Forgets all: the node was deleted. */
  forget(): void {
    this.#known = [];
    this.#object.kv.delete(KEY);
    if (this.#due) this.#setDue(null);
  }

  #setDue(due: Due | null): void {
    this.#due = due;
    if (due) this.#object.kv.put(DUE_KEY, due);
    else this.#object.kv.delete(DUE_KEY);
  }

  async #readNow(): Promise<void> {
    const known = await this.#object.read();
    if (JSON.stringify(known) === JSON.stringify(this.#known)) return;
    this.#known = known;
    if (known.length === 0) this.#object.kv.delete(KEY);
    else this.#object.kv.put(KEY, known);
    this.#object.changed();
  }
}
