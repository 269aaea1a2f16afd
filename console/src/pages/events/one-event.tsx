/** One event, with its payload in full. */
import { getEvent } from "drawbridge-client";
import { result } from "../../call";
import { EVENT_WORDS } from "../../event-words";
import { filterPart } from "../../filter-address";
import { untilFinal, useLive } from "../../live";
import { LiveView } from "../../parts/list";
import { Back } from "../../parts/tabs";
import { Ago, Copyable } from "../../parts/text";
import { href } from "../../routes";
import { may } from "../../signed-in";
import { furtherPlaces } from "./event-places";
import { Subject } from "./event-subject";
import { Payload } from "./payload";

/** `#/events/{id}`. */
export function OneEvent({ id }: { id: string }) {
  const ask = () => result(getEvent({ path: { id } }));
  const live = useLive(
    untilFinal(ask, () => true),
    [id],
  );
  return (
    <>
      <Back to={["events"]}>All events</Back>
      <h1>Event</h1>
      <LiveView live={live} quiet>
        {(event) => (
          <>
            <dl class="facts">
              <dt>Type</dt>
              <dd>
                <code>{event.type}</code> <span class="muted">{EVENT_WORDS[event.type]}</span>
              </dd>
              <dt>About</dt>
              <dd>
                <Subject event={event} />
              </dd>
              <dt>When</dt>
              <dd>
                <Ago at={event.timestamp} />{" "}
                <span class="muted">{new Date(event.timestamp).toLocaleString()}</span>
              </dd>
              <dt>Id</dt>
              <dd>
                <Copyable text={event.id} label="the id" />
              </dd>
              <dt>See also</dt>
              <dd class="links">
                {furtherPlaces(event).map(({ title, parts }) => (
                  <a href={href(...parts)} key={title}>
                    {title}
                  </a>
                ))}
                <a href={href("events", "filter", filterPart({ type: event.type }))}>
                  Events of this type
                </a>
                {may("webhooks:read") && (
                  <a
                    href={href("webhooks", "deliveries", "filter", filterPart({ event: event.id }))}
                  >
                    Its webhook deliveries
                  </a>
                )}
              </dd>
            </dl>
            <h2>What it tells</h2>
            <Payload value={event} label="the event" />
          </>
        )}
      </LiveView>
    </>
  );
}
