/** The list of live relay sessions. */
import { listRelaySessions, type RelaySession } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { filterPart } from "../../filter-address";
import { useLive } from "../../live";
import { type Column, curl, Empty, List, LiveView, Pager, useCursors } from "../../parts/list";
import { Age, Badge, Countdown, Untrusted } from "../../parts/text";
import { href } from "../../routes";
import { metadataInShort, placeOf, STATES, usersWords } from "./session-words";

/** As many as can be asked for their figures in one call. */
const ON_A_PAGE = 25;
const DEVICE_ID = /^[0-9a-f]{64}$/;

const COLUMNS: readonly Column<RelaySession>[] = [
  {
    title: "Session",
    show: ({ session_id: id }) => (
      <a href={href("sessions", id)} class="session-id">
        <code>{id}</code>
      </a>
    ),
  },
  {
    title: "State",
    show: ({ status }) => <Badge kind={STATES[status].kind}>{STATES[status].word}</Badge>,
  },
  { title: "Users", show: usersWords },
  { title: "Age", show: ({ created_at: at }) => <Age since={at} /> },
  { title: "Ends in", show: ({ expires_at: at }) => <Countdown until={at} /> },
  { title: "Where", show: (session) => <Untrusted text={placeOf(session)} /> },
  { title: "Metadata", show: ({ metadata }) => <Untrusted text={metadataInShort(metadata)} /> },
];

/** Live relay sessions, newest first; only those of one device, if its id is given. */
export function SessionList() {
  const [typed, setTyped] = useState("");
  const wanted = typed.trim().toLowerCase();
  const device = DEVICE_ID.test(wanted) ? wanted : undefined;
  const pages = useCursors(device);
  const live = useLive(() => {
    const query = {
      page: Number(pages.current ?? 1),
      limit: ON_A_PAGE,
      with_traffic: "true" as const,
      ...(device && { device_id: device }),
    };
    return result(listRelaySessions({ query }));
  }, [pages.current, device]);
  const next = live.state.value.value?.pagination.next_page_number;
  return (
    <>
      <h1>Relay sessions</h1>
      <p class="muted">
        The sessions that are live now. Those that have ended are in{" "}
        <a href={href("events", "filter", filterPart({ type: "session.*" }))}>Events</a>.
      </p>
      <div class="filters">
        <label>
          Only those of the device
          <input
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
            placeholder="its id, 64 digits 0-9a-f"
            spellcheck={false}
            autocomplete="off"
            aria-invalid={wanted !== "" && !device}
            aria-describedby="device-filter"
          />
        </label>
        <span id="device-filter" class="muted">
          {wanted !== "" && !device && "Not a device id yet: all sessions are shown."}
        </span>
      </div>
      <LiveView live={live}>
        {({ sessions, total_count: total }) =>
          sessions.length > 0 ? (
            <>
              <p class="muted">
                {total} live{device && " with this device"}
              </p>
              <List
                label="Live relay sessions"
                columns={COLUMNS}
                rows={sessions}
                keyOf={({ session_id: id }) => id}
              />
            </>
          ) : (
            <NoSessions isFirst={pages.number === 1} ofDevice={device !== undefined} />
          )
        }
      </LiveView>
      {/* Outside: a page that cannot be read has a way back. */}
      <Pager cursors={pages} next={next ? String(next) : null} />
    </>
  );
}

function NoSessions({ isFirst, ofDevice }: { isFirst: boolean; ofDevice: boolean }) {
  if (!isFirst)
    return <Empty>The sessions of this page have ended. Newer ones are before it.</Empty>;
  if (ofDevice) return <Empty>This device is in no live session.</Empty>;
  const body = {
    users: [{ ip: "198.51.100.1" }, { ip: "198.51.100.2" }],
    join_code: true,
    metadata: { map: "harbour" },
  };
  return (
    <Empty call={curl("POST", "/v1/relays/sessions", body)}>
      No session is live. A relay session connects one host with up to 63 clients; your server makes
      it, for example with this call.
    </Empty>
  );
}
