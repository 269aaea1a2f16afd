/** One webhook endpoint: its facts, what can be done with it, and its deliveries. */
import {
  deleteWebhookEndpoint,
  type EventPattern,
  getWebhookEndpoint,
  getWebhookEndpointSecret,
  rotateWebhookEndpointSecret,
  updateWebhookEndpoint,
  type WebhookEndpoint,
} from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { useLive } from "../../live";
import { Action } from "../../parts/action";
import { LiveView } from "../../parts/list";
import { Back } from "../../parts/tabs";
import { Ago, Copyable, Untrusted } from "../../parts/text";
import { goTo } from "../../routes";
import { Deliveries, StatusSelect } from "./deliveries";
import { type EndpointFields, EndpointForm } from "./endpoint-form";
import { Health } from "./endpoint-health";
import { EndpointTest } from "./endpoint-test";
import { Recovery } from "./recovery";
import { SigningSecret } from "./signing-secret";

interface OneEndpointProps {
  id: string;
  /** The id of the recovery whose progress is shown; null: none. */
  recovery: string | null;
}

/** `#/webhooks/{id}`, `#/webhooks/{id}/recoveries/{recovery}`. */
export function OneEndpoint({ id, recovery }: OneEndpointProps) {
  const live = useLive(() => result(getWebhookEndpoint({ path: { id } })), [id]);
  const [status, setStatus] = useState<string | null>(null);
  return (
    <>
      <Back to={["webhooks"]}>All endpoints</Back>
      <h1>Webhook endpoint</h1>
      <LiveView live={live}>
        {(endpoint) => (
          <>
            <Facts endpoint={endpoint} refresh={live.refresh} />
            <h2>Test</h2>
            <EndpointTest id={id} />
            <h2>Recover</h2>
            <Recovery endpoint={endpoint} id={recovery} />
            <details class="more">
              <summary>The secret of this endpoint</summary>
              <SigningSecret
                owner="this endpoint"
                read={() => result(getWebhookEndpointSecret({ path: { id } }))}
                rotate={(grace_seconds) =>
                  result(rotateWebhookEndpointSecret({ path: { id }, body: { grace_seconds } }))
                }
                signsAlone={endpoint.format === "ricloud"}
              />
            </details>
          </>
        )}
      </LiveView>
      <h2>Deliveries</h2>
      <div class="filters">
        <StatusSelect value={status} change={setStatus} />
      </div>
      <Deliveries filters={{ status, event_type: null, endpoint: id, event: null }} quiet />
    </>
  );
}

interface FactsProps {
  endpoint: WebhookEndpoint;
  refresh: () => Promise<void>;
}

function Facts({ endpoint, refresh }: FactsProps) {
  const [isEdited, setIsEdited] = useState(false);
  const { id, url, description, event_types, format, created_at } = endpoint;
  const change = async (body: Parameters<typeof updateWebhookEndpoint>[0]["body"]) => {
    await result(updateWebhookEndpoint({ path: { id }, body }));
    await refresh();
  };
  const save = async (fields: EndpointFields) => {
    await change(changesOf(endpoint, fields));
    setIsEdited(false);
  };
  if (isEdited) {
    return (
      <section class="card" aria-label="Change the endpoint">
        <EndpointForm
          initial={{ url, description, event_types }}
          verb="Save"
          submit={save}
          cancel={() => setIsEdited(false)}
        />
      </section>
    );
  }
  return (
    <>
      <dl class="facts">
        <dt>Address</dt>
        <dd>
          <Untrusted text={url} />
        </dd>
        <dt>Health</dt>
        <dd>
          <Health endpoint={endpoint} />
        </dd>
        <dt>Description</dt>
        <dd>
          <Untrusted text={description} />
        </dd>
        <dt>Events</dt>
        <dd>{event_types === null ? "all" : event_types.join(", ")}</dd>
        <dt>Format</dt>
        <dd>{format}</dd>
        <dt>Made</dt>
        <dd>
          <Ago at={created_at} />
        </dd>
        <dt>Id</dt>
        <dd>
          <Copyable text={id} label="the id" />
        </dd>
      </dl>
      <div class="buttons">
        <Action run={async () => setIsEdited(true)} needs="webhooks:write">
          Edit
        </Action>
        <Switch endpoint={endpoint} change={change} />
        <Action
          run={async () => {
            await result(deleteWebhookEndpoint({ path: { id } }));
            goTo("webhooks");
          }}
          needs="webhooks:write"
          kind="danger"
          ask={{
            title: "Delete the endpoint?",
            body: (
              <p>
                Nothing is sent to <Untrusted text={url} /> any more. What is still owed to it is
                not sent, and cannot be recovered.
              </p>
            ),
          }}
        >
          Delete
        </Action>
      </div>
    </>
  );
}

interface SwitchProps {
  endpoint: WebhookEndpoint;
  change: (body: { enabled: boolean }) => Promise<void>;
}

function Switch({ endpoint: { enabled, url }, change }: SwitchProps) {
  if (!enabled) {
    return (
      <Action run={() => change({ enabled: true })} needs="webhooks:write" kind="main">
        Enable
      </Action>
    );
  }
  return (
    <Action
      run={() => change({ enabled: false })}
      needs="webhooks:write"
      ask={{
        title: "Disable the endpoint?",
        body: (
          <p>
            Nothing is sent to <Untrusted text={url} /> until it is enabled again. What is owed to
            it is discarded, and can be recovered then. Events that happen meanwhile make no
            delivery for it.
          </p>
        ),
      }}
    >
      Disable
    </Action>
  );
}

/** Only what the person has changed: the rest stays as it is, even if somebody else changed it meanwhile. */
function changesOf(before: WebhookEndpoint, fields: EndpointFields) {
  const { url, description, event_types } = fields;
  const isSame = JSON.stringify(event_types) === JSON.stringify(before.event_types);
  return {
    ...(url === before.url ? {} : { url }),
    ...(description === before.description ? {} : { description }),
    ...(isSame ? {} : { event_types: event_types as EventPattern[] | null }),
  };
}
