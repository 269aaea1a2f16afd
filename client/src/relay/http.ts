/** The two calls of the API that a participant makes before it connects. */
import { RelayError } from "./error.js";

/** Attempts in all, where the network or the service fails. */
const ATTEMPTS = 4;
const FIRST_WAIT_MS = 300;

/**
 * Posts JSON, and gives the answer. Where the network or the service fails it is tried again: the key of
 * `Idempotency-Key` makes all attempts one call.
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
    let response: Response | undefined;
    let failure: unknown;
    try {
      response = await fetch(url, request);
      const answer = await readJson(response);
      if (response.ok) return answer as Answer;
      failure = new RelayError(answer?.message ?? `${url} answered ${response.status}`, {
        status: response.status,
        code: answer?.code ?? null,
        retryAfter: Number(response.headers.get("retry-after")) || null,
      });
    } catch (cause) {
      failure = new RelayError(`${url} cannot be reached`, { cause });
    }
    const isRefused = response !== undefined && response.status < 500;
    if (isRefused || signal.aborted || attempt === ATTEMPTS) throw failure;
    await new Promise((next) => setTimeout(next, FIRST_WAIT_MS * 2 ** (attempt - 1)));
  }
}

/** Not `randomUUID`: pages over plain HTTP, such as of a developer's own machine, do not have it. */
function randomText(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

// biome-ignore lint/suspicious/noExplicitAny: the caller knows what is answered
async function readJson(response: Response): Promise<any> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
