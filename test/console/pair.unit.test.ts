/** What two connections may send to each other, as the console reads it from their relay permissions. */
import { describe, expect, it } from "vitest";
import {
  directionOf,
  neededBy,
  type Rows,
  stepsTo,
} from "../../console/src/pages/permissions/pair";

type Enabled = "true" | "false";

function row(connectionId: string, direction: "send" | "receive", enabled: Enabled) {
  const remoteConnectionId = connectionId === "a" ? "b" : "a";
  return { connectionId, remoteConnectionId, direction, enabled, memo: "" };
}

const between = (a: Rows, b: Rows) => directionOf({ id: "a", rows: a }, { id: "b", rows: b });

describe("one connection may send to another", () => {
  it.each<[string, Rows, Rows, boolean, string[], string[]]>([
    ["both sides are missing", [], [], false, ["missing", "missing"], ["create", "create"]],
    [
      "the receiver's side is missing",
      [row("a", "send", "true")],
      [],
      false,
      ["enabled", "missing"],
      ["create"],
    ],
    [
      "the sender's side is disabled",
      [row("a", "send", "false")],
      [row("b", "receive", "true")],
      false,
      ["disabled", "enabled"],
      ["enable"],
    ],
    [
      "both sides are enabled",
      [row("a", "send", "true")],
      [row("b", "receive", "true")],
      true,
      ["enabled", "enabled"],
      [],
    ],
    [
      "only the other direction is enabled",
      [row("a", "receive", "true")],
      [row("b", "send", "true")],
      false,
      ["missing", "missing"],
      ["create", "create"],
    ],
    ["the receiver is not registered", [], null, false, ["missing", "unregistered"], []],
  ])("or not: %s", (_, a, b, on, states, steps) => {
    const direction = between(a, b);
    expect(direction.on).toBe(on);
    expect(direction.sides.map(({ state }) => state)).toEqual(states);
    if (b !== null) expect(stepsTo(true, direction).map(({ what }) => what)).toEqual(steps);
  });

  it("until what is enabled is disabled: nothing is deleted, and nothing else is called", () => {
    const half = between([row("a", "send", "true")], [row("b", "receive", "false")]);
    expect(stepsTo(false, half)).toEqual([{ side: half.sides[0], what: "disable" }]);
  });

  it("among its own users, with the same two permissions", () => {
    const own = (direction: "send" | "receive") => ({
      connectionId: "a",
      remoteConnectionId: "a",
      direction,
      enabled: "true" as const,
      memo: "",
    });
    const a = { id: "a", rows: [own("send"), own("receive")] };
    expect(directionOf(a, a).on).toBe(true);
  });

  it("if somebody who may create and update relay permissions says so", () => {
    const direction = between([], [row("b", "receive", "false")]);
    expect(stepsTo(true, direction).map(neededBy)).toEqual([
      "relay-permissions:create",
      "relay-permissions:update",
    ]);
  });
});
