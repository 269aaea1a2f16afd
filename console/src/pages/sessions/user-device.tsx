/** The device that a user of a relay session has to be. */
import { getDevice, listApplications } from "drawbridge-client";
import { CallError, result } from "../../call";
import { Action } from "../../parts/action";
import { goTo } from "../../routes";

/** In so many applications a device is looked for. */
const MOST_APPLICATIONS = 100;

/** The beginning of its id, and a button that opens it. */
export function UserDevice({ id }: { id: string }) {
  return (
    <div class="muted">
      device <code title={id}>{id.length > 16 ? `${id.slice(0, 12)}…` : id}</code>{" "}
      <Action run={() => open(id)} needs="devices:list">
        Open
      </Action>
    </div>
  );
}

/** A session does not say with which application its device is paired, so the applications are asked. */
async function open(id: string): Promise<void> {
  const { data } = await result(listApplications({ query: { limit: MOST_APPLICATIONS } }));
  for (const { id: application } of data) {
    if (await isPairedWith(application, id)) return goTo("devices", application, id);
  }
  throw new CallError("None of your applications has paired this device.", null, null);
}

async function isPairedWith(application: string, device: string): Promise<boolean> {
  try {
    await result(getDevice({ path: { application, device } }));
    return true;
  } catch (error) {
    // Not a device of this application, or not the id of any device.
    if (error instanceof CallError && [400, 404].includes(error.status ?? 0)) return false;
    throw error;
  }
}
