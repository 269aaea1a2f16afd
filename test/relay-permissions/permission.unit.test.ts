/**
 * Which connection may send to which: the rule, over every state of the permissions of both sides.
 */
import { describe, expect, test } from "vitest";
import {
  CONNECTION_ID_PATTERN,
  mayRelay,
  neededPermissions,
  type PermissionState,
  permissionLookup,
} from "../../src/relay-permissions/permission";

/** A permission that was created without `enabled` is disabled. */
const STATES = ["absent", "present", "enabled", "disabled"] as const;
type State = (typeof STATES)[number];

const sixteen = STATES.flatMap((send) => STATES.map((receive) => [send, receive] as const));

function rows(from: string, to: string, send: State, receive: State): PermissionState[] {
  const [sending, receiving] = neededPermissions(from, to);
  return [
    ...(send === "absent" ? [] : [{ ...sending, enabled: send === "enabled" }]),
    ...(receive === "absent" ? [] : [{ ...receiving, enabled: receive === "enabled" }]),
  ];
}

describe.each([
  ["A", "B"],
  ["B", "A"],
])("a frame from %s to %s", (from, to) => {
  test.each(sixteen)(
    "is judged by the sender's row %s and the receiver's row %s",
    (send, receive) => {
      const both = send === "enabled" && receive === "enabled";
      const verdict = mayRelay(from, to, permissionLookup(rows(from, to, send, receive)));
      expect(verdict.allowed).toBe(both);
      expect(verdict.missing.map(({ direction, state }) => `${direction} ${state}`)).toEqual([
        ...(send === "enabled" ? [] : [`send ${send === "absent" ? "absent" : "disabled"}`]),
        ...(receive === "enabled"
          ? []
          : [`receive ${receive === "absent" ? "absent" : "disabled"}`]),
      ]);
    },
  );

  test.each(sixteen)("is not judged by the rows of the way back, %s and %s", (send, receive) => {
    const back = rows(to, from, send, receive);
    expect(mayRelay(from, to, permissionLookup(back)).allowed).toBe(false);
    const there = rows(from, to, "enabled", "enabled");
    expect(mayRelay(from, to, permissionLookup([...back, ...there])).allowed).toBe(true);
  });
});

test("a missing permission names the row that its own side has to change", () => {
  expect(mayRelay("plant-1", "head.office", permissionLookup([])).missing).toEqual([
    {
      connectionId: "plant-1",
      remoteConnectionId: "head.office",
      direction: "send",
      state: "absent",
    },
    {
      connectionId: "head.office",
      remoteConnectionId: "plant-1",
      direction: "receive",
      state: "absent",
    },
  ]);
});

test("a connection may send to itself only with both rows of its own", () => {
  const [send, receive] = neededPermissions("A", "A");
  expect(mayRelay("A", "A", permissionLookup([{ ...send, enabled: true }])).allowed).toBe(false);
  const both = [
    { ...send, enabled: true },
    { ...receive, enabled: true },
  ];
  expect(mayRelay("A", "A", permissionLookup(both)).allowed).toBe(true);
});

test("two different rows never have the same key, however their ids are split", () => {
  const near = [
    { connectionId: "A-B", remoteConnectionId: "C", direction: "send", enabled: true },
    { connectionId: "C", remoteConnectionId: "A-B", direction: "receive", enabled: true },
  ] as const;
  expect(mayRelay("A", "B-C", permissionLookup(near)).allowed).toBe(false);
});

test.each(["a", "A.b_c-9", "...", ".a", "a".repeat(16)])(
  "%s is a valid id of a connection",
  (id) => {
    expect(CONNECTION_ID_PATTERN.test(id)).toBe(true);
  },
);

test.each(["", ".", "..", "a".repeat(17), "a b", "a/b", "ä", "a\n"])(
  "%j is not a valid id of a connection",
  (id) => {
    expect(CONNECTION_ID_PATTERN.test(id)).toBe(false);
  },
);
