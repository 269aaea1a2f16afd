/** What the relay says in its text messages. Pure. */

/** A control message: docs/relay-protocol.md says which fields each type has. */
export interface Control {
  type?: string;
  connection_id?: number;
  role?: "host" | "client";
  /** How many messages the relay has taken from this user since the session began. */
  received?: number;
  /** How many messages there were for this user. */
  sent?: number;
}

/** Reads a text message. One that is no JSON is a control message of no known type. */
export function readControl(text: string): Control {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
