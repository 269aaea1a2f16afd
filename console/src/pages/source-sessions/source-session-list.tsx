/** The list of source sessions, with a filter by state. */
import { listSourceSessions, type SourceSession, type SourceSessionPage } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { useLive } from "../../live";
import { type Column, curl, Empty, List, LiveView, Pager, useCursors } from "../../parts/list";
import { Ago, Badge, Untrusted } from "../../parts/text";
import { href } from "../../routes";
import { STATE_KINDS, whyWords } from "./source-words";

const ON_A_PAGE = 30;
type State = SourceSession["state"];
const STATES: readonly State[] = ["pending", "active", "failed", "expired"];

const COLUMNS: readonly Column<SourceSession>[] = [
  {
    title: "Session",
    show: ({ id }) => (
      <a href={href("source-sessions", id)}>
        <code>{id}</code>
      </a>
    ),
  },
  {
    title: "State",
    show: (session) => (
      <>
        <Badge kind={STATE_KINDS[session.state]}>{session.state}</Badge>
        <div class="muted">{whyWords(session)}</div>
      </>
    ),
  },
  {
    title: "Source",
    show: ({ source }) => (
      <>
        <Untrusted text={source?.identifier} />
        <div class="muted">
          <Untrusted text={source?.type} />
        </div>
      </>
    ),
  },
  { title: "User id", numeric: true, show: ({ user }) => user ?? "–" },
  { title: "Made", show: ({ date_created: at }) => <Ago at={at} /> },
  {
    title: "Ended",
    show: ({ date_expired: at }) => (at ? <Ago at={at} /> : <span class="muted">–</span>),
  },
];

/** Source sessions, newest first. */
export function SourceSessionList() {
  const [state, setState] = useState<State | "">("");
  const pages = useCursors(state);
  const live = useLive(() => {
    const query = {
      limit: ON_A_PAGE,
      ...(state && { state: [state] }),
      ...(pages.current !== null && { after_id: pages.current }),
    };
    return result(listSourceSessions({ query }));
  }, [pages.current, state]);
  return (
    <>
      <h1>Source sessions</h1>
      <p class="muted">
        A source session stands for access to somebody's account at another service, such as cloud
        storage. Your server makes one with the account's credentials, and your connector, a server
        of yours, checks them.
      </p>
      <div class="filters">
        <label>
          State
          <select
            value={state}
            onChange={(event) => setState(event.currentTarget.value as State | "")}
          >
            <option value="">all</option>
            {STATES.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
      </div>
      <LiveView live={live}>
        {({ data, has_more: hasMore }) =>
          data.length > 0 ? (
            <List label="Source sessions" columns={COLUMNS} rows={data} keyOf={({ id }) => id} />
          ) : (
            <Nothing hasMore={hasMore} isFiltered={state !== ""} isFirst={pages.number === 1} />
          )
        }
      </LiveView>
      {/* Outside: a page that cannot be read has a way back. */}
      <Pager cursors={pages} next={nextAfter(live.state.value.value)} />
    </>
  );
}

/** Behind which session the next page begins; null: this is the last page, or it is not known yet. */
function nextAfter(page: SourceSessionPage | undefined): string | null {
  if (!page?.has_more) return null;
  return page.next_after_id ?? page.data.at(-1)?.id ?? null;
}

interface NothingProps {
  hasMore: boolean;
  isFiltered: boolean;
  isFirst: boolean;
}

function Nothing({ hasMore, isFiltered, isFirst }: NothingProps) {
  if (hasMore) return <Empty>Nothing on this page. Older ones may match.</Empty>;
  if (!isFirst) return <Empty>Nothing on this page, and nothing older.</Empty>;
  if (isFiltered) return <Empty>No source session is in this state.</Empty>;
  return (
    <Empty
      call={[
        curl("POST", "/users", { identifier: "customer-17" }),
        curl("POST", "/sessions", {
          source: { user: 1, type: "mocks.mock", identifier: "anna@example.com" },
          payload: { password: "abcd1234" },
        }),
      ]}
    >
      There is no source session yet. To try one, make a user, to whom the account belongs, and then
      a session of the type mocks.mock, which needs no connector. The first user has the id 1; if
      you have made users before, take the id from the first answer.
    </Empty>
  );
}
