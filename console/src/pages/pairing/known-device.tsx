/** What a device that asks again has now, so that one sees what it asks for besides. */
import { type Device, getDevice, type PairingRequest } from "drawbridge-client";
import { useEffect, useState } from "preact/hooks";
import { asCallError, result } from "../../call";
import { Scopes } from "../../parts/device";
import { Badge, Untrusted } from "../../parts/text";
import { areImpliedBy } from "../../scopes";

/** What is known of the device of a request. */
export interface KnownDevice {
  /** Null: it is not paired, or not known yet. */
  device: Device | null;
  /** Why it is not known; null: it is, or will be. */
  error: string | null;
}

/** Reads the device of a request that was paired when it asked. */
export function useKnownDevice(request: PairingRequest): KnownDevice {
  const [known, setKnown] = useState<KnownDevice>({ device: null, error: null });
  useEffect(() => {
    if (!request.is_repair) return;
    read(request).then(setKnown);
  }, [request.pair_request_id]);
  return known;
}

async function read({ application_id, device_id }: PairingRequest): Promise<KnownDevice> {
  try {
    const path = { application: application_id, device: device_id };
    return { device: await result(getDevice({ path })), error: null };
  } catch (error) {
    return { device: null, error: asCallError(error).message };
  }
}

/** Whether the device asks for a role or a scope that it does not have. */
export function asksForMore(request: PairingRequest, device: Device): boolean {
  return (
    !request.roles.every((role) => device.roles.includes(role)) ||
    !areImpliedBy(request.scopes, device.scopes)
  );
}

/** Marks that a device is paired already, and what is different now. */
export function RepairNote({ request, known }: { request: PairingRequest; known: KnownDevice }) {
  const { device, error } = known;
  if (!request.is_repair) return null;
  if (!device) {
    return <p class="repair">{error && `What the device has now could not be read. ${error}`}</p>;
  }
  return (
    <p class="repair">
      It has <Scopes scopes={device.scopes} /> now. What you approve takes the place of that.
      {changed(request, device).map(([what, before]) => (
        <span key={what}>
          {" "}
          Its {what} has changed: it was <Untrusted text={before} />.
        </span>
      ))}
    </p>
  );
}

/** The marks of a request that stand beside its name. */
export function RequestMarks({ request, known }: { request: PairingRequest; known: KnownDevice }) {
  return (
    <>
      {request.is_repair && <Badge>repair: it is paired already</Badge>}{" "}
      {known.device && asksForMore(request, known.device) && (
        <Badge kind="warn">asks for more than it has</Badge>
      )}{" "}
      {request.silent && <Badge>silent: nobody was notified</Badge>}
    </>
  );
}

/** What the device says of itself otherwise than when it was paired, with what it said then. */
function changed(request: PairingRequest, device: Device): [string, string][] {
  const all: [string, string, string][] = [
    ["name", device.display_name, request.display_name],
    ["platform", device.platform, request.platform],
    ["family", device.device_family, request.device_family],
    ["program", device.client_id, request.client_id],
  ];
  return all.filter(([, before, now]) => before !== now).map(([what, before]) => [what, before]);
}
