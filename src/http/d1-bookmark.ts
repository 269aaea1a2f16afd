/**
 * The header X-D1-Bookmark. Callers who send it get lists from the copy of D1 that is nearest, a few seconds
 * old at most, and with all that they have changed themselves: `docs/conventions.md`. All others get lists
 * from the primary.
 */
import { readNear } from "../db/near";
import type { AnyReply } from "./operation";
import type { Call } from "./request-context";

const BOOKMARK_HEADER = "X-D1-Bookmark";

/** Stands for a bookmark that only the primary has: of callers who have none yet, or have changed something. */
const LATEST = "latest";

/**
 * Answers a list. `answer` reads from `c.get("db")`, may run twice, and changes nothing. The caller is told a
 * bookmark if they sent `latest`, or one that the primary does not know.
 */
export async function answerFromNearby(
  c: Call,
  answer: () => Promise<AnyReply | Response>,
): Promise<AnyReply | Response> {
  const header = c.req.header(BOOKMARK_HEADER);
  if (header === undefined) return answer();
  const sent = header || LATEST;
  const now = Date.now();
  // `latest` sorts behind every bookmark, since those begin with a hexadecimal digit: so the primary answers it.
  const { value, bookmark } = await readNear(c.get("db"), { now, atLeast: sent }, (db) => {
    c.set("db", db);
    return answer();
  });
  // Lists answer replies. What is a Response is something else.
  if (bookmark === null || sent <= bookmark || value instanceof Response) return value;
  return { ...value, headers: { ...value.headers, [BOOKMARK_HEADER]: bookmark } };
}

/**
 * The header that tells the caller of a change that their bookmark is too old from now on; none for callers who
 * sent no bookmark. The Worker knows no better one: what changes a session is written to D1 by the session's
 * Durable Object.
 */
export function changeHeaders(c: Call): Readonly<Record<string, string>> | undefined {
  const { method } = c.req;
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return undefined;
  return c.req.header(BOOKMARK_HEADER) === undefined ? undefined : { [BOOKMARK_HEADER]: LATEST };
}
