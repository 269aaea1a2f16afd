/** Sending again what did not arrive at a webhook endpoint, and how far it is. */
import { getWebhookRecovery, startWebhookRecovery, type WebhookEndpoint } from "drawbridge-client";
import { useState } from "preact/hooks";
import { CallError, result } from "../../call";
import { untilFinal, useLive } from "../../live";
import { fromLocalInput, toLocalInput } from "../../local-time";
import { Field, Form } from "../../parts/form";
import { LiveView } from "../../parts/list";
import { Badge } from "../../parts/text";
import { goTo } from "../../routes";
import { serviceNow } from "../../service-clock";

const HOUR_MS = 3_600_000;

/** Windows that are chosen often. */
const PRESETS: readonly [words: string, ms: number][] = [
  ["Last hour", HOUR_MS],
  ["Last day", 24 * HOUR_MS],
  ["Last 7 days", 7 * 24 * HOUR_MS],
];

interface RecoveryProps {
  endpoint: WebhookEndpoint;
  /** The recovery whose progress is shown; null: none. There is no list of them. */
  id: string | null;
}

/** Starts a recovery, and shows its progress. Its id stands in the address, so that a reload shows it again. */
export function Recovery({ endpoint, id }: RecoveryProps) {
  return (
    <>
      <p class="muted">
        It sends again what did not arrive here: what failed, what was discarded, and what waits for
        a later attempt, each once.
      </p>
      {id !== null && <Progress id={id} />}
      {endpoint.enabled ? (
        <Start endpoint={endpoint} />
      ) : (
        <p>The endpoint is disabled. Enable it first.</p>
      )}
    </>
  );
}

function Start({ endpoint: { id } }: { endpoint: WebhookEndpoint }) {
  const [since, setSince] = useState(() => toLocalInput(serviceNow.peek() - HOUR_MS));
  const start = async () => {
    const time = fromLocalInput(since);
    if (time === null) throw new CallError("Say since when.", null, null);
    const recovery = await result(startWebhookRecovery({ path: { id }, body: { since: time } }));
    goTo("webhooks", id, "recoveries", recovery.id);
  };
  return (
    <Form submit={start} needs="webhooks:write" verb="Send again what did not arrive">
      <Field label="Events since" hint="By your clock. At most 14 days ago.">
        {(props) => (
          <input
            {...props}
            type="datetime-local"
            value={since}
            onInput={(event) => setSince(event.currentTarget.value)}
            required
          />
        )}
      </Field>
      <div class="buttons">
        {PRESETS.map(([words, ms]) => (
          <button
            type="button"
            class="quiet"
            key={words}
            onClick={() => setSince(toLocalInput(serviceNow.peek() - ms))}
          >
            {words}
          </button>
        ))}
      </div>
    </Form>
  );
}

function Progress({ id }: { id: string }) {
  const ask = () => result(getWebhookRecovery({ path: { id } }));
  const live = useLive(
    untilFinal(ask, ({ status }) => status === "finished"),
    [id],
  );
  return (
    <section class="card" aria-label="The recovery">
      <LiveView live={live} quiet>
        {({ status, resent, since, until }) => (
          <p role="status">
            <Badge kind={status === "finished" ? "good" : "warn"}>{status}</Badge>{" "}
            {resent === 1 ? "1 delivery is" : `${resent} deliveries are`} sent again, of events from{" "}
            {new Date(since).toLocaleString()} to {new Date(until).toLocaleString()}.
            {status === "finished" && " What became of them is below."}
          </p>
        )}
      </LiveView>
    </section>
  );
}
