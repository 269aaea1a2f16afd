/** Where a caller is on Earth. Called where a relay session is made, and where a relay node links. */
import type { Place } from "../relay-nodes/places";
import type { Call } from "./request-context";

/** Where the caller is, as Cloudflare says; null: it does not. */
export function placeOf(c: Call): Place | null {
  const { latitude, longitude } = c.req.raw.cf ?? {};
  if (typeof latitude !== "string" || typeof longitude !== "string") return null;
  return { latitude: Number(latitude), longitude: Number(longitude) };
}
