/** Sends a test event to a webhook endpoint, and shows what came back. */
import { testWebhookEndpoint, type WebhookAttempt } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { Action } from "../../parts/action";
import { Attempt } from "./attempt";

/** The test of an endpoint. */
export function EndpointTest({ id }: { id: string }) {
  const [attempt, setAttempt] = useState<WebhookAttempt | null>(null);
  const test = async () => {
    setAttempt(null);
    setAttempt(await result(testWebhookEndpoint({ path: { id } })));
  };
  return (
    <>
      <p class="muted">
        It posts a test event to this endpoint alone, at once, also while it is disabled. It is not
        repeated.
      </p>
      <Action run={test} needs="webhooks:write">
        Send a test
      </Action>
      <div role="status">{attempt && <Attempt attempt={attempt} title="The test" />}</div>
    </>
  );
}
