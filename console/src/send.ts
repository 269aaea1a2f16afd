/** Sends the requests of the console: none for ever, and none twice where the answer to the first was lost. */

/** How long the console waits for an answer. */
export const TIMEOUT_MS = 15_000;

/**
 * POSTs whose answer was lost, with their idempotency keys. The service may have done what they ask: sent
 * again with its key, the same request gets the answer that was lost.
 */
const unanswered = new Map<string, string>();

/** Sends a request. */
export async function send(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  // Whoever has no credential signs in. What they send is a secret, and is not kept.
  const isWrite = request.method !== "GET" && request.headers.has("Authorization");
  if (!isWrite) return fetch(request, { signal });
  const text = `${request.method} ${request.url}\n${organisationOf(request)}\n${await request.clone().text()}`;
  const key = unanswered.get(text) ?? newKey();
  if (request.method === "POST") {
    request.headers.set("Idempotency-Key", key);
    unanswered.set(text, key);
  }
  const answer = await fetch(request, { signal });
  // Once something else is done, the same request is a new wish: to turn on again what was turned off.
  if (await isAnswer(answer)) unanswered.clear();
  return answer;
}

/** Whether it says what became of the request. */
async function isAnswer(answer: Response): Promise<boolean> {
  if (answer.status >= 500 || answer.headers.get("Content-Type")?.includes("html")) return false;
  if (answer.status !== 409) return true;
  return !(await answer.clone().text()).includes("idempotency-key-running");
}

function organisationOf(request: Request): string {
  return request.headers.get("X-Organisation-Id") ?? "";
}

/** Not randomUUID: a page that came over plain HTTP has none. */
function newKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
