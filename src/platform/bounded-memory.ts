/** Puts a bound on the maps in which an isolate or a Durable Object remembers things. */

/**
 * Deletes the oldest entry of a map when the map has more than `most` entries. Call it after each
 * insertion. A JavaScript map keeps its entries in the order of their insertion; to make an entry the
 * newest, delete it before you set it again.
 */
export function dropOldest<K>(map: Map<K, unknown>, most: number): void {
  if (map.size <= most) return;
  const oldest = map.keys().next().value;
  if (oldest !== undefined) map.delete(oldest);
}
