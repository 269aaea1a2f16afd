/** Whether a webhook endpoint works. */
import type { WebhookEndpoint } from "drawbridge-client";
import { Age, Badge } from "../../parts/text";

/** The health of an endpoint in a few words. */
export function Health({ endpoint }: { endpoint: WebhookEndpoint }) {
  const { enabled, disabled_reason, failing_since } = endpoint;
  if (enabled) {
    if (failing_since === null) return <Badge kind="good">enabled</Badge>;
    return (
      <>
        <Badge kind="warn">failing</Badge> for <Age since={failing_since} />
      </>
    );
  }
  if (disabled_reason === null) return <Badge>disabled</Badge>;
  return (
    <>
      <Badge kind="bad">disabled by Drawbridge</Badge> {REASONS[disabled_reason]}
    </>
  );
}

const REASONS = {
  gone: "Its receiver answered 410: it wants nothing more.",
  failing: "Nothing has arrived for 5 days.",
};

/** Which events an endpoint hears of, in short. */
export function eventsInShort({ event_types, format }: WebhookEndpoint): string {
  const shown = event_types?.slice(0, 3).join(", ") ?? "all";
  const more = (event_types?.length ?? 0) - 3;
  return (
    shown + (more > 0 ? ` and ${more} more` : "") + (format === "ricloud" ? ", as ricloud" : "")
  );
}
