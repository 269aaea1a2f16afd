/** What people compare when they decide a request: its fingerprint and its digest, remembered in the isolate. */
import { dropOldest } from "../platform/bounded-memory";
import { fingerprint } from "./device-key";
import { type PairingRequest, requestDigest } from "./pairing-request";

/** What identifies a request to those who decide. */
export interface RequestMarks {
  /** 8 characters, made of the device's key. */
  fingerprint: string;
  /** A hash of all that an approval would give. */
  digest: string;
}

/** Requests whose marks an isolate remembers. */
const REMEMBERED = 10_000;

const known = new Map<string, RequestMarks>();

/**
 * The marks of a request. They can be remembered by its id, because what a request asks for never changes. A list
 * of pending requests is read every few seconds: remembering saves two computations for each row.
 */
export function marksOf(request: PairingRequest): RequestMarks {
  const name = `${request.applicationId}/${request.id}`;
  const before = known.get(name);
  if (before) return before;
  const marks = { fingerprint: fingerprint(request.deviceId), digest: requestDigest(request) };
  known.set(name, marks);
  dropOldest(known, REMEMBERED);
  return marks;
}
