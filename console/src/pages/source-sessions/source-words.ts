/** What a source session's errors mean, in words. Pure. */

const FAILED: Record<string, string> = {
  "code-required": "the service wants a two-factor code: make another session with it",
  "code-invalid": "the two-factor code was wrong",
  "invalid-credentials": "the credentials were wrong",
  "source-locked": "the service has locked the account",
  "service-unavailable": "the connector, or the service behind it, could not be used",
  "verification-timeout": "the connector's answer was never recorded",
};

const EXPIRED: Record<string, string> = {
  service: "the service ended it",
  api: "it was not used for too long, or its time was over",
  organisation: "an API key or an operator ended it",
  admin: "whoever runs the deployment ended it",
};

/** Why a session failed or expired; null: it has not. A code that is not known is shown as it is. */
export function whyWords(session: { state: string; error: string | null }): string | null {
  if (session.error === null) return null;
  const words = session.state === "failed" ? FAILED : EXPIRED;
  return words[session.error] ?? session.error;
}

/** The marks of the states. */
export const STATE_KINDS = {
  pending: "warn",
  active: "good",
  failed: "bad",
  expired: "plain",
} as const;
