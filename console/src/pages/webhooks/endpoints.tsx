/** The webhook endpoints of the organisation, and making one. */
import {
  createWebhookEndpoint,
  type EventPattern,
  getOrganisationWebhookSecret,
  listWebhookEndpoints,
  type NewWebhookEndpoint,
  rotateOrganisationWebhookSecret,
} from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { useLive } from "../../live";
import { useFocusAtFirst } from "../../parts/focus";
import { FormBehindButton } from "../../parts/form";
import { curl, Empty, List, LiveView } from "../../parts/list";
import { Copyable, Untrusted } from "../../parts/text";
import { href } from "../../routes";
import { type EndpointFields, EndpointForm } from "./endpoint-form";
import { eventsInShort, Health } from "./endpoint-health";
import { SigningSecret } from "./signing-secret";

/** As many as an organisation may have: one page. */
const ALL = 100;

/** `#/webhooks`. */
export function Endpoints() {
  const live = useLive(() => result(listWebhookEndpoints({ query: { limit: ALL } })), []);
  return (
    <>
      <p class="muted">
        An endpoint is a URL of your server: what happens in your organisation is posted to it at
        once. There can be {ALL}.
      </p>
      <NewEndpoint made={live.refresh} />
      <LiveView live={live}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty
              call={curl("POST", "/v1/webhooks/endpoints", { url: "https://example.com/hooks" })}
            >
              There is no endpoint yet. Make one above, or with this call:
            </Empty>
          ) : (
            <List
              label="Webhook endpoints"
              rows={data}
              keyOf={({ id }) => id}
              columns={[
                {
                  title: "Address",
                  show: ({ id, url, description }) => (
                    <>
                      <a href={href("webhooks", id)}>
                        <Untrusted text={url} />
                      </a>
                      {description !== "" && (
                        <div class="muted">
                          <Untrusted text={description} />
                        </div>
                      )}
                    </>
                  ),
                },
                { title: "Health", show: (endpoint) => <Health endpoint={endpoint} /> },
                { title: "Events", show: eventsInShort },
              ]}
            />
          )
        }
      </LiveView>
      <details class="more">
        <summary>The secret of the organisation</summary>
        <p>
          It signs the webhooks that go to the <code>webhook_url</code> of a relay session. Each
          endpoint has a secret of its own, on its page.
        </p>
        <SigningSecret
          owner="the organisation"
          read={() => result(getOrganisationWebhookSecret())}
          rotate={(grace_seconds) =>
            result(rotateOrganisationWebhookSecret({ body: { grace_seconds } }))
          }
        />
      </details>
    </>
  );
}

/** Makes an endpoint, and shows its secret. */
function NewEndpoint({ made }: { made: () => Promise<void> }) {
  const [endpoint, setEndpoint] = useState<NewWebhookEndpoint | null>(null);
  const create = async ({ event_types, ...fields }: EndpointFields) => {
    const body = { ...fields, event_types: event_types as EventPattern[] | null };
    setEndpoint(await result(createWebhookEndpoint({ body })));
    await made();
  };
  if (endpoint) return <Made endpoint={endpoint} close={() => setEndpoint(null)} />;
  return (
    <FormBehindButton verb="New endpoint" needs="webhooks:write" label="New endpoint">
      {(close) => (
        <EndpointForm
          initial={{ url: "", description: "", event_types: null }}
          verb="Make the endpoint"
          submit={create}
          cancel={close}
        />
      )}
    </FormBehindButton>
  );
}

/** A new endpoint, with the secret that its receiver needs. */
function Made({ endpoint, close }: { endpoint: NewWebhookEndpoint; close: () => void }) {
  const card = useFocusAtFirst<HTMLElement>();
  return (
    <section class="card" aria-label="The new endpoint" tabIndex={-1} ref={card}>
      <p>
        <Untrusted text={endpoint.url} /> gets events from now on. Its receiver verifies them with
        this secret:
      </p>
      <p>
        <Copyable text={endpoint.secret} label="the secret" />
      </p>
      <div class="buttons">
        <a href={href("webhooks", endpoint.id)}>Test it</a>
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
    </section>
  );
}
