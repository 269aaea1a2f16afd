/** The two calls of the API that a participant makes before it connects. */
import { RelayError } from "./error.js";

/** Attempts in all, where the network or the service fails. */
const ATTEMPTS = 4;
const FIRST_WAIT_MS = 300;

/**
 * Posts JSON, and gives the answer. Where the network or the service fails, or the answer is cut, it is tried
 * again: the key of `Idempotency-Key` makes all attempts one call.
 * @param timeoutMs for all attempts together
 * @throws RelayError if it is refused, or cannot be made
 */
export async function postOnce<Answer>(
  url: string,
  body: unknown,
  { key, timeoutMs }: { key?: string | undefined; timeoutMs: number },
): Promise<Answer> {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "idempotency-key": randomText(),
  };
  if (key !== undefined) headers.authorization = `Bearer ${key}`;
  const signal = AbortSignal.timeout(timeoutMs);
  const request = { method: "POST", headers, body: JSON.stringify(body), signal };
  for (let attempt = 1; ; attempt++) {
    let failure: unknown;
    let isRefused = false;
    try {
      const response = await fetch(url, request);
      // Null: the answer was cut, or is no JSON. Then it is lost, like one that did not come.
      const answer = await response.json().catch(() => null);
      if (response.ok && answer) return answer;
      const { ok, status, headers } = response;
      isRefused = !ok && status < 500;
      failure = new RelayError(
        answer?.message ?? `${url} answered ${ok ? "without JSON" : status}`,
        {
          status,
          code: answer?.code ?? null,
          retryAfter: Number(headers.get("retry-after")) || null,
        },
      );
    } catch (cause) {
      failure = new RelayError(`${url} cannot be reached`, { cause });
    }
    if (isRefused || signal.aborted || attempt === ATTEMPTS) throw failure;
    await new Promise((next) => setTimeout(next, FIRST_WAIT_MS * 2 ** (attempt - 1)));
  }
}

/** Not `randomUUID`: pages over plain HTTP, such as of a developer's own machine, do not have it. */
function randomText(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
