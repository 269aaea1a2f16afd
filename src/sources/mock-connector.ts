/**
 * The built-in connector, for tests. The identifier of the source says how it answers: `+lost`, `+slow`,
 * `+locked`, `+2fa`.
 */
import { pause } from "../platform/wait";
import type { Credentials, VerificationOutcome } from "./connector";

const PASSWORD = "abcd1234";
const CODE = "123456";
const SLOW_MS = 3_000;

/** The outcome for these credentials; null: it never answers. */
export async function verifyWithMock(
  identifier: string,
  payload: Credentials,
): Promise<VerificationOutcome | null> {
  if (identifier.includes("+lost")) return null;
  if (identifier.includes("+slow")) await pause(SLOW_MS);
  const failed = (error: "source-locked" | "invalid-credentials" | "code-required") =>
    ({ result: "failed", error }) as const;
  if (identifier.includes("+locked")) return failed("source-locked");
  if (payload.password !== PASSWORD) return failed("invalid-credentials");
  const needsCode = identifier.includes("+2fa");
  if (needsCode && String(payload.code ?? "") !== CODE) return failed("code-required");
  return { result: "active", expiresAt: null };
}
