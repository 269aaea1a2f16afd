/** What a relay node counts of its datagrams, since it was started. Pure. */

/** Why a datagram was not passed on. */
export const DROP_REASONS = [
  /** It is none of this protocol, or nobody can be answered: it came from port 0. */
  "malformed",
  /** Nobody here has these tokens on this port. */
  "invalid-tokens",
  /** The user sends more than allowed. */
  "over-limit",
  /** The receiver is not connected, or there is none. */
  "no-receiver",
  /** Relay permissions do not let it pass. */
  "not-permitted",
  /** Drawbridge was not heard for too long. */
  "link-down",
  /** It came from a websocket, and is too large for a datagram. */
  "too-large",
  /** The socket did not take it. */
  "socket-full",
] as const;

export type DropReason = (typeof DROP_REASONS)[number];

export class TrafficCounts {
  datagramsIn = 0;
  datagramsOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  readonly dropped: Record<DropReason, number> = {
    malformed: 0,
    "invalid-tokens": 0,
    "over-limit": 0,
    "no-receiver": 0,
    "not-permitted": 0,
    "link-down": 0,
    "too-large": 0,
    "socket-full": 0,
  };

  /** How many datagrams were dropped, for whatever reason. */
  get allDropped(): number {
    return Object.values(this.dropped).reduce((sum, count) => sum + count, 0);
  }

  /** Adds what another process has counted. */
  add(counts: Counts): void {
    this.datagramsIn += counts.datagramsIn;
    this.datagramsOut += counts.datagramsOut;
    this.bytesIn += counts.bytesIn;
    this.bytesOut += counts.bytesOut;
    for (const reason of DROP_REASONS) this.dropped[reason] += counts.dropped[reason];
  }

  /** Becomes the sum of these. */
  setToSumOf(all: readonly Counts[]): void {
    Object.assign(this, new TrafficCounts());
    for (const counts of all) this.add(counts);
  }
}

/** What was counted, as it travels between processes. */
export type Counts = Pick<
  TrafficCounts,
  "datagramsIn" | "datagramsOut" | "bytesIn" | "bytesOut" | "dropped"
>;
