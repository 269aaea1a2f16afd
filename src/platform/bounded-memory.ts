/** Keeps what an isolate or an object remembers in memory bounded. */

/** Drops the oldest entry of a map that holds more than `most`: call it after each insertion. */
export function dropOldest<K>(map: Map<K, unknown>, most: number): void {
  if (map.size <= most) return;
  const oldest = map.keys().next().value;
  if (oldest !== undefined) map.delete(oldest);
}
