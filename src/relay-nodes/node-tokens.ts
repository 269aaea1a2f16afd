/**
 * Which tokens of a node work, as its object knows them: as D1 had them when it last looked. It looks when
 * the node's owner has changed them, and when it does not know the token of a link. So a token that was
 * replaced while its link was on the way is refused here, and a node can link again while D1 is down.
 */
import type { NodeToken } from "../session/relay-node";

const KEY = "tokens";

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
  /** The reading that runs. One after the other: what was read before must not count after what was read later. */
  #reading: Promise<void> = Promise.resolve();

  constructor(object: TokensContext) {
    this.#object = object;
    this.#known = object.kv.get<readonly NodeToken[]>(KEY) ?? [];
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

  /** Forgets all: the node was deleted. */
  forget(): void {
    this.#known = [];
    this.#object.kv.delete(KEY);
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
