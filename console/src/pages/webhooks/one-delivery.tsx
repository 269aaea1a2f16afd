/** One delivery: every attempt and what came back, sending it again, and the event that it tells of. */
import {
  getEvent,
  getWebhookDelivery,
  resendWebhookDelivery,
  type WebhookDelivery,
} from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { untilFinal, useLive } from "../../live";
import { Action, Needs } from "../../parts/action";
import { LiveView } from "../../parts/list";
import { Back } from "../../parts/tabs";
import { Copyable, Untrusted } from "../../parts/text";
import { href } from "../../routes";
import { may } from "../../signed-in";
import { Payload } from "../events/payload";
import { Attempt } from "./attempt";
import { NextAttempt, StatusBadge } from "./deliveries";

/** `#/webhooks/deliveries/{id}`. */
export function OneDelivery({ id }: { id: string }) {
  const live = useLive(() => result(getWebhookDelivery({ path: { id } })), [id]);
  return (
    <>
      <Back to={["webhooks", "deliveries"]}>All deliveries</Back>
      <h1>Delivery</h1>
      <LiveView live={live}>
        {(delivery) => <Shown delivery={delivery} refresh={live.refresh} />}
      </LiveView>
    </>
  );
}

interface ShownProps {
  delivery: WebhookDelivery;
  refresh: () => Promise<void>;
}

function Shown({ delivery, refresh }: ShownProps) {
  const { attempts } = delivery;
  return (
    <>
      <Facts delivery={delivery} />
      <Resend delivery={delivery} refresh={refresh} />
      <h2>Attempts</h2>
      {attempts.length === 0 && <p class="muted">It was not sent yet.</p>}
      {attempts
        .map((attempt, index) => (
          <Attempt key={index} attempt={attempt} title={`Attempt ${index + 1}`} />
        ))
        .toReversed()}
      <h2>The event</h2>
      {may("events:read") ? (
        <EventOf delivery={delivery} />
      ) : (
        <p class="muted">
          To see it <Needs permission="events:read" />.
        </p>
      )}
    </>
  );
}

function Facts({ delivery }: { delivery: WebhookDelivery }) {
  const { id, endpoint_id, event_id, event_type, url, status, next_attempt_at } = delivery;
  return (
    <dl class="facts">
      <dt>Status</dt>
      <dd>
        <StatusBadge status={status} /> {MEANINGS[status]}
      </dd>
      <dt>Next attempt</dt>
      <dd>
        <NextAttempt at={next_attempt_at} />
      </dd>
      <dt>Event</dt>
      <dd>
        <a href={href("events", event_id)}>{event_type}</a>
      </dd>
      <dt>To</dt>
      <dd>
        <Untrusted text={url} />
      </dd>
      <dt>Endpoint</dt>
      <dd>
        {endpoint_id === null ? (
          "none: it is the webhook_url of a relay session"
        ) : (
          <a href={href("webhooks", endpoint_id)}>{endpoint_id}</a>
        )}
      </dd>
      <dt>Id</dt>
      <dd>
        <Copyable text={id} label="the id" />
      </dd>
    </dl>
  );
}

const MEANINGS: Record<WebhookDelivery["status"], string> = {
  pending: "The next attempt is planned.",
  delivered: "It arrived.",
  failed: "No attempt is planned any more, and none arrived.",
  discarded:
    "There was nowhere to send it: its endpoint was deleted or disabled, or its address is not allowed any more.",
};

function Resend({ delivery: { id }, refresh }: ShownProps) {
  const [isSent, setIsSent] = useState(false);
  const resend = async () => {
    setIsSent(false);
    await result(resendWebhookDelivery({ path: { id } }));
    setIsSent(true);
    await refresh();
  };
  return (
    <p class="action">
      <Action run={resend} needs="webhooks:write">
        Send again
      </Action>
      {isSent && <span role="status">It is being sent. The answer appears below.</span>}
    </p>
  );
}

function EventOf({ delivery: { event_id } }: { delivery: WebhookDelivery }) {
  const ask = () => result(getEvent({ path: { id: event_id } }));
  const live = useLive(
    untilFinal(ask, () => true),
    [event_id],
  );
  return (
    <LiveView live={live} quiet>
      {(event) => <Payload value={event} label="the event" />}
    </LiveView>
  );
}
