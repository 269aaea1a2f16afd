/** What a session's object has to know about devices: by which pairing a socket was let in, and what ends that. Pure. */

/** The pairing by which a device's socket was let in: in which application, at which version of the device. */
export interface DevicePairing {
  readonly applicationId: string;
  /** Rises with every change of the device. */
  readonly version: number;
}

/**
 * Notice that a device was removed or revoked, or may do less than before. The sockets that this pairing
 * let in at an earlier version have to be closed.
 */
export interface DeviceRevocation extends DevicePairing {
  readonly organisationId: number;
  readonly deviceId: string;
}

/** Whether a socket that this pairing let in has to be closed. */
export function isRevokedBy(pairing: DevicePairing, revocation: DeviceRevocation): boolean {
  return pairing.applicationId === revocation.applicationId && pairing.version < revocation.version;
}
