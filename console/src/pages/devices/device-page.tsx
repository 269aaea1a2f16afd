/** One device: what is known of it, its tokens, its sessions, and what can be done. */
import { type Device, getDevice, labelDevice } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { useLive } from "../../live";
import { Action } from "../../parts/action";
import { DeviceName, Fingerprint, ProfileFacts, Scopes } from "../../parts/device";
import { useFocusAtFirst } from "../../parts/focus";
import { Field, Form } from "../../parts/form";
import { LiveView } from "../../parts/list";
import { type StatusLine, useStatusLine } from "../../parts/status-line";
import { Back } from "../../parts/tabs";
import { Ago, Copyable, Untrusted } from "../../parts/text";
import { DeviceTokens } from "./device-tokens";
import { RemoveDevice } from "./remove-device";

interface DevicePageProps {
  application: string;
  id: string;
}

/** What acts on a device, and says so. */
export interface DeviceActions {
  device: Device;
  say: StatusLine["say"];
  /** Reads the device again. */
  refresh: () => Promise<void>;
}

/** One device. */
export function DevicePage({ application, id }: DevicePageProps) {
  const live = useLive(
    () => result(getDevice({ path: { application, device: id } })),
    [application, id],
  );
  const { line, say } = useStatusLine();
  const [removed, setRemoved] = useState(false);
  const known = live.state.value.value;
  const isGone = removed || live.state.value.error?.status === 404;
  return (
    <>
      <Back to={["devices", application]}>All devices of the application</Back>
      {line}
      <h1>
        {known && !isGone ? <DeviceName label={known.label} name={known.display_name} /> : "Device"}
      </h1>
      {isGone ? (
        !removed && <p>There is no such device: it was removed, or never paired.</p>
      ) : (
        <LiveView live={live}>
          {(device) => (
            <Details
              device={device}
              say={say}
              refresh={live.refresh}
              removed={() => setRemoved(true)}
            />
          )}
        </LiveView>
      )}
    </>
  );
}

function Details(props: DeviceActions & { removed: () => void }) {
  const { device } = props;
  return (
    <>
      <Facts device={device} />
      <Rename {...props} />
      <DeviceTokens {...props} />
      <RemoveDevice {...props} />
    </>
  );
}

function Facts({ device }: { device: Device }) {
  return (
    <dl class="facts">
      <dt>Fingerprint</dt>
      <dd>
        <Fingerprint text={device.fingerprint} />
      </dd>
      <dt>Calls itself</dt>
      <dd>
        <Untrusted text={device.display_name} />
      </dd>
      <ProfileFacts device={device} />
      <dt>Scopes</dt>
      <dd>
        <Scopes scopes={device.scopes} />
      </dd>
      <dt>Paired</dt>
      <dd>
        <Ago at={device.created_at} />
      </dd>
      <dt>Last seen</dt>
      <dd>
        <Ago at={device.last_seen_at} />
      </dd>
      <dt>Id</dt>
      <dd>
        <Copyable text={device.device_id} label="the device's id" />
      </dd>
      <dt>Public key</dt>
      <dd>
        <Copyable text={device.public_key} label="the public key" />
      </dd>
    </dl>
  );
}

function Rename(props: DeviceActions) {
  const [open, setOpen] = useState(false);
  if (open) return <RenameForm {...props} close={() => setOpen(false)} />;
  return (
    <Action run={async () => setOpen(true)} needs="devices:manage">
      Rename …
    </Action>
  );
}

function RenameForm({ device, say, refresh, close }: DeviceActions & { close: () => void }) {
  const [label, setLabel] = useState(device.label ?? "");
  const input = useFocusAtFirst<HTMLInputElement>();
  const path = { application: device.application_id, device: device.device_id };
  const submit = async () => {
    await result(labelDevice({ path, body: { label: label.trim() || null } }));
    await refresh();
    close();
    say("The device has its new name.");
  };
  return (
    <Form submit={submit} needs="devices:manage" verb="Rename" cancel={close}>
      <Field
        label="Name"
        hint="For operators: the device does not see it. Empty: what it calls itself."
      >
        {(props) => (
          <input
            {...props}
            ref={input}
            value={label}
            onInput={(event) => setLabel(event.currentTarget.value)}
          />
        )}
      </Field>
    </Form>
  );
}
