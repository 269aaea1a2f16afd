/** The users of a relay session, and what can be done with each. */
import {
  assignRelayHost,
  type RelaySession,
  type RelaySessionUser,
  revokeRelayUser,
} from "drawbridge-client";
import { result } from "../../call";
import { inBytes } from "../../durations";
import { Action } from "../../parts/action";
import { type Column, Empty, List } from "../../parts/list";
import { Secret } from "../../parts/secret";
import { Badge } from "../../parts/text";
import { isOnRelayNode, nameOf } from "./session-words";
import { UserDevice } from "./user-device";

interface Props {
  session: RelaySession;
  hasEnded: boolean;
  /** Reads the session again. */
  refresh: () => Promise<void>;
  /** Says what was done. */
  say: (words: string) => void;
}

export function SessionUsers({ session, hasEnded, refresh, say }: Props) {
  const { session_users: users, max_users: most } = session;
  const onNode = isOnRelayNode(session);
  const revoke = async (user: RelaySessionUser) => {
    const { effective_by: until } = await result(revokeRelayUser({ body: naming(session, user) }));
    await refresh();
    say(
      until === undefined
        ? `${nameOf(user)} is revoked.`
        : `${nameOf(user)} is revoked, and the relay node could not be told yet. It passes nothing more of this user after ${new Date(until).toLocaleTimeString()}.`,
    );
  };
  const promote = async (user: RelaySessionUser) => {
    await result(assignRelayHost({ body: naming(session, user) }));
    await refresh();
    say(`${nameOf(user)} is the host now.`);
  };
  const columns: readonly Column<RelaySessionUser>[] = hasEnded
    ? FACTS
    : [
        ...FACTS,
        {
          title: "Actions",
          show: (user) => (
            <div class="row-actions">
              {!user.is_host && !onNode && (
                <MakeHost session={session} user={user} run={() => promote(user)} />
              )}
              <Revoke user={user} run={() => revoke(user)} />
            </div>
          ),
        },
      ];
  return (
    <>
      <h2>
        Users ({users.length} of {most})
      </h2>
      {onNode && <p class="muted">On a relay node the host stays the host.</p>}
      {users.length > 0 ? (
        <List
          label="Users of the session"
          columns={columns}
          rows={users}
          keyOf={({ authorization_token: token }) => String(token)}
        />
      ) : (
        <Empty>
          Nobody may connect yet. Authorise a user below
          {session.join_code !== null && ", or give the join code to a player"}. The first one is
          the host.
        </Empty>
      )}
    </>
  );
}

function naming({ session_id }: RelaySession, { authorization_token }: RelaySessionUser) {
  return { session_id, authorization_token };
}

const FACTS: readonly Column<RelaySessionUser>[] = [
  { title: "User", show: (user) => <Who user={user} /> },
  { title: "Now", show: ({ connected }) => <Connected connected={connected} /> },
  { title: "Sent", numeric: true, show: ({ bytes_in: bytes }) => amount(bytes) },
  { title: "Received", numeric: true, show: ({ bytes_out: bytes }) => amount(bytes) },
  { title: "Dropped frames", numeric: true, show: ({ frames_dropped: count }) => count ?? "–" },
  { title: "Place", show: (user) => placeWords(user) },
  {
    title: "Token",
    show: (user) => (
      <Secret text={String(user.authorization_token)} label={`token of ${nameOf(user)}`} />
    ),
  },
];

function Who({ user }: { user: RelaySessionUser }) {
  const { connection_id: connection, device_id: device } = user;
  return (
    <>
      <div class="session-address">
        {user.ip_address} {user.is_host && <Badge>host</Badge>}
      </div>
      {connection !== null && (
        <div class="muted">
          connection <code>{connection}</code>
        </div>
      )}
      {device !== null && <UserDevice id={device} />}
    </>
  );
}

function Connected({ connected }: Pick<RelaySessionUser, "connected">) {
  if (connected === null) return <span class="muted">not known</span>;
  return connected ? <Badge kind="good">connected</Badge> : <Badge>away</Badge>;
}

function amount(bytes: number | null): string {
  return bytes === null ? "–" : inBytes(bytes);
}

function placeWords({ latitude, longitude }: RelaySessionUser) {
  if (latitude === null || longitude === null) return <span class="muted">not known</span>;
  const north = `${Math.abs(latitude).toFixed(1)}° ${latitude < 0 ? "S" : "N"}`;
  return `${north}, ${Math.abs(longitude).toFixed(1)}° ${longitude < 0 ? "W" : "E"}`;
}

function Revoke({ user, run }: { user: RelaySessionUser; run: () => Promise<void> }) {
  return (
    <Action
      run={run}
      needs="relays:write"
      kind="danger"
      ask={{
        title: "Revoke this user?",
        body: (
          <p>
            {user.connected ? "The user is disconnected at once, and the" : "The"} token of{" "}
            {nameOf(user)} stops working. It cannot be taken back; authorise the user anew.
            {user.is_host && " The session is then without a host, until there is another."}
          </p>
        ),
      }}
    >
      Revoke
    </Action>
  );
}

interface MakeHostProps {
  session: RelaySession;
  user: RelaySessionUser;
  run: () => Promise<void>;
}

function MakeHost({ session, user, run }: MakeHostProps) {
  const host = session.session_users.find(({ is_host: isHost }) => isHost);
  return (
    <Action
      run={run}
      needs="relays:write"
      ask={{
        title: `Make ${nameOf(user)} the host?`,
        body: (
          <p>
            All others talk with the host.{" "}
            {host &&
              `${nameOf(host)} is the host now, is disconnected, and can come back as a client.`}
          </p>
        ),
      }}
    >
      Make host
    </Action>
  );
}
