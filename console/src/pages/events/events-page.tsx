/** The page Events: what happened in the organisation, newest first. */
import { type EventPattern, listEvents } from "drawbridge-client";
import { result } from "../../call";
import { filterOf, filterPart } from "../../filter-address";
import { useLive } from "../../live";
import { fromLocalInput, toLocalInput } from "../../local-time";
import { EventSelect } from "../../parts/event-pattern";
import { curl, Empty, List, LiveView, Pager, useCursors } from "../../parts/list";
import { Ago } from "../../parts/text";
import { goTo, href } from "../../routes";
import { SubjectName } from "./event-subject";
import "./events.css";
import { OneEvent } from "./one-event";

const PAGE = 30;

/** `#/events`, `#/events/filter/{filters}`, `#/events/{id}`. */
export default function EventsPage({ path: [first, second] }: { path: readonly string[] }) {
  if (first !== undefined && first !== "filter") return <OneEvent id={first} />;
  return (
    <>
      <h1>Events</h1>
      <p class="muted">
        What happened in your organisation, newest first. <a href={href("webhooks")}>Webhooks</a>{" "}
        bring it to your servers.
      </p>
      <Feed type={filterOf(second, "type")} since={filterOf(second, "since")} />
    </>
  );
}

function Feed({ type, since }: { type: string | null; since: string | null }) {
  const cursors = useCursors(`${type} ${since}`);
  const query = {
    limit: PAGE,
    type: (type as EventPattern | null) ?? undefined,
    since: since ?? undefined,
    cursor: cursors.current ?? undefined,
  };
  const live = useLive(() => result(listEvents({ query })), [type, since, cursors.current]);
  const filter = (next: { type: string | null; since: string | null }) => {
    const part = filterPart(next);
    if (part === "") goTo("events");
    else goTo("events", "filter", part);
  };
  return (
    <>
      <div class="filters">
        <EventSelect value={type} change={(chosen) => filter({ type: chosen, since })} />
        <label>
          Since
          <input
            type="datetime-local"
            value={since === null ? "" : toLocalInput(Date.parse(since))}
            onChange={(event) => filter({ type, since: fromLocalInput(event.currentTarget.value) })}
          />
        </label>
        {(type !== null || since !== null) && (
          <button type="button" onClick={() => filter({ type: null, since: null })}>
            Show all
          </button>
        )}
      </div>
      <LiveView live={live}>
        {({ data, next_cursor }) => (
          <>
            {data.length > 0 ? (
              <List
                label="Events"
                rows={data}
                keyOf={({ id }) => id}
                columns={[
                  {
                    title: "Event",
                    show: ({ id, type: name }) => <a href={href("events", id)}>{name}</a>,
                  },
                  { title: "About", show: (event) => <SubjectName event={event} /> },
                  { title: "When", show: ({ timestamp }) => <Ago at={timestamp} /> },
                ]}
              />
            ) : next_cursor !== null ? (
              <Empty>
                Nothing matched among the events that were looked at. Older ones may: go on with
                "Older".
              </Empty>
            ) : type !== null || since !== null || cursors.number > 1 ? (
              <Empty>No event matches. They are kept for a limited time.</Empty>
            ) : (
              <Empty
                call={curl("POST", "/api/v2/connections/definition", { connectionId: "plant-a" })}
              >
                Nothing has happened yet. Any change makes an event, such as registering a
                connection:
              </Empty>
            )}
            <Pager cursors={cursors} next={next_cursor} />
          </>
        )}
      </LiveView>
    </>
  );
}
