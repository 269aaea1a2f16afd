/** What a session's object is told of devices. Pure. */

/** A device whose token the Worker has verified, for a websocket. */
export interface VerifiedDevice {
  readonly organisationId: number;
  readonly applicationId: string;
  readonly deviceId: string;
  /** Of the device, when its token was verified. */
  readonly version: number;
}

/** A device that was revoked: what was verified before this version counts no more. */
export type DeviceCut = VerifiedDevice;

/** Carries a `VerifiedDevice` as JSON from the Worker to the object. `SessionClient.connect` sets it. */
export const DEVICE_HEADER = "X-Drawbridge-Device";

/** The verified device of an upgrade, as the Worker handed it over. */
export function readVerifiedDevice(headers: Headers): VerifiedDevice | null {
  const text = headers.get(DEVICE_HEADER);
  return text === null ? null : JSON.parse(text);
}
