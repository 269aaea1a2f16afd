/** The events of a RelayConnection, with their fields. */

/** The fields of each event, by its type. `Received` is what a message holds. */
export interface RelayEvents<Received> {
  /** A message came. `from` is the connection id of its sender; null: from the host. */
  message: { data: Received; from: number | null };
  /** A message came that the codec cannot read: the other end has another codec. */
  undecodable: { data: Uint8Array; from: number | null; error: unknown };
  /** To the host: this client is there. */
  peerjoined: { connectionId: number };
  /** To the host: this client is gone. */
  peerleft: { connectionId: number };
  /** To clients: the host is there. */
  hostjoined: NoFields;
  /** To clients: the host is gone. */
  hostleft: NoFields;
  /** Another user is the host now: the one with this connection id; null: the relay has not said which. */
  hostchanged: { connectionId: number | null };
  /** This user is the host from now on. */
  promoted: NoFields;
  /** Relay permissions do not let messages pass to this client; null: to the host. */
  refused: { connectionId: number | null };
  /** The connection is gone, and will be made again. The code and reason are those of the close. */
  reconnecting: { code: number; reason: string };
  /**
   * The connection is there again, after so many milliseconds. `dropped`: how many messages of ours were lost
   * meanwhile and at the cut. `missed`: how many for us.
   */
  reconnected: { awayMs: number; dropped: number; missed: number };
  /** The connection is over, and will not be made again. 1000: `close()` was called. */
  closed: { code: number; reason: string };
}

type NoFields = Record<never, never>;

/** An event of this type. */
export type RelayEvent<Received, Type extends keyof RelayEvents<Received>> = Event &
  RelayEvents<Received>[Type];
