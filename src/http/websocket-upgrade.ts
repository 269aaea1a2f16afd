/** Tells requests for a websocket from others. Called by every operation that answers 101, and by CORS. */
import { type Call, Refused } from "./request-context";

/** Whether a request asks for a websocket. */
export function isUpgrade(c: Call): boolean {
  return c.req.header("Upgrade")?.toLowerCase() === "websocket";
}

/**
 * Refuses a call of a websocket's path that is no upgrade.
 * @throws Refused 426
 */
export function requireUpgrade(c: Call): void {
  if (isUpgrade(c)) return;
  throw new Refused({
    status: 426,
    code: "upgrade-required",
    message: "This is a websocket link: connect to it with a websocket client.",
    headers: { Upgrade: "websocket" },
  });
}
