/** One attempt of a delivery, or of a test: when, how long, and what came back. */
import type { WebhookAttempt } from "drawbridge-client";
import { Ago, Badge } from "../../parts/text";
import { showText } from "../../show-text";
import { attemptWords, hasArrived } from "./attempt-words";

/** An attempt in full. The receiver's answer is text of somebody else. */
export function Attempt({ attempt, title }: { attempt: WebhookAttempt; title: string }) {
  const { at, duration_ms, status_code, response, error } = attempt;
  return (
    <section class="card attempt" aria-label={title}>
      <p>
        <strong>{title}</strong>{" "}
        <Badge kind={hasArrived(attempt) ? "good" : "bad"}>{status_code ?? "no answer"}</Badge>{" "}
        {attemptWords(attempt)}
      </p>
      <p class="muted">
        <Ago at={at} />, {new Date(at).toLocaleString()}, took {duration_ms} ms
      </p>
      {error !== null && <p class="problem">{showText(error)}</p>}
      {status_code !== null &&
        (response ? (
          <>
            <p class="muted">The receiver answered (the first 1 KB):</p>
            <pre class="answer">{showText(response)}</pre>
          </>
        ) : (
          <p class="muted">The answer had no text.</p>
        ))}
    </section>
  );
}
