/** Deliveries: what was sent to which address, and what became of it. */
import {
  type EventPattern,
  listWebhookDeliveries,
  listWebhookEndpoints,
  type WebhookDelivery,
} from "drawbridge-client";
import { result } from "../../call";
import { filterPart } from "../../filter-address";
import { useLive } from "../../live";
import { EventSelect } from "../../parts/event-pattern";
import { type Column, curl, Empty, List, LiveView, Pager, useCursors } from "../../parts/list";
import { Ago, Badge, Untrusted } from "../../parts/text";
import { goTo, href } from "../../routes";
import { serviceNow } from "../../service-clock";
import { showText } from "../../show-text";

const PAGE = 30;
/** Characters of the name of an endpoint in a filter. */
const LONGEST_CHOICE = 60;

/** The states of a delivery, and how they look. */
const STATUSES = {
  pending: "warn",
  delivered: "good",
  failed: "bad",
  discarded: "plain",
} as const;

/** What a list of deliveries shows; null: everything. */
export interface DeliveryFilters {
  status: string | null;
  event_type: string | null;
  /** The id of an endpoint. */
  endpoint: string | null;
  /** The id of an event. */
  event: string | null;
}

/** The state of a delivery. */
export function StatusBadge({ status }: Pick<WebhookDelivery, "status">) {
  return <Badge kind={STATUSES[status]}>{status}</Badge>;
}

/** The deliveries of the organisation. Their filters are in the address. */
export function DeliveriesOfAll({ filters }: { filters: DeliveryFilters }) {
  const endpoints = useLive(() => result(listWebhookEndpoints({ query: { limit: 100 } })), []);
  const known = endpoints.state.value.value?.data ?? [];
  const change = (part: Partial<DeliveryFilters>) => {
    const next = filterPart({ ...filters, ...part });
    if (next === "") goTo("webhooks", "deliveries");
    else goTo("webhooks", "deliveries", "filter", next);
  };
  return (
    <>
      <p class="muted">
        A delivery is one event on its way to one address. Those of the newest events are first.
      </p>
      <div class="filters">
        <StatusSelect value={filters.status} change={(status) => change({ status })} />
        <EventSelect value={filters.event_type} change={(event_type) => change({ event_type })} />
        <label>
          Endpoint
          <select
            value={filters.endpoint ?? ""}
            onChange={(event) => change({ endpoint: event.currentTarget.value || null })}
          >
            <option value="">All endpoints</option>
            {filters.endpoint !== null && !known.some(({ id }) => id === filters.endpoint) && (
              <option value={filters.endpoint}>{filters.endpoint}</option>
            )}
            {known.map(({ id, url, description }) => (
              <option value={id} key={id}>
                {inShort(description || url)}
              </option>
            ))}
          </select>
        </label>
      </div>
      {filters.event !== null && (
        <p>
          Only those of the event{" "}
          <a href={href("events", filters.event)}>
            <Untrusted text={filters.event} />
          </a>
          .{" "}
          <button type="button" onClick={() => change({ event: null })}>
            Show all
          </button>
        </p>
      )}
      <Deliveries filters={filters} />
    </>
  );
}

/** A filter by state. */
export function StatusSelect({
  value,
  change,
}: {
  value: string | null;
  change: (status: string | null) => void;
}) {
  return (
    <label>
      Status
      <select value={value ?? ""} onChange={(event) => change(event.currentTarget.value || null)}>
        <option value="">All</option>
        {Object.keys(STATUSES).map((status) => (
          <option value={status} key={status}>
            {status}
          </option>
        ))}
      </select>
    </label>
  );
}

interface DeliveriesProps {
  filters: DeliveryFilters;
  /** Something else on the page says already that it updates. */
  quiet?: boolean;
}

/** A list of deliveries. */
export function Deliveries({ filters, quiet = false }: DeliveriesProps) {
  const filter = filterPart({ ...filters });
  const cursors = useCursors(filter);
  const live = useLive(
    () =>
      result(
        listWebhookDeliveries({
          query: {
            limit: PAGE,
            cursor: cursors.current ?? undefined,
            status: (filters.status as WebhookDelivery["status"] | null) ?? undefined,
            event_type: (filters.event_type as EventPattern | null) ?? undefined,
            endpoint: filters.endpoint ?? undefined,
            event: filters.event ?? undefined,
          },
        }),
      ),
    [filter, cursors.current],
  );
  return (
    <LiveView live={live} quiet={quiet}>
      {({ data, next_cursor }) => (
        <>
          {data.length > 0 ? (
            <DeliveryList rows={data} withAddress={filters.endpoint === null} />
          ) : next_cursor !== null ? (
            <Empty>
              Nothing matched among the deliveries that were looked at. Older ones may: go on with
              "Older".
            </Empty>
          ) : (
            <NoDelivery filters={filters} />
          )}
          <Pager cursors={cursors} next={next_cursor} />
        </>
      )}
    </LiveView>
  );
}

/** Why there is nothing, and how to get the first delivery. */
function NoDelivery({ filters }: { filters: DeliveryFilters }) {
  const { endpoint, ...others } = filters;
  if (filterPart(others) !== "") {
    return <Empty>No delivery matches. They are kept for a limited time.</Empty>;
  }
  const test = `/v1/webhooks/endpoints/${encodeURIComponent(endpoint ?? "ENDPOINT")}:test`;
  return (
    <Empty call={curl("POST", test)}>
      Nothing was sent yet. An endpoint that is enabled gets the events that happen from then on.
      This call sends a test at once
      {endpoint === null && (
        <>
          , with the id of an endpoint in place of <code>ENDPOINT</code>
        </>
      )}
      :
    </Empty>
  );
}

interface DeliveryListProps {
  rows: readonly WebhookDelivery[];
  /** Whether they go to several addresses. */
  withAddress: boolean;
}

function DeliveryList({ rows, withAddress }: DeliveryListProps) {
  const columns: Column<WebhookDelivery>[] = [
    {
      title: "Event",
      show: ({ id, event_type }) => <a href={href("webhooks", "deliveries", id)}>{event_type}</a>,
    },
    { title: "Status", show: ({ status }) => <StatusBadge status={status} /> },
    { title: "Last answer", show: lastAnswer },
    { title: "Attempts", numeric: true, show: ({ attempts }) => attempts.length },
    { title: "Last attempt", show: ({ attempts }) => <Ago at={attempts.at(-1)?.at} /> },
    { title: "Next attempt", show: ({ next_attempt_at: at }) => <NextAttempt at={at} /> },
    { title: "To", show: ({ url }) => <Untrusted text={url} /> },
  ];
  return (
    <List
      label="Deliveries"
      rows={rows}
      keyOf={({ id }) => id}
      columns={withAddress ? columns : columns.slice(0, -1)}
    />
  );
}

/** The text of a choice. A long one would make the list of choices wider than the page. */
function inShort(text: string): string {
  const [shown, all] = [[...text].slice(0, LONGEST_CHOICE), [...text].length];
  return showText(shown.join("")) + (all > LONGEST_CHOICE ? " …" : "");
}

/** When the next attempt is. A queue may be a little late. */
export function NextAttempt({ at }: { at: string | null }) {
  if (at === null) return <>none</>;
  return Date.parse(at) <= serviceNow.value ? <>due now</> : <Ago at={at} />;
}

function lastAnswer({ attempts }: WebhookDelivery): string {
  const last = attempts.at(-1);
  if (!last) return "not sent yet";
  return last.status_code === null ? "no answer" : String(last.status_code);
}
