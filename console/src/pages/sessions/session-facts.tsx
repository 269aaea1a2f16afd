/** What a relay session is: where, until when, its join code, its metadata. */
import { deleteRelayJoinCode, type RelaySession, rotateRelayJoinCode } from "drawbridge-client";
import { result } from "../../call";
import { Action } from "../../parts/action";
import { Secret } from "../../parts/secret";
import { Ago, Copyable, Countdown, Untrusted } from "../../parts/text";
import { regionWords } from "../../regions";
import { isOnRelayNode } from "./session-words";

interface Props {
  session: RelaySession;
  hasEnded: boolean;
  /** Reads the session again. */
  refresh: () => Promise<void>;
}

export function SessionFacts({ session, hasEnded, refresh }: Props) {
  const { relay, webhook_url: webhook, metadata } = session;
  const entries = Object.entries(metadata ?? {});
  return (
    <>
      <dl class="facts">
        <dt>Carried by</dt>
        <dd>
          {isOnRelayNode(session) ? (
            <>
              the relay node <Untrusted text={relay?.host} />, over UDP and websockets
            </>
          ) : relay ? (
            "websockets"
          ) : (
            "nothing yet: no relay node has taken it"
          )}
        </dd>
        {session.region !== null && (
          <>
            <dt>Region</dt>
            <dd>{regionWords(session.region)}</dd>
          </>
        )}
        {relay && <Addresses relay={relay} />}
        <dt>Session token</dt>
        <dd>
          <Secret text={String(session.authorization_token)} label="session token" />
        </dd>
        <dt>Join code</dt>
        <dd>
          <JoinCode session={session} hasEnded={hasEnded} refresh={refresh} />
        </dd>
        <dt>Made</dt>
        <dd>
          <Ago at={session.created_at} />
        </dd>
        {!hasEnded && (
          <>
            <dt>Ends in</dt>
            <dd>
              <Countdown until={session.expires_at} />, or earlier when it is idle
            </dd>
          </>
        )}
        <dt>Webhook</dt>
        <dd>
          <Untrusted text={webhook} />
        </dd>
      </dl>
      {entries.length > 0 && (
        <>
          <h2>Metadata</h2>
          <dl class="facts">
            {entries.map(([name, value]) => (
              <div key={name} class="session-fact">
                <dt>
                  <Untrusted text={name} />
                </dt>
                <dd>
                  <Untrusted text={value} />
                </dd>
              </div>
            ))}
          </dl>
        </>
      )}
    </>
  );
}

function Addresses({ relay }: { relay: NonNullable<RelaySession["relay"]> }) {
  const { ports, websocket } = relay;
  return (
    <>
      <dt>Hosts connect to</dt>
      <dd>
        <Address link={ports.server.link} label="address for hosts" />
        {websocket && <Address link={websocket.server.link} label="websocket for hosts" />}
      </dd>
      <dt>Clients connect to</dt>
      <dd>
        <Address link={ports.client.link} label="address for clients" />
        {websocket && <Address link={websocket.client.link} label="websocket for clients" />}
      </dd>
    </>
  );
}

function Address({ link, label }: { link: string; label: string }) {
  return (
    <div>
      <Copyable text={link} label={label} />
    </div>
  );
}

function JoinCode({ session, hasEnded, refresh }: Props) {
  const { session_id: id, join_code: code } = session;
  const shown = code === null ? "none" : <Secret text={code} label="join code" />;
  if (hasEnded) return <>{shown}</>;
  const rotate = async () => {
    await result(rotateRelayJoinCode({ path: { id } }));
    await refresh();
  };
  const close = async () => {
    await result(deleteRelayJoinCode({ path: { id } }));
    await refresh();
  };
  if (code === null) {
    return (
      <span class="action">
        {shown}
        <Action run={rotate} needs="relays:write">
          Make a join code
        </Action>
      </span>
    );
  }
  return (
    <span class="action">
      {shown}
      <Action
        run={rotate}
        needs="relays:write"
        ask={{
          title: "Replace the join code?",
          body: <p>The code that it has now stops working at once. Who has joined stays.</p>,
        }}
      >
        Replace
      </Action>
      <Action
        run={close}
        needs="relays:write"
        ask={{
          title: "Close the session to its join code?",
          body: <p>Nobody can join with a code any more. Who has joined stays.</p>,
        }}
      >
        Close
      </Action>
    </span>
  );
}
