/**
 * The header X-D1-Bookmark, sent by itself: lists may come from a copy of the database that is near, and hold all
 * that this client has changed. What the header says: docs/conventions.md, "Lists from a copy near you".
 */
import type { Client } from "./api/client/index.js";

const HEADER = "X-D1-Bookmark";
/** Asks for a list of the primary, and for its bookmark. */
const LATEST = "latest";

/** What is known of a deployment. It is replaced and never changed, so that a call can tell whether it is the same. */
interface Known {
  baseUrl: unknown;
  bookmark: string;
}

/** Makes this client send its bookmark with every call, and keep what the answers say. */
export function keepBookmark(client: Client): Client {
  let known: Known = { baseUrl: undefined, bookmark: LATEST };
  /** What was known when a call was made, by its options: they are one object throughout a call. */
  const knownAt = new WeakMap<object, Known>();
  const forget = (baseUrl: unknown) => {
    known = { baseUrl, bookmark: LATEST };
  };

  client.interceptors.request.use((request, options) => {
    // A bookmark says nothing of another deployment. Only one is remembered: `latest` is always right.
    if (options.baseUrl !== known.baseUrl) forget(options.baseUrl);
    knownAt.set(options, known);
    // Whoever calls may have set it. All lists need a credential; for other calls, a browser would have to ask first.
    const { headers } = request;
    if (headers.has("Authorization") && !headers.has(HEADER)) headers.set(HEADER, known.bookmark);
    return request;
  });
  client.interceptors.response.use((response, request, options) => {
    const said = response.headers.get(HEADER);
    // Whatever the answer says: that of a proxy says nothing, and the change may have been made.
    if (mayChange(request, options)) forget(options.baseUrl);
    // A list that was asked for before the end of a change may lack it: its bookmark is not taken. Nor is a
    // second one of lists that were asked for at once: it may be older than the first.
    else if (said !== null && knownAt.get(options) === known) known = { ...known, bookmark: said };
    return response;
  });
  client.interceptors.error.use((error, response, request, options) => {
    // The answer was lost. The change may have been made.
    if (response === undefined && mayChange(request, options)) forget(known.baseUrl);
    return error;
  });
  return client;
}

/** Whether a call may have changed something. The RPC, at `/`, does that with GET too. */
function mayChange(request: Request | undefined, { url }: { url: string }): boolean {
  return request?.method !== "GET" || url === "/";
}
