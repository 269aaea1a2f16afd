/** The list of relay nodes, and making one. */
import { listRelayNodes, type RelayNode } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { useLive } from "../../live";
import { type Column, curl, Empty, List, LiveView, Pager, useCursors } from "../../parts/list";
import { Ago, Untrusted } from "../../parts/text";
import { href } from "../../routes";
import { MakeNode } from "./make-node";
import { loadWords, NewToken, regionOf, StatusBadge } from "./node-words";

const ON_A_PAGE = 50;

const COLUMNS: readonly Column<RelayNode>[] = [
  {
    title: "Node",
    show: ({ id, name }) => (
      <a href={href("relay-nodes", id)}>
        <Untrusted text={name} />
      </a>
    ),
  },
  { title: "State", show: ({ status }) => <StatusBadge status={status} /> },
  { title: "Region", show: regionOf },
  { title: "Sessions", numeric: true, show: loadWords },
  { title: "Users", numeric: true, show: ({ load }) => load.users ?? "–" },
  { title: "Link changed", show: ({ last_seen_at: at }) => <Ago at={at} /> },
];

/** The organisation's own relay nodes, newest first. The API shows shared ones to the root token only. */
export function NodeList() {
  const [token, setToken] = useState<string | null>(null);
  const pages = useCursors();
  const live = useLive(() => {
    const query = { limit: ON_A_PAGE, ...(pages.current !== null && { cursor: pages.current }) };
    return result(listRelayNodes({ query }));
  }, [pages.current]);
  return (
    <>
      <h1>Relay nodes</h1>
      <p class="muted">
        Machines of yours that carry relay sessions over UDP. Without one, relay sessions go over
        websockets. Nodes that all organisations of this deployment share are not listed.
      </p>
      {token === null ? (
        <MakeNode
          made={async (value) => {
            setToken(value);
            pages.first();
            await live.refresh();
          }}
        />
      ) : (
        <NewToken token={token} host={null} close={() => setToken(null)} />
      )}
      <LiveView live={live}>
        {({ data }) =>
          data.length > 0 ? (
            <List label="Relay nodes" columns={COLUMNS} rows={data} keyOf={({ id }) => id} />
          ) : (
            <Empty call={curl("POST", "/v1/relay-nodes", { name: "Frankfurt 1" })}>
              Your organisation has no relay node. You need one only for programs that speak UDP,
              such as games written for Edgegap: it is a small program on a machine of yours. Make
              one above, or with this call:
            </Empty>
          )
        }
      </LiveView>
      {/* Outside: a page that cannot be read has a way back. */}
      <Pager cursors={pages} next={live.state.value.value?.next_cursor} />
    </>
  );
}
