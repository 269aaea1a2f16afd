/**
 * How often an address is told that its tokens are invalid. Sender addresses of UDP can be forged, so
 * this is the one thing that a node sends to somebody who has shown nothing: two bytes, for nine at least.
 * Pure.
 */
import { senderBucket } from "./sender-bucket";

const WINDOW_MS = 1_000;
/** Answers of a node to pings in any second, for each address. */
const PINGS_ANSWERED = 10;
/** Addresses that a node remembers. While so many are being answered, all others get no answer. */
const MAX_ADDRESSES = 1_000;

interface Answered {
  /** When the last pings were answered, as a ring. */
  readonly pings: Float64Array;
  next: number;
  /** When data was answered last. */
  dataAt: number;
  /** When anything was answered last. */
  lastAt: number;
}

/**
 * At most ten answers to pings, and one to data, in any second to one address: an IPv4 address, or the /64
 * of an IPv6 address. Processes that share the ports of a node share these bounds. Data is then answered
 * by each once in as many seconds as there are processes.
 */
export class InvalidPongs {
  readonly #pings: number;
  readonly #dataMs: number;
  readonly #maxAddresses: number;
  /** The one that was answered longest ago stands first. */
  readonly #answered = new Map<string, Answered>();

  /** `processes`: how many share the bounds, ten at most. */
  constructor(processes = 1) {
    this.#pings = Math.floor(PINGS_ANSWERED / processes);
    this.#dataMs = WINDOW_MS * processes;
    this.#maxAddresses = Math.floor(MAX_ADDRESSES / processes);
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#answered.size;
  }

  /**
   * Whether a ping (or else data) with invalid tokens is answered. If so, it counts.
   * @param now milliseconds of a clock that never jumps
   */
  mayAnswer(type: "ping" | "data", address: string, now: number): boolean {
    const bucket = senderBucket(address);
    const answered = this.#answered.get(bucket) ?? this.#newEntry(now);
    if (answered === null) return false;
    const before = type === "ping" ? (answered.pings[answered.next] ?? 0) : answered.dataAt;
    if (now - before < (type === "ping" ? WINDOW_MS : this.#dataMs)) return false;
    if (type === "ping") {
      answered.pings[answered.next] = now;
      answered.next = (answered.next + 1) % this.#pings;
    } else {
      answered.dataAt = now;
    }
    answered.lastAt = now;
    this.#answered.delete(bucket);
    this.#answered.set(bucket, answered);
    return true;
  }

  /** Forgets the addresses that may be answered again in full. */
  forgetOld(now: number): void {
    for (const [bucket, { lastAt }] of this.#answered) {
      if (now - lastAt < this.#dataMs) return;
      this.#answered.delete(bucket);
    }
  }

  #newEntry(now: number): Answered | null {
    if (this.#answered.size >= this.#maxAddresses) this.forgetOld(now);
    if (this.#answered.size >= this.#maxAddresses) return null;
    const never = Number.NEGATIVE_INFINITY;
    return {
      pings: new Float64Array(this.#pings).fill(never),
      next: 0,
      dataAt: never,
      lastAt: now,
    };
  }
}
