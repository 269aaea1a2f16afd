/** All relay permissions, with filters: what each says, its memo, and what can be done with it. */
import {
  deleteRelayPermission,
  listRelayPermissions,
  listRelayPermissionsOfConnection,
  type RelayPermission,
  updateRelayPermission,
} from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { useLive } from "../../live";
import { Action } from "../../parts/action";
import { type Column, curl, Empty, List, LiveView, Pager, useCursors } from "../../parts/list";
import { Badge } from "../../parts/text";
import { href } from "../../routes";
import { Memo, pathOf } from "./memo";
import { sideInWords } from "./pair";

const LIMIT = 30;

interface Filters {
  connectionId: string;
  remoteConnectionId: string;
  direction: "" | "send" | "receive";
  enabled: "" | "true" | "false";
}

/** The list. It begins with those of one connection, if there is one in the address. */
export function PermissionList({ connectionId }: { connectionId: string }) {
  const [filters, setFilters] = useState<Filters>({
    connectionId,
    remoteConnectionId: "",
    direction: "",
    enabled: "",
  });
  const wanted = JSON.stringify(filters);
  const cursors = useCursors(wanted);
  const live = useLive(() => page(filters, cursors.current), [wanted, cursors.current]);
  const unknown = live.state.value.error?.code === "connection-not-found";
  return (
    <>
      <FilterBar filters={filters} change={setFilters} />
      {unknown ? (
        <Empty>
          There is no connection <code>{filters.connectionId}</code>.{" "}
          <a href={href("permissions")}>See which there are.</a>
        </Empty>
      ) : (
        <LiveView live={live}>
          {({ rows, more, totalSize }) => (
            <>
              {totalSize > 0 && (
                <p class="muted">
                  {totalSize === 1 ? "1 relay permission" : `${totalSize} relay permissions`}
                </p>
              )}
              {rows.length > 0 ? (
                <List
                  label="Relay permissions"
                  columns={columnsOf(live.refresh)}
                  rows={rows}
                  keyOf={keyOf}
                />
              ) : (
                <NoPermissions filtered={wanted !== JSON.stringify(NO_FILTERS)} />
              )}
              <Pager
                cursors={cursors}
                next={more && rows.length > 0 ? keyOf(rows.at(-1) as RelayPermission) : null}
                words={["Previous", "Next"]}
              />
            </>
          )}
        </LiveView>
      )}
    </>
  );
}

const NO_FILTERS: Filters = {
  connectionId: "",
  remoteConnectionId: "",
  direction: "",
  enabled: "",
};

function FilterBar({ filters, change }: { filters: Filters; change: (filters: Filters) => void }) {
  const set = (field: keyof Filters) => (event: { currentTarget: { value: string } }) =>
    change({ ...filters, [field]: event.currentTarget.value.trim() });
  return (
    <div class="filters">
      <label>
        Connection
        <input
          type="search"
          value={filters.connectionId}
          onChange={set("connectionId")}
          maxLength={16}
          spellcheck={false}
        />
      </label>
      <label>
        Other connection
        <input
          type="search"
          value={filters.remoteConnectionId}
          onChange={set("remoteConnectionId")}
          maxLength={16}
          spellcheck={false}
        />
      </label>
      <label>
        Direction
        <select value={filters.direction} onChange={set("direction")}>
          <option value="">both</option>
          <option value="send">sends</option>
          <option value="receive">receives</option>
        </select>
      </label>
      <label>
        State
        <select value={filters.enabled} onChange={set("enabled")}>
          <option value="">all</option>
          <option value="true">enabled</option>
          <option value="false">disabled</option>
        </select>
      </label>
    </div>
  );
}

function NoPermissions({ filtered }: { filtered: boolean }) {
  if (filtered) return <Empty>No relay permission fits.</Empty>;
  const body = {
    connectionId: "plant-a",
    remoteConnectionId: "plant-b",
    direction: "send",
    enabled: "true",
  };
  return (
    <Empty call={curl("POST", "/relay/permission", body)}>
      There is no relay permission here. The switches{" "}
      <a href={href("permissions", "pair")}>between two connections</a> make them, or this call:
    </Empty>
  );
}

function columnsOf(changed: () => Promise<void>): readonly Column<RelayPermission>[] {
  return [
    {
      title: "Relay permission",
      show: (row) => (
        <a href={href("permissions", "pair", row.connectionId, row.remoteConnectionId)}>
          {sideInWords(row)}
        </a>
      ),
    },
    {
      title: "State",
      show: ({ enabled }) => (
        <Badge kind={enabled === "true" ? "good" : "warn"}>
          {enabled === "true" ? "enabled" : "disabled"}
        </Badge>
      ),
    },
    { title: "Memo", show: (row) => <Memo row={row} changed={changed} /> },
    { title: "Actions", show: (row) => <RowActions row={row} changed={changed} /> },
  ];
}

interface RowProps {
  row: RelayPermission;
  changed: () => Promise<void>;
}

function RowActions({ row, changed }: RowProps) {
  const path = pathOf(row);
  const on = row.enabled === "true";
  const turn = async () => {
    await result(updateRelayPermission({ path, body: { enabled: on ? "false" : "true" } }));
    await changed();
  };
  const remove = async () => {
    await result(deleteRelayPermission({ path }));
    await changed();
  };
  return (
    <div class="row-actions">
      <Action run={turn} needs="relay-permissions:update">
        {on ? "Disable" : "Enable"}
      </Action>
      <Action
        run={remove}
        needs="relay-permissions:delete"
        kind="danger"
        ask={{
          title: "Delete the relay permission?",
          body: (
            <p>
              “{sideInWords(row)}” goes, with its memo.
              {on && " Frames of live relay sessions that need it are refused within a second."}{" "}
              This cannot be undone. To keep it for later, disable it instead.
            </p>
          ),
        }}
      >
        Delete
      </Action>
    </div>
  );
}

function keyOf(row: RelayPermission): string {
  return `${row.connectionId}/${row.remoteConnectionId}/${row.direction}`;
}

async function page(filters: Filters, after: string | null) {
  const { connectionId, ...others } = filters;
  const given = Object.entries(others).filter(([, value]) => value !== "");
  const query = {
    ...Object.fromEntries(given),
    // One row more than is shown says whether there is a next page.
    maxResults: LIMIT + 1,
    ...(after === null ? {} : { after }),
  };
  const { permission, totalSize } = await result(
    connectionId === ""
      ? listRelayPermissions({ query })
      : listRelayPermissionsOfConnection({ path: { connectionId }, query }),
  );
  return { rows: permission.slice(0, LIMIT), more: permission.length > LIMIT, totalSize };
}
