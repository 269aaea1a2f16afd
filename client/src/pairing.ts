/** `drawbridge-client/pairing`: pairs a device. */
export {};
