/** One relay session: what it is, its users, what goes through it, and what can be done with it. */
import { deleteRelaySession, type RelaySession } from "drawbridge-client";
import { result } from "../../call";
import { Action } from "../../parts/action";
import { Freshness } from "../../parts/list";
import { useStatusLine } from "../../parts/status-line";
import { Back } from "../../parts/tabs";
import { Badge } from "../../parts/text";
import { href } from "../../routes";
import { AddUser } from "./add-user";
import { SessionFacts } from "./session-facts";
import { SessionPermissions } from "./session-permissions";
import { SessionTraffic } from "./session-traffic";
import { SessionUsers } from "./session-users";
import { connectedOf, STATES } from "./session-words";
import { useWatchedSession } from "./watched-session";

/** A session, live until it ends. What it was last stays shown. */
export function SessionView({ id }: { id: string }) {
  const { live, traffic } = useWatchedSession(id);
  const { line, say } = useStatusLine();
  const state = live.state.value;
  const session = state.value?.session ?? null;
  const hasEnded = state.value?.hasEnded ?? false;
  return (
    <>
      <Back to={["sessions"]}>All relay sessions</Back>
      <h1>
        Relay session <code>{session?.session_id ?? id}</code>{" "}
        {session && <StateBadge session={session} hasEnded={hasEnded} />}
      </h1>
      {line}
      {hasEnded ? <Ended wasSeen={session !== null} /> : <Freshness state={state} />}
      {session && (
        <div class={hasEnded ? "session-over" : undefined}>
          {!hasEnded && (
            <div class="buttons">
              <EndSession session={session} refresh={live.refresh} say={say} />
              <span class="muted">Looking at it does not keep it alive.</span>
            </div>
          )}
          <SessionFacts session={session} hasEnded={hasEnded} refresh={live.refresh} />
          <SessionTraffic session={session} traffic={traffic} at={state.at} />
          <SessionUsers session={session} hasEnded={hasEnded} refresh={live.refresh} say={say} />
          {!hasEnded && <AddUser session={session} refresh={live.refresh} />}
          {!hasEnded && <SessionPermissions users={session.session_users} />}
        </div>
      )}
    </>
  );
}

function StateBadge({ session, hasEnded }: { session: RelaySession; hasEnded: boolean }) {
  const { word, kind } = STATES[hasEnded ? "Ended" : session.status];
  return <Badge kind={kind}>{hasEnded ? "ended" : word}</Badge>;
}

function Ended({ wasSeen }: { wasSeen: boolean }) {
  return (
    <p class="session-note" role="status">
      {wasSeen
        ? "This session has ended. Below is what it was last."
        : "There is no live session with this id. It may have ended."}{" "}
      <a href={href("events")}>Events</a> say why sessions ended.
    </p>
  );
}

interface EndProps {
  session: RelaySession;
  refresh: () => Promise<void>;
  say: (words: string) => void;
}

function EndSession({ session, refresh, say }: EndProps) {
  const connected = connectedOf(session.session_users);
  const end = async () => {
    await result(deleteRelaySession({ path: { id: session.session_id } }));
    await refresh();
    say("You have ended the session.");
  };
  return (
    <Action
      run={end}
      needs="relays:write"
      kind="danger"
      ask={{
        title: "End this session?",
        body: (
          <p>
            {connected === null
              ? "Whoever is connected is disconnected at once"
              : `${connected} connected ${connected === 1 ? "user is" : "users are"} disconnected at once`}
            , and nobody can come back: {session.session_id} is over for all{" "}
            {session.session_users.length} users.
          </p>
        ),
      }}
    >
      End the session
    </Action>
  );
}
