/** What travels on a link and on a trunk: what is read of it, and what is ignored. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseTrunkFrame, parseTrunkMessage, trunkFrame } from "../../src/relay/trunk";
import {
  LINK_PING,
  LINK_PONG,
  loadClass,
  parseFromNode,
  parseToNode,
} from "../../src/relay-nodes/link-protocol";

const hello = {
  type: "hello",
  protocol: 1,
  version: "1.0.0",
  host: "play.example.com",
  ports: { server: 7001, client: 7002 },
  sessions: [],
};

describe("a message of a link", () => {
  test("is read with the fields that are known, and without those that are not", () => {
    const message = { ...hello, mood: "good", ports: { ...hello.ports, third: 1 } };
    expect(parseFromNode(JSON.stringify(message))).toEqual(hello);
    expect(parseToNode('{"type":"drain","draining":true,"why":"rain"}')).toEqual({
      type: "drain",
      draining: true,
    });
  });

  test("of an unknown type is null, on both sides, whatever the name", () => {
    for (const type of ["weather", "constructor", "__proto__", "toString", ""]) {
      const text = JSON.stringify({ type });
      expect([type, parseFromNode(text), parseToNode(text)]).toEqual([type, null, null]);
    }
  });

  test.each([
    ["no JSON", "{"],
    ["no object", "null"],
    ["no type", "{}"],
    ["a type that is no text", '{"type":1}'],
    ["no fields", '{"type":"hello"}'],
    ["a port that is none", JSON.stringify({ ...hello, ports: { server: 0, client: 1 } })],
    ["no sessions", JSON.stringify({ ...hello, sessions: null })],
    ["an endless ref", JSON.stringify({ type: "done", ref: "x".repeat(65) })],
    ["a negative count", '{"type":"load","sessions":-1}'],
  ])("with %s is malformed, and says what is wrong", (_, text) => {
    const parsed = parseFromNode(text);
    expect(parsed).toMatchObject({ type: "malformed", problem: expect.any(String) });
  });

  test("never makes the parser throw", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        parseFromNode(text);
        parseToNode(text);
        parseTrunkMessage(text);
      }),
    );
  });

  test("that is a ping or its answer has exactly the bytes that the platform compares", () => {
    expect([LINK_PING, LINK_PONG]).toEqual(['{"type":"ping"}', '{"type":"pong"}']);
    expect(parseToNode(LINK_PONG)).toEqual({ type: "pong" });
  });
});

test("a figure is in another class when it has doubled, and not for less", () => {
  expect([0, 0.5, 1, 2, 3, 4, 7, 8, 1_000].map(loadClass)).toEqual([0, 0, 1, 2, 2, 3, 3, 4, 10]);
});

describe("a frame of a trunk", () => {
  test("is the sender, the receiver, 02 and the payload, little-endian", () => {
    const frame = trunkFrame(3, 0, Uint8Array.of(104, 105));
    expect([...frame]).toEqual([3, 0, 0, 0, 0, 0, 0, 0, 2, 104, 105]);
  });

  test("is read as it was written, also where it stands within other bytes", () => {
    const ordinal = fc.nat(0x7fff_ffff);
    fc.assert(
      fc.property(
        ordinal,
        ordinal,
        fc.uint8Array({ maxLength: 2_000 }),
        fc.nat(16),
        (from, to, payload, at) => {
          const frame = trunkFrame(from, to, payload);
          const buffer = new Uint8Array(frame.length + at);
          buffer.set(frame, at);
          expect(parseTrunkFrame(buffer.subarray(at))).toEqual({ from, to, payload });
        },
      ),
    );
  });

  test("that is too short, or has another type, is none", () => {
    expect(parseTrunkFrame(new Uint8Array(8))).toBeNull();
    expect(parseTrunkFrame(new Uint8Array(9))).toBeNull();
  });
});

describe("who is on a side of a trunk", () => {
  test("is read, and nothing else is", () => {
    expect(parseTrunkMessage('{"type":"here","users":[0,3],"more":1}')).toEqual({
      type: "here",
      users: [0, 3],
    });
    for (const text of [
      '{"type":"here"}',
      '{"type":"gone","users":[]}',
      '{"type":"here","users":[-1]}',
      "null",
      "3",
    ]) {
      expect(parseTrunkMessage(text)).toBeNull();
    }
  });
});
