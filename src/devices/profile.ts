/** What a device tells about itself and requests. Pairing requests and devices share these types. */

/** The bounds of what a device tells about itself, in characters. Operators' labels have the same one. */
export const LONGEST_PROFILE_TEXT = 64;

/** What a device tells about itself. */
export interface DeviceProfile {
  /** base64url of the raw 32 bytes. */
  publicKey: string;
  displayName: string;
  /** Platform and family have the form in which they are signed: trimmed, in lower case. */
  platform: string;
  family: string;
  clientId: string;
  clientMode: string;
}

/** The roles and scopes that a device requests, or that an approval gives it. */
export interface RolesAndScopes {
  /** What the token is for; one of `roles`. */
  role: string;
  roles: readonly string[];
  scopes: readonly string[];
}

/** All that a device puts into a pairing request. */
export interface RequestedAccess extends DeviceProfile, RolesAndScopes {
  deviceId: string;
  /** Nobody is notified of the request. It is never a reason to approve it. */
  silent: boolean;
}
