/**
 * The messages of the data plane have exactly the bytes that docs/relay-protocol.md gives, and no
 * bytes make the reader fail.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as relay from "../../src/relay/protocol";
import { MAX_PAYLOAD_BYTES, pongFrame, RELAY_STATE } from "../../src/relay/protocol";
import { TRUNK_HEADER_BYTES } from "../../src/relay/trunk";
import { frameForClient, frameForHost, messageWith, parseFrame } from "../support/relay-frames";

const bytes = (...values: number[]) => Uint8Array.from(values);
/** A buffer of exactly these bytes. */
const buffer = (values: Uint8Array) => values.slice().buffer as ArrayBuffer;
const parse = (from: "host" | "client", ...values: number[]) =>
  parseFrame(from, buffer(bytes(...values)));
const sized = (length: number, first = 2) => {
  const frame = new Uint8Array(length);
  frame[0] = first;
  return frame.buffer;
};

const payloads = fc.uint8Array({ maxLength: 300 });
const connectionIds = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const sides = fc.constantFrom("host" as const, "client" as const);

describe("the bytes of a message", () => {
  test("for the host hold the connection id in four bytes, the least significant first", () => {
    expect(frameForHost(0x01020304, bytes(0xaa, 0xbb))).toEqual(
      bytes(2, 0x04, 0x03, 0x02, 0x01, 0xaa, 0xbb),
    );
    expect(frameForHost(1, bytes())).toEqual(bytes(2, 1, 0, 0, 0));
    expect(frameForHost(-2, bytes())).toEqual(bytes(2, 0xfe, 0xff, 0xff, 0xff));
  });

  test("for a client are a 2 and then the payload", () => {
    expect(frameForClient(bytes(0xaa, 0xbb))).toEqual(bytes(2, 0xaa, 0xbb));
    expect(frameForClient(bytes())).toEqual(bytes(2));
  });

  test("that answer a ping are 1 and the state, with the numbers that Edgegap documents", () => {
    expect(pongFrame(RELAY_STATE.valid)).toEqual(bytes(1, 2));
    expect(RELAY_STATE).toEqual({
      disconnected: 0,
      checking: 1,
      valid: 2,
      invalid: 3,
      sessionTimeout: 4,
      error: 5,
    });
  });

  test.each([
    ["client", [2], { type: "data", to: null, payload: bytes() }],
    ["client", [2, 7, 8], { type: "data", to: null, payload: bytes(7, 8) }],
    ["client", [2, 1, 0, 0, 0, 9], { type: "data", to: null, payload: bytes(1, 0, 0, 0, 9) }],
    ["host", [2, 5, 0, 0, 0], { type: "data", to: 5, payload: bytes() }],
    ["host", [2, 4, 3, 2, 1, 9], { type: "data", to: 0x01020304, payload: bytes(9) }],
    ["host", [2, 0xff, 0xff, 0xff, 0xff, 9], { type: "data", to: -1, payload: bytes(9) }],
    ["client", [1], { type: "ping" }],
    ["host", [1], { type: "ping" }],
    ["host", [3], { type: "broadcast", payload: bytes() }],
    ["host", [3, 1, 0, 0, 0, 9], { type: "broadcast", payload: bytes(1, 0, 0, 0, 9) }],
  ] as const)("from the %s, %j, are understood", (from, values, expected) => {
    expect(parse(from, ...values)).toEqual(expected);
  });

  test.each([
    ["client", []],
    ["host", []],
    ["client", [0]],
    ["client", [3, 1, 2]],
    ["client", [0xff]],
    ["client", [1, 0]],
    ["host", [1, 2]],
    ["host", [2]],
    ["host", [2, 1, 0, 0]],
  ] as const)("from the %s, %j, are malformed", (from, values) => {
    expect(parse(from, ...values)).toEqual({ type: "malformed" });
  });

  test.each([
    ["client", 1],
    ["host", 5],
  ] as const)("from the %s may hold a payload of 64 KB and not one byte more", (from, header) => {
    expect(MAX_PAYLOAD_BYTES).toBe(65_536);
    expect(parseFrame(from, sized(header + 65_536))).toMatchObject({ type: "data" });
    expect(parseFrame(from, sized(header + 65_537))).toEqual({ type: "too-large" });
  });

  test("for all clients may hold a payload of 64 KB and not one byte more", () => {
    expect(parseFrame("host", sized(65_537, 3))).toMatchObject({ type: "broadcast" });
    expect(parseFrame("host", sized(65_538, 3))).toEqual({ type: "too-large" });
  });

  test("that are text are no frame, but for a client that answers that it is the host now", () => {
    expect(parseFrame("client", "promoted")).toEqual({ type: "promoted" });
    expect(parseFrame("host", "promoted")).toEqual({ type: "text" });
    for (const text of ["ping", "Promoted", "promoted ", "", "{}"]) {
      expect(parseFrame("client", text)).toEqual({ type: "text" });
    }
  });
});

describe("a frame that is made of a message that came", () => {
  /** What stands before the payload of a client's message and a broadcast, of a host's, of a trunk's. */
  const starts = fc.constantFrom(1, 5, TRUNK_HEADER_BYTES);

  test("is the same for each receiver, whatever stood before its payload", () => {
    fc.assert(
      fc.property(payloads, starts, connectionIds, (payload, start, id) => {
        const forClient = relay.frameForClient(messageWith(start, payload), start);
        expect(forClient).toEqual(bytes(2, ...payload));
        const forHost = relay.frameForHost(id, messageWith(start, payload), start);
        expect(forHost).toEqual(frameForHost(id, payload));
      }),
    );
  });

  test("is a view of the message, but for a client's message to the host", () => {
    const payload = bytes(7, 8, 9);
    for (const start of [1, 5, TRUNK_HEADER_BYTES]) {
      const message = messageWith(start, payload);
      expect(relay.frameForClient(message, start).buffer).toBe(message.buffer);
      const isView = relay.frameForHost(3, message, start).buffer === message.buffer;
      expect(isView).toBe(start >= 5);
      expect(message.subarray(start)).toEqual(payload);
    }
  });
});

describe("the relay's protocol, whatever the bytes,", () => {
  test("brings a client's payload to the host unchanged, with the client's id", () => {
    fc.assert(
      fc.property(payloads, connectionIds, (payload, id) => {
        const sent = parseFrame("client", buffer(frameForClient(payload)));
        if (sent.type !== "data") throw new Error(sent.type);
        expect(sent.to).toBeNull();
        const received = parseFrame("host", buffer(frameForHost(id, sent.payload)));
        expect(received).toEqual({ type: "data", to: id, payload });
      }),
    );
  });

  test("is read without a throw, as exactly one of its kinds", () => {
    fc.assert(
      fc.property(sides, payloads, (from, message) => {
        const frame = parseFrame(from, buffer(message));
        const isPing = message.length === 1 && message[0] === 1;
        const isData = message[0] === 2 && message.length >= (from === "host" ? 5 : 1);
        const isBroadcast = message[0] === 3 && from === "host";
        const frames = { ping: isPing, data: isData, broadcast: isBroadcast, malformed: true };
        expect(frame.type).toBe(Object.entries(frames).find(([, fits]) => fits)?.[0]);
      }),
      { numRuns: 1_000 },
    );
  });

  test("writes what was read as data as the very same bytes", () => {
    fc.assert(
      fc.property(sides, payloads, (from, rest) => {
        const message = bytes(2, ...rest);
        const frame = parseFrame(from, buffer(message));
        fc.pre(frame.type === "data");
        if (frame.type !== "data") return;
        const again =
          frame.to === null ? frameForClient(frame.payload) : frameForHost(frame.to, frame.payload);
        expect(frame.to === null).toBe(from === "client");
        expect(again).toEqual(message);
      }),
    );
  });
});
