/** Makes D1 say that it is as large as a test needs. */
import { env } from "cloudflare:workers";
import { call } from "./client";

/** The limit of the tests: that of wrangler.toml. */
const LIMIT_BYTES = Number(env.DATABASE_LIMIT_BYTES);

type Answer = { meta: { size_after: number } };

/**
 * While `work` runs, D1 says in its answers to these statements that it is full to this share of its limit.
 * `work` begins after the health was asked, and all is over after it was asked again, which tells the Worker
 * the real size.
 * @param share may be a function, which is asked each time
 */
export async function whileFullTo<T>(
  share: number | (() => number),
  work: () => Promise<T>,
  statements = /./,
): Promise<T> {
  const session = Object.getPrototypeOf(env.DB.withSession());
  const send = session._send;
  session._send = async function (...args: unknown[]) {
    const answer: Answer | Answer[] = await send.apply(this, args);
    if (statements.test([args[1]].flat().join("\n"))) {
      const size = (typeof share === "number" ? share : share()) * LIMIT_BYTES;
      for (const { meta } of [answer].flat()) meta.size_after = size;
    }
    return answer;
  };
  try {
    await call("GET", "/v1/health");
    return await work();
  } finally {
    session._send = send;
    await call("GET", "/v1/health");
  }
}
