/** Makes D1 itself fail, for the statements that a test names. */
import { env } from "cloudflare:workers";

/** While `work` runs, D1 refuses every call in which one statement matches. */
export async function whileD1Refuses<T>(statements: RegExp, work: () => Promise<T>): Promise<T> {
  const session = Object.getPrototypeOf(env.DB.withSession());
  const send = session._send;
  session._send = function (...args: unknown[]) {
    return statements.test([args[1]].flat().join("\n"))
      ? Promise.reject(new Error("D1_ERROR: refused by the test"))
      : send.apply(this, args);
  };
  try {
    return await work();
  } finally {
    session._send = send;
  }
}
