/** Removing a device: names the live relay sessions that it cuts, before and after. */
import { listRelaySessions, type RelaySession, removeDevice } from "drawbridge-client";
import { result } from "../../call";
import { type LiveState, useLive } from "../../live";
import { Action, Needs } from "../../parts/action";
import { DeviceName } from "../../parts/device";
import { Freshness } from "../../parts/list";
import { Age } from "../../parts/text";
import { href } from "../../routes";
import { may } from "../../signed-in";
import type { DeviceActions } from "./device-page";

/** How many sessions are named. */
const NAMED = 10;

interface Sessions {
  sessions: readonly RelaySession[];
  total_count: number;
}

/** The live relay sessions of a device, and the button that removes it. */
export function RemoveDevice({ device, say, removed }: DeviceActions & { removed: () => void }) {
  const visible = may("relays:read");
  const live = useLive<Sessions>(
    async () =>
      visible
        ? result(listRelaySessions({ query: { device_id: device.device_id, limit: NAMED } }))
        : { sessions: [], total_count: 0 },
    [device.device_id, visible],
  );
  const state = live.state.value;
  const sessions = <LiveSessions visible={visible} state={state} />;
  const remove = async () => {
    const path = { application: device.application_id, device: device.device_id };
    await result(removeDevice({ path }));
    removed();
    say(
      <>
        <DeviceName label={device.label} name={device.display_name} /> is removed. Only a new
        approval lets it back in.
      </>,
    );
  };
  return (
    <section aria-labelledby="live-sessions">
      <h2 id="live-sessions">Live relay sessions</h2>
      {visible && <Freshness state={state} quiet />}
      {sessions}
      <h2>Remove the device</h2>
      <Action
        run={remove}
        needs="devices:remove"
        kind="danger"
        ask={{
          title: "Remove this device?",
          body: (
            <>
              <p>
                The tokens of <DeviceName label={device.label} name={device.display_name} /> stop at
                once, its open relay websockets are closed, and a pairing request that waits is
                rejected. Only a new approval lets it back in.
              </p>
              {sessions}
            </>
          ),
        }}
      >
        Remove
      </Action>
    </section>
  );
}

function LiveSessions({ visible, state }: { visible: boolean; state: LiveState<Sessions> }) {
  if (!visible) {
    return (
      <p class="muted">
        Which live sessions it has cannot be shown: that <Needs permission="relays:read" />.
      </p>
    );
  }
  if (!state.value) {
    return (
      <p>
        {state.error
          ? "Its live sessions could not be read."
          : "Its live sessions are being read …"}
      </p>
    );
  }
  const { sessions, total_count } = state.value;
  if (total_count === 0) return <p>It is in no live relay session.</p>;
  return (
    <>
      <p>
        It is in{" "}
        {total_count === 1 ? "one live relay session" : `${total_count} live relay sessions`}, and
        removing it cuts it off:
      </p>
      <ul>
        {sessions.map(({ session_id, session_users, created_at }) => (
          <li key={session_id}>
            <a href={href("sessions", session_id)}>
              <code>{session_id}</code>
            </a>{" "}
            <span class="muted">
              {session_users?.length ?? 0} users, for <Age since={created_at} />
            </span>
          </li>
        ))}
        {total_count > sessions.length && <li>and {total_count - sessions.length} more</li>}
      </ul>
    </>
  );
}
