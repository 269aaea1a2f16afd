/** Refuses what would add rows to a D1 that is nearly full. */
import { heardSize, isFull } from "../db/size";
import { type Call, Refused } from "./request-context";

/** So long a caller is asked to wait. Callers cannot make room themselves; by then, an operator may have. */
const RETRY_AFTER_SECONDS = 60;

/**
 * Refuses a create while D1 is nearly full. At its limit D1 refuses every write, also those that end sessions
 * and revoke access: what is left is kept for these.
 * @throws Refused 503
 */
export async function requireSpace(c: Call): Promise<void> {
  const { databaseLimitBytes } = c.get("config");
  if (!(await isFull(c.get("db"), databaseLimitBytes, Date.now()))) return;
  const percent = Math.floor(((heardSize() ?? 0) / databaseLimitBytes) * 100);
  throw new Refused({
    status: 503,
    code: "database-full",
    message: `The database of this deployment is nearly full (${percent} %), so nothing new is stored, and nothing of yours was. What exists goes on working, and can be ended and deleted. Try again later; whoever runs the deployment makes room.`,
    headers: { "Retry-After": String(RETRY_AFTER_SECONDS) },
  });
}
