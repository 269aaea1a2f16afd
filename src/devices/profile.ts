/** What a device says of itself and asks for: the words that requests and devices share. */

/** What a device says of itself. */
export interface DeviceProfile {
  /** base64url of the raw 32 bytes. */
  publicKey: string;
  displayName: string;
  /** Platform and family as they are signed: trimmed, in lower case. */
  platform: string;
  family: string;
  clientId: string;
  clientMode: string;
}

/** What is asked for, or an approval gives. */
export interface RolesAndScopes {
  /** What the token is for; one of `roles`. */
  role: string;
  roles: readonly string[];
  scopes: readonly string[];
}

/** What a device says of itself and asks for. */
export interface RequestedAccess extends DeviceProfile, RolesAndScopes {
  deviceId: string;
  /** It asks for no attention. Never a reason to approve. */
  silent: boolean;
}
