/** Sends the requests of the console: none is done twice because the answer to the first was lost. */

/**
 * POSTs whose answer was lost, with their idempotency keys. The service may have done what they ask: sent
 * again with its key, the same request gets the answer that was lost.
 */
const unanswered = new Map<string, string>();

/** Sends a request. */
export async function send(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  // Whoever has no credential signs in. What they send is a secret, and is not kept.
  const isWrite = request.method !== "GET" && request.headers.has("Authorization");
  if (!isWrite) return fetch(request);
  const answer = request.method === "POST" ? await sendOnce(request) : await fetch(request);
  // Once something is done, the same request is a new wish: to turn on again what was turned off since.
  if (await isAnswer(answer)) unanswered.clear();
  return answer;
}

/** Sends a POST with the key of the same request before, if that one got no answer. */
async function sendOnce(request: Request): Promise<Response> {
  const { url, method, headers, cache, credentials, signal } = request;
  const body = await request.text();
  const text = [url, headers.get("X-Organisation-Id"), body].join("\n");
  const key = unanswered.get(text) ?? newKey();
  unanswered.set(text, key);
  headers.set("Idempotency-Key", key);
  return fetch(url, { method, headers, body: body || null, cache, credentials, signal });
}

/** Whether it says what became of the request. */
async function isAnswer(answer: Response): Promise<boolean> {
  if (answer.status >= 500 || answer.headers.get("Content-Type")?.includes("html")) return false;
  if (answer.status !== 409) return true;
  return !(await answer.clone().text()).includes("idempotency-key-running");
}

/** Not randomUUID: a page that came over plain HTTP has none. */
function newKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
