/**
 * Who is there: for the host the clients, for a client the host. After a cut the relay says again who is
 * there, and not who left meanwhile; so this compares, and everyone who comes or goes is told once. Pure.
 */
export class Presence {
  #present = new Set<number>();
  /** Who was there before the cut, and has not been seen since. */
  #unseen = new Set<number>();

  /** Who is there now, by connection id. */
  get all(): ReadonlySet<number> {
    return this.#present;
  }

  /** @returns whether this is new */
  joined(id: number): boolean {
    this.#unseen.delete(id);
    if (this.#present.has(id)) return false;
    this.#present.add(id);
    return true;
  }

  /** @returns whether this is new */
  left(id: number): boolean {
    this.#unseen.delete(id);
    return this.#present.delete(id);
  }

  /** The connection is there again: the relay will say who is there. */
  reconnected(): void {
    this.#unseen = new Set(this.#present);
  }

  /**
   * The relay has said who is there.
   * @returns who left meanwhile
   */
  settled(): number[] {
    const gone = [...this.#unseen];
    for (const id of gone) this.left(id);
    return gone;
  }

  /** Forgets everyone: this user has another role now. */
  clear(): void {
    this.#present.clear();
    this.#unseen.clear();
  }
}
