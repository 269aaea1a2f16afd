/** What a session's object knows of devices. Pure. */

/** The pairing that let a device's socket in: in which application, and at which version of the device. */
export interface DevicePairing {
  readonly applicationId: string;
  /** Rises with every change of the device. */
  readonly version: number;
}

/**
 * Notice that a device was removed, revoked or may do less: sockets that this pairing let in at an
 * earlier version are to be closed.
 */
export interface DeviceRevocation extends DevicePairing {
  readonly organisationId: number;
  readonly deviceId: string;
}

/** Whether a socket that this pairing let in is to be closed. */
export function isRevokedBy(pairing: DevicePairing, cut: DeviceRevocation): boolean {
  return pairing.applicationId === cut.applicationId && pairing.version < cut.version;
}
