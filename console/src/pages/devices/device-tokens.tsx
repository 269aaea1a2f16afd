/** The tokens of a device, one for each role: rotate and revoke. */
import { revokeDeviceToken, rotateDeviceToken } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { Action } from "../../parts/action";
import { DeviceName, Scopes } from "../../parts/device";
import { Form } from "../../parts/form";
import { Untrusted } from "../../parts/text";
import { scopesOf } from "../../scopes";
import type { DeviceActions } from "./device-page";
import { TokenState } from "./token-state";

/** All tokens of a device. */
export function DeviceTokens(props: DeviceActions) {
  return (
    <section aria-labelledby="tokens">
      <h2 id="tokens">Tokens</h2>
      {props.device.tokens.map((token) => (
        <Token key={token.role} {...props} token={token} />
      ))}
    </section>
  );
}

interface TokenProps extends DeviceActions {
  token: DeviceActions["device"]["tokens"][number];
}

function Token(props: TokenProps) {
  const { device, token, say, refresh } = props;
  const [rotating, setRotating] = useState(false);
  const { role, status, scopes } = token;
  const path = { application: device.application_id, device: device.device_id };
  const revoke = async () => {
    await result(revokeDeviceToken({ path, body: { role } }));
    await refresh();
    say(
      <>
        The token of the role <Untrusted text={role} /> is revoked.
      </>,
    );
  };
  const revoked = status === "revoked" ? "Only a new approval brings it back." : null;
  return (
    <div class="card">
      <h3>
        Role <Untrusted text={role} /> <TokenState status={status} />
      </h3>
      <p>
        <Scopes scopes={scopes} />
      </p>
      {rotating ? (
        <Rotation {...props} close={() => setRotating(false)} />
      ) : (
        <div class="buttons">
          {revoked === null && (
            <Action run={async () => setRotating(true)} needs="devices:manage">
              Rotate …
            </Action>
          )}
          <Action
            run={revoke}
            needs="devices:manage"
            kind="danger"
            blocked={revoked}
            ask={{
              title: "Revoke this token?",
              body: (
                <p>
                  The token of <DeviceName label={device.label} name={device.display_name} /> for
                  the role <Untrusted text={role} /> stops at once. Its open relay websockets are
                  closed, and a pairing request that waits is rejected. Only a new approval gives
                  the role a token again.
                </p>
              ),
            }}
          >
            Revoke
          </Action>
        </div>
      )}
    </div>
  );
}

function Rotation({ device, token, say, refresh, close }: TokenProps & { close: () => void }) {
  const { role } = token;
  const approved = scopesOf(role, device.scopes);
  const [ticked, setTicked] = useState<ReadonlySet<string>>(new Set(approved));
  const path = { application: device.application_id, device: device.device_id };
  const toggle = (scope: string) => {
    const next = new Set(ticked);
    if (!next.delete(scope)) next.add(scope);
    setTicked(next);
  };
  const submit = async () => {
    const scopes = approved.filter((scope) => ticked.has(scope));
    await result(rotateDeviceToken({ path, body: { role, scopes } }));
    await refresh();
    close();
    say(
      <>
        The old token of the role <Untrusted text={role} /> has stopped. The device gets the new one
        when it next asks.
      </>,
    );
  };
  return (
    <Form submit={submit} needs="devices:manage" verb="Rotate" cancel={close}>
      <p>
        The old token stops at once, and the open relay websockets of the device are closed. It gets
        the new token when it next asks, without a decision.
      </p>
      {approved.length > 0 && (
        <fieldset>
          <legend>What the new token carries</legend>
          {approved.map((scope) => (
            <label class="tick" key={scope}>
              <input type="checkbox" checked={ticked.has(scope)} onChange={() => toggle(scope)} />
              <code>
                <Untrusted text={scope} />
              </code>
            </label>
          ))}
        </fieldset>
      )}
    </Form>
  );
}
