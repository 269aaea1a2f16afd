/** What relay permissions let through between the host of a session and its clients. */
import {
  listRelayPermissions,
  listRelayPermissionsOfConnection,
  type RelaySessionUser,
} from "drawbridge-client";
import { CallError, result } from "../../call";
import { useLive } from "../../live";
import { Needs } from "../../parts/action";
import { type Column, List, LiveView } from "../../parts/list";
import { Badge } from "../../parts/text";
import { href } from "../../routes";
import { may } from "../../signed-in";
import { type OneWay, type PermissionRow, waysBetween } from "./permissions-between";

const NEEDED = "relay-permissions:get";
/** As many rows as one call gives. */
const MOST_ROWS = 1_000;

/** Nothing, if there are no two connections between which frames go. */
export function SessionPermissions({ users }: { users: readonly RelaySessionUser[] }) {
  const host = users.find(({ is_host: isHost }) => isHost)?.connection_id ?? null;
  const clients = connectionsOf(users.filter(({ is_host: isHost }) => !isHost));
  if (host === null || clients.length === 0) return null;
  return (
    <>
      <h2>Permissions between its connections</h2>
      <p class="muted">
        Frames go between the host and each client. Where both have a connection, they pass only if
        both sides have a relay permission that is enabled. Change them at{" "}
        <a href={href("permissions")}>Relay permissions</a>.
      </p>
      {may(NEEDED) ? (
        <Ways host={host} clients={clients} />
      ) : (
        <p class="muted">
          Seeing them <Needs permission={NEEDED} />.
        </p>
      )}
    </>
  );
}

function connectionsOf(users: readonly RelaySessionUser[]): string[] {
  const ids = users.map(({ connection_id: id }) => id).filter((id) => id !== null);
  return [...new Set(ids)].sort();
}

function Ways({ host, clients }: { host: string; clients: readonly string[] }) {
  const live = useLive(async () => {
    const [own, ofOthers] = await Promise.all([rowsOf(host), rowsToward(host)]);
    return { rows: [...own.permission, ...ofOthers.permission], isWhole: whole(own, ofOthers) };
  }, [host]);
  return (
    <LiveView live={live} quiet>
      {({ rows, isWhole }) =>
        isWhole ? (
          <List
            label="Permissions between the connections of the session"
            columns={COLUMNS}
            rows={waysBetween(host, clients, rows)}
            keyOf={({ from, to }) => `${from}/${to}`}
          />
        ) : (
          <p>
            <code>{host}</code> has more than {MOST_ROWS} relay permissions, too many to show here.
          </p>
        )
      }
    </LiveView>
  );
}

interface Rows {
  fetchSize: number;
  permission: PermissionRow[];
}

/** The rows in which this connection is the local side. One that is not registered has none. */
async function rowsOf(connectionId: string): Promise<Rows> {
  try {
    const query = { maxResults: MOST_ROWS };
    return await result(listRelayPermissionsOfConnection({ path: { connectionId }, query }));
  } catch (error) {
    if (!(error instanceof CallError) || error.status !== 404) throw error;
    return { fetchSize: 0, permission: [] };
  }
}

/** The rows of all others towards this connection. */
function rowsToward(remoteConnectionId: string): Promise<Rows> {
  return result(listRelayPermissions({ query: { remoteConnectionId, maxResults: MOST_ROWS } }));
}

function whole(...lists: readonly Rows[]): boolean {
  return lists.every(({ fetchSize }) => fetchSize < MOST_ROWS);
}

const COLUMNS: readonly Column<OneWay>[] = [
  { title: "From", show: ({ from }) => <code>{from}</code> },
  { title: "To", show: ({ to }) => <code>{to}</code> },
  {
    title: "Frames",
    show: ({ missing }) =>
      missing.length === 0 ? <Badge kind="good">pass</Badge> : <Badge kind="bad">dropped</Badge>,
  },
  {
    title: "What is missing",
    show: ({ missing }) =>
      missing.length === 0 ? (
        <span class="muted">nothing</span>
      ) : (
        missing.map(({ connectionId, remoteConnectionId, direction, state }) => (
          <div key={connectionId + direction}>
            <code>{connectionId}</code> may not {direction} {direction === "send" ? "to" : "from"}{" "}
            <code>{remoteConnectionId}</code>:{" "}
            {state === "absent" ? "there is no such permission" : "the permission is disabled"}
          </div>
        ))
      ),
  },
];
