/** The ids of relay sessions. */

/** The form of a relay session's id: 12 hex digits and `-S`, as the vendor has it. */
export const RELAY_SESSION_ID = /^[0-9a-f]{12}-S$/;

/** A new id, drawn at random. */
export function newRelaySessionId(): string {
  return `${Buffer.from(crypto.getRandomValues(new Uint8Array(6))).toString("hex")}-S`;
}
