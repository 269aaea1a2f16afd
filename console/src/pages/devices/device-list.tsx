/** The paired devices of one application. */
import { type Device, listDevices } from "drawbridge-client";
import { result } from "../../call";
import { useLive } from "../../live";
import { DeviceName, Fingerprint } from "../../parts/device";
import { type Column, Empty, List, LiveView, Pager, useCursors } from "../../parts/list";
import { Ago, Untrusted } from "../../parts/text";
import { inShort } from "../../permission-words";
import { href } from "../../routes";
import { TokenState } from "./token-state";

/** How many devices a page has. */
const PAGE_ROWS = 30;

/** The devices, newest first. */
export function DeviceList({ application }: { application: string }) {
  const cursors = useCursors();
  const live = useLive(
    () =>
      result(
        listDevices({
          path: { application },
          query: {
            limit: PAGE_ROWS,
            ...(cursors.current === null ? {} : { cursor: cursors.current }),
          },
        }),
      ),
    [cursors.current],
  );
  return (
    <LiveView live={live}>
      {({ data, next_cursor }) => (
        <>
          {data.length === 0 && cursors.number === 1 ? (
            <Empty
              call={`node docs/pairing-device.mjs ${location.origin} ${application} device.json`}
            >
              No device is paired with this application. A device asks, and you let it in on the
              page <a href={href("pairing")}>Pairing</a>. To see one, run the example of a device
              that is in Drawbridge's own repository:
            </Empty>
          ) : (
            <List label="Devices" columns={COLUMNS} rows={data} keyOf={(row) => row.device_id} />
          )}
          <Pager cursors={cursors} next={next_cursor} />
        </>
      )}
    </LiveView>
  );
}

const COLUMNS: Column<Device>[] = [
  {
    title: "Device",
    show: ({ application_id, device_id, label, display_name }) => (
      <>
        <a href={href("devices", application_id, device_id)}>
          <DeviceName label={label} name={display_name} />
        </a>
        {label && display_name !== "" && (
          <div class="muted">
            <Untrusted text={display_name} />
          </div>
        )}
      </>
    ),
  },
  {
    title: "Fingerprint",
    show: ({ fingerprint, device_id }) => (
      <>
        <Fingerprint text={fingerprint} />
        <div class="muted">
          id <code title={device_id}>{device_id.slice(0, 12)}…</code>
        </div>
      </>
    ),
  },
  {
    title: "Role and scopes",
    show: ({ tokens }) => (
      <ul class="tokens">
        {tokens.map(({ role, status, scopes }) => (
          <li key={role}>
            <Untrusted text={role} /> <TokenState status={status} />
            <div class="muted">
              <Untrusted text={scopesInShort(scopes)} />
            </div>
          </li>
        ))}
      </ul>
    ),
  },
  {
    title: "Platform",
    show: ({ platform, device_family }) => (
      <Untrusted text={[platform, device_family].filter(Boolean).join(", ")} />
    ),
  },
  { title: "Last seen", show: ({ last_seen_at }) => <Ago at={last_seen_at} /> },
  { title: "Paired", show: ({ created_at }) => <Ago at={created_at} /> },
];

/** The first scopes, and how many more. */
function scopesInShort(scopes: readonly string[]): string {
  return scopes.length === 0 ? "no scopes" : inShort(scopes);
}
