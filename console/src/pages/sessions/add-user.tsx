/** Authorising one more user of a relay session, and what that user needs to connect. */
import { authorizeRelayUser, type RelaySession } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { Field, Form } from "../../parts/form";
import { Secret } from "../../parts/secret";
import { Copyable } from "../../parts/text";

interface Props {
  session: RelaySession;
  /** Reads the session again. */
  refresh: () => Promise<void>;
}

type Added = Awaited<ReturnType<typeof authorize>>;

const NOTHING = { ip: "", connection: "", device: "" };

export function AddUser({ session, refresh }: Props) {
  const [typed, setTyped] = useState(NOTHING);
  const [added, setAdded] = useState<Added | null>(null);
  // Decided once: what is shown for the first user must not be hidden because there is one now.
  const [isOpen] = useState(session.session_users.length === 0);
  const submit = async () => {
    setAdded(await authorize(session.session_id, typed));
    setTyped(NOTHING);
    await refresh();
  };
  const input = (field: keyof typeof NOTHING) => ({
    value: typed[field],
    onInput: (event: { currentTarget: HTMLInputElement }) =>
      setTyped({ ...typed, [field]: event.currentTarget.value }),
    autocomplete: "off",
    spellcheck: false,
  });
  return (
    <details class="more" open={isOpen}>
      <summary>Authorise a user</summary>
      <Form submit={submit} needs="relays:write" verb="Authorise">
        <Field label="Address" hint="The user's IP address, as your server sees it.">
          {(props) => <input {...props} {...input("ip")} placeholder="198.51.100.3" required />}
        </Field>
        <Field
          label="Connection (optional)"
          hint="Frames of this user then pass only where relay permissions allow it."
        >
          {(props) => <input {...props} {...input("connection")} maxLength={16} />}
        </Field>
        <Field
          label="Device (optional)"
          hint="The id of a paired device: only this device is let in."
        >
          {(props) => <input {...props} {...input("device")} maxLength={64} />}
        </Field>
      </Form>
      {added && <Access added={added} />}
    </details>
  );
}

function authorize(id: string, { ip, connection, device }: typeof NOTHING) {
  const body = {
    session_id: id,
    user_ip: ip.trim(),
    ...(connection.trim() !== "" && { connection_id: connection.trim() }),
    ...(device.trim() !== "" && { device_id: device.trim() }),
  };
  return result(authorizeRelayUser({ body }));
}

/** The three things that a user needs to connect. */
function Access({ added }: { added: Added }) {
  const { session_user: user, relay, authorization_token: sessionToken } = added;
  const side = user.is_host ? "server" : "client";
  return (
    <div class="card" role="status">
      <p>
        {user.ip_address} may connect now, as {user.is_host ? "the host" : "a client"}, with this
        address and these two tokens:
      </p>
      <dl class="facts">
        {relay && (
          <>
            <dt>Connect to</dt>
            <dd>
              <Copyable text={relay.ports[side].link} label="address to connect to" />
            </dd>
          </>
        )}
        {relay?.websocket && (
          <>
            <dt>In a browser</dt>
            <dd>
              <Copyable text={relay.websocket[side].link} label="websocket to connect to" />
            </dd>
          </>
        )}
        <dt>Session token</dt>
        <dd>
          <Secret text={String(sessionToken)} label="session token of the new user" />
        </dd>
        <dt>User token</dt>
        <dd>
          <Secret text={String(user.authorization_token)} label="user token of the new user" />
        </dd>
      </dl>
    </div>
  );
}
