/** The pure parts of the client's relay: frames, codecs, what was lost, what waits, who is there, when to ping. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { BYTES, JSON_CODEC } from "../../client/src/relay/codec";
import { readControl } from "../../client/src/relay/control";
import { frameFor, MAX_PAYLOAD_BYTES, readFrame, SUBPROTOCOL } from "../../client/src/relay/frames";
import { Heartbeat } from "../../client/src/relay/heartbeat";
import { Losses } from "../../client/src/relay/losses";
import { Outbox } from "../../client/src/relay/outbox";
import { Presence } from "../../client/src/relay/presence";
import * as relay from "../../src/relay/protocol";
import { frameForClient, frameForHost, parseFrame } from "../support/relay-frames";

const payloads = fc.uint8Array({ maxLength: 64 });

describe("a frame of the client", () => {
  test("is what the relay reads, from a client, from the host to one, and to all", () => {
    fc.assert(
      fc.property(payloads, fc.integer({ min: 1, max: 2 ** 31 - 1 }), (payload, to) => {
        const read = (role: relay.Role, frame: Uint8Array<ArrayBuffer>) =>
          parseFrame(role, frame.buffer);
        expect(read("client", frameFor("host", payload))).toEqual({
          type: "data",
          to: null,
          payload,
        });
        expect(read("host", frameFor(to, payload))).toEqual({ type: "data", to, payload });
        expect(read("host", frameFor("all", payload))).toEqual({ type: "broadcast", payload });
      }),
    );
  });

  test("is read as the relay makes it, for the host and for a client", () => {
    fc.assert(
      fc.property(payloads, fc.integer({ min: 0, max: 2 ** 31 - 1 }), (payload, from) => {
        expect(readFrame(frameForHost(from, payload), true)).toEqual({ from, payload });
        expect(readFrame(frameForClient(payload), false)).toEqual({ from: null, payload });
      }),
    );
  });

  test("is no message if it is empty, a pong, or too short for the host", () => {
    expect(readFrame(new Uint8Array(), false)).toBeNull();
    expect(readFrame(relay.pongFrame(2), true)).toBeNull();
    expect(readFrame(Uint8Array.of(2, 0, 0, 0), true)).toBeNull();
  });

  test("keeps to the relay's limit and name", () => {
    expect([MAX_PAYLOAD_BYTES, SUBPROTOCOL]).toEqual([relay.MAX_PAYLOAD_BYTES, relay.SUBPROTOCOL]);
  });
});

describe("a codec", () => {
  test("gives back what it was given: bytes of any view, values of JSON", () => {
    const buffer = Uint8Array.of(1, 2, 3, 4).buffer;
    expect(BYTES.encode(buffer)).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(BYTES.encode(new DataView(buffer, 1, 2))).toEqual(Uint8Array.of(2, 3));
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const copy = JSON.parse(JSON.stringify(value));
        expect(JSON_CODEC.decode(JSON_CODEC.encode(value))).toEqual(copy);
      }),
    );
  });

  test("refuses what it cannot carry, and what is not its own", () => {
    expect(() => BYTES.encode("text" as never)).toThrow(TypeError);
    expect(() => JSON_CODEC.encode(undefined)).toThrow(TypeError);
    for (const bytes of [Uint8Array.of(), Uint8Array.of(0xff), Uint8Array.of(0x7b)]) {
      expect(() => JSON_CODEC.decode(bytes)).toThrow();
    }
  });

  test("a control message that is no JSON has no known type", () => {
    expect([readControl("pong"), readControl("null"), readControl("{}")]).toEqual([{}, {}, {}]);
  });
});

describe("what was lost", () => {
  test("is what was sent or came less than the relay says, in any life of a connection", () => {
    const stretch = fc.record({
      sent: fc.nat(50),
      // How many of these the relay had, and before which of them a ping was answered.
      taken: fc.nat(50),
      confirmed: fc.nat(50),
      addressed: fc.nat(50),
      came: fc.nat(50),
    });
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 6 }), fc.nat(1000), (stretches, start) => {
        const losses = new Losses();
        const counts = { received: start, sent: start };
        expect(losses.ready({ ...counts })).toEqual({ dropped: 0, missed: 0 });
        for (const stretch of stretches) {
          const taken = Math.min(stretch.taken, stretch.sent);
          const confirmed = Math.min(stretch.confirmed, taken);
          const came = Math.min(stretch.came, stretch.addressed);
          for (let i = 0; i < stretch.sent; i++) {
            if (i === confirmed) losses.pinged();
            losses.sent();
          }
          if (confirmed < stretch.sent) losses.ponged();
          for (let i = 0; i < came; i++) losses.came();
          counts.received += taken;
          counts.sent += stretch.addressed;
          expect(losses.ready({ ...counts })).toEqual({
            dropped: stretch.sent - taken,
            missed: stretch.addressed - came,
          });
        }
      }),
    );
  });

  test("never holds what a pong has confirmed, even if the relay forgot that it was taken", () => {
    const losses = new Losses();
    losses.ready({ received: 0, sent: 0 });
    losses.sent();
    losses.sent();
    losses.pinged();
    losses.sent();
    losses.ponged();
    losses.came();
    expect(losses.ready({ received: 0, sent: 0 })).toEqual({ dropped: 1, missed: 0 });
  });

  test("is nothing where the relay gives no counts, and none are expected the first time", () => {
    const losses = new Losses();
    losses.ready(null);
    losses.sent();
    expect(losses.ready({ received: 0, sent: 2 })).toEqual({ dropped: 1, missed: 2 });
    losses.sent();
    expect(losses.ready(null)).toEqual({ dropped: 0, missed: 0 });
    losses.sent();
    expect(losses.ready({ received: 0, sent: 2 })).toEqual({ dropped: 0, missed: 0 });
  });
});

describe("what waits", () => {
  const frame = (n: number) => Uint8Array.of(n);

  test("goes out in order, the newest of it as many as fit, and the rest is counted", () => {
    fc.assert(
      fc.property(fc.nat(8), fc.nat(20), (capacity, count) => {
        const outbox = new Outbox(capacity);
        for (let i = 0; i < count; i++) outbox.keep({ frame: frame(i), asHost: false });
        const sent: number[] = [];
        outbox.flush(false, ([n = -1]) => {
          sent.push(n);
          return true;
        });
        const kept = Math.min(capacity, count);
        expect(sent).toEqual(Array.from({ length: kept }, (_, i) => count - kept + i));
        expect(outbox.dropped).toBe(count - kept);
      }),
    );
  });

  test("is dropped if the role is another one, if it cannot be sent, or at the end", () => {
    const outbox = new Outbox(9);
    for (const asHost of [true, false, false]) outbox.keep({ frame: frame(1), asHost });
    const answers = [true, false];
    outbox.flush(false, () => answers.shift() ?? false);
    expect([outbox.dropped, outbox.takeReport(), outbox.takeReport()]).toEqual([2, 2, 0]);
    outbox.keep({ frame: frame(1), asHost: false });
    outbox.clear();
    outbox.drop(3);
    expect([outbox.dropped, outbox.takeReport()]).toEqual([6, 4]);
  });
});

describe("who is there", () => {
  test("is told once, and after a cut only what has changed", () => {
    const presence = new Presence();
    expect([presence.joined(1), presence.joined(1), presence.joined(2)]).toEqual([
      true,
      false,
      true,
    ]);
    presence.reconnected();
    expect([presence.joined(2), presence.joined(3)]).toEqual([false, true]);
    expect(presence.settled()).toEqual([1]);
    expect(presence.settled()).toEqual([]);
    expect([...presence.all]).toEqual([2, 3]);
    expect([presence.left(2), presence.left(2)]).toEqual([true, false]);
    presence.clear();
    expect([...presence.all]).toEqual([]);
  });
});

describe("a connection pings", () => {
  let pings: number;
  let gone: number;
  let heartbeat: Heartbeat;

  beforeEach(() => {
    vi.useFakeTimers();
    pings = 0;
    gone = 0;
    heartbeat = new Heartbeat(
      () => pings++,
      () => gone++,
    );
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test("every 20 s while nothing happens, so that the relay hears of it within 60 s", () => {
    heartbeat.ping();
    heartbeat.answered();
    vi.advanceTimersByTime(19_999);
    expect(pings).toBe(1);
    vi.advanceTimersByTime(1);
    expect(pings).toBe(2);
  });

  test("every 2 s while messages go or come", () => {
    heartbeat.ping();
    heartbeat.busy(10);
    heartbeat.answered();
    vi.advanceTimersByTime(2_000);
    expect(pings).toBe(2);
    heartbeat.answered();
    vi.advanceTimersByTime(5_000);
    expect(pings).toBe(2);
    heartbeat.busy(10);
    vi.advanceTimersByTime(1_000);
    heartbeat.busy(10);
    vi.advanceTimersByTime(1_000);
    expect(pings).toBe(3);
  });

  test("at once after a megabyte, or when the ping before it is answered", () => {
    heartbeat.ping();
    heartbeat.busy(1_048_576);
    expect(pings).toBe(1);
    heartbeat.answered();
    expect(pings).toBe(2);
    heartbeat.answered();
    heartbeat.busy(1_048_575);
    heartbeat.busy(1);
    expect(pings).toBe(3);
  });

  test("and takes the other end as gone if nothing comes for 10 s after it", () => {
    heartbeat.ping();
    vi.advanceTimersByTime(9_999);
    heartbeat.heard();
    vi.advanceTimersByTime(10_000);
    expect(gone).toBe(0);
    vi.advanceTimersByTime(1);
    expect(gone).toBe(1);
  });

  test("no more once it has stopped", () => {
    heartbeat.ping();
    heartbeat.stop();
    heartbeat.busy(9_999_999);
    vi.advanceTimersByTime(100_000);
    expect([pings, gone]).toEqual([1, 0]);
  });
});
