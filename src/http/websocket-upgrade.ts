/** Refuses a call of a websocket's path that is no upgrade. Called by every operation that answers 101. */
import { type Call, Refused } from "./request-context";

/** @throws Refused 426 */
export function requireUpgrade(c: Call): void {
  if (c.req.header("Upgrade")?.toLowerCase() === "websocket") return;
  throw new Refused({
    status: 426,
    code: "upgrade-required",
    message: "This is a websocket link: connect to it with a websocket client.",
    headers: { Upgrade: "websocket" },
  });
}
