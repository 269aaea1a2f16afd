/** Works on many items, a few of them side by side. */

/**
 * Does the work of each item, of so many at the same time. It never throws: one that fails stops no other.
 * @returns what became of each, in the order of the items
 */
export async function sideBySide<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<PromiseSettledResult<R>[]> {
  const outcomes = new Array<PromiseSettledResult<R>>(items.length);
  // Shared: each takes the next item when it has done one.
  const left = items.entries();
  const takeItems = async () => {
    for (const [index, item] of left) {
      [outcomes[index]] = await Promise.allSettled([work(item)]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, takeItems));
  return outcomes;
}
