/** One source session, and ending it. */
import {
  deleteSourceSession,
  getSourceSession,
  getUser,
  type SourceSession,
} from "drawbridge-client";
import { CallError, result } from "../../call";
import { useLive } from "../../live";
import { Action } from "../../parts/action";
import { Empty, LiveView } from "../../parts/list";
import { useStatusLine } from "../../parts/status-line";
import { Back } from "../../parts/tabs";
import { Ago, Badge, Untrusted } from "../../parts/text";
import { STATE_KINDS, whyWords } from "./source-words";

/** A session, with the identifier of its user; null: there is none. */
interface Shown {
  session: SourceSession;
  user: string | null;
}

export function SourceSessionView({ id }: { id: string }) {
  const live = useLive(() => readSession(id), [id]);
  const { line, say } = useStatusLine();
  return (
    <>
      <Back to={["source-sessions"]}>All source sessions</Back>
      <h1>
        Source session <code>{id}</code>
      </h1>
      {line}
      <LiveView live={live}>
        {(shown) =>
          shown === null ? (
            <Empty>There is no source session with this id. What ended long ago is removed.</Empty>
          ) : (
            <Facts shown={shown} refresh={live.refresh} say={say} />
          )
        }
      </LiveView>
    </>
  );
}

async function readSession(id: string): Promise<Shown | null> {
  try {
    const session = await result(getSourceSession({ path: { id } }));
    const user = session.user === null ? null : await identifierOf(session.user);
    return { session, user };
  } catch (error) {
    if (error instanceof CallError && error.status === 404) return null;
    throw error;
  }
}

/** A user may be gone, and the session stays. */
async function identifierOf(id: number): Promise<string | null> {
  const { identifier } = await result(getUser({ path: { id } })).catch((error) => {
    if (error instanceof CallError && error.status === 404) return { identifier: null };
    throw error;
  });
  return identifier;
}

interface FactsProps {
  shown: Shown;
  /** Reads the session again. */
  refresh: () => Promise<void>;
  /** Says what was done. */
  say: (words: string) => void;
}

function Facts({ shown: { session, user }, refresh, say }: FactsProps) {
  const { source, error, error_class: errorClass } = session;
  const expired = async () => {
    await refresh();
    say("The session is expired.");
  };
  const isLive = session.state === "pending" || session.state === "active";
  return (
    <>
      <dl class="facts">
        <dt>State</dt>
        <dd>
          <Badge kind={STATE_KINDS[session.state]}>{session.state}</Badge>
        </dd>
        {error !== null && (
          <>
            <dt>Why</dt>
            <dd>
              {whyWords(session)} (<code>{error}</code>
              {errorClass !== null && (
                <>
                  , class <code>{errorClass}</code>
                </>
              )}
              )
            </dd>
          </>
        )}
        <dt>Account</dt>
        <dd>
          <Untrusted text={source?.identifier} />
        </dd>
        <dt>Type</dt>
        <dd>
          <Untrusted text={source?.type} />
        </dd>
        <dt>Source</dt>
        <dd>{source === null ? "none" : `${source.id}, ${source.state}`}</dd>
        <dt>User</dt>
        <dd>
          <Untrusted text={user} />
          {session.user !== null && ` (${session.user})`}
        </dd>
        <dt>Made by</dt>
        <dd>the API key {session.key}</dd>
        <dt>Made</dt>
        <dd>
          <Ago at={session.date_created} />
        </dd>
        <dt>Last used</dt>
        <dd>
          <Ago at={session.date_last_used} />
        </dd>
        {session.date_expired !== null && (
          <>
            <dt>Expired</dt>
            <dd>
              <Ago at={session.date_expired} />
            </dd>
          </>
        )}
        {isLive && (
          <>
            <dt>Ends</dt>
            <dd>
              <Ago at={session.expires_at} /> at the latest
            </dd>
          </>
        )}
      </dl>
      {isLive && <Expire session={session} expired={expired} />}
    </>
  );
}

function Expire({ session, expired }: { session: SourceSession; expired: () => Promise<void> }) {
  const { id, source } = session;
  const expire = async () => {
    await result(deleteSourceSession({ path: { id } }));
    await expired();
  };
  return (
    <Action
      run={expire}
      needs="sessions:write"
      kind="danger"
      ask={{
        title: "Expire this session?",
        body: (
          <p>
            No work can be done with it any more, and it cannot be taken back. For access to{" "}
            <Untrusted text={source?.identifier} /> a new session is needed, with the credentials.
          </p>
        ),
      }}
    >
      Expire
    </Action>
  );
}
