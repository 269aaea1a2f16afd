/** What is said of the relay permissions between the connections of a session. */
import { describe, expect, test } from "vitest";
import {
  type PermissionRow,
  waysBetween,
} from "../../console/src/pages/sessions/permissions-between";

function row(
  connectionId: string,
  direction: "send" | "receive",
  remoteConnectionId: string,
  enabled: "true" | "false" = "true",
): PermissionRow {
  return { connectionId, remoteConnectionId, direction, enabled };
}

/** What is missing from one to the other, each as "a send b: absent". */
function missing(rows: PermissionRow[], from: string, to: string): string[] | undefined {
  const way = waysBetween("host", ["a", "b"], rows).find(
    (each) => each.from === from && each.to === to,
  );
  return way?.missing.map(
    ({ connectionId, direction, remoteConnectionId, state }) =>
      `${connectionId} ${direction} ${remoteConnectionId}: ${state}`,
  );
}

describe("frames from one connection to another", () => {
  test.each<[string, PermissionRow[], string[]]>([
    ["lack both rows", [], ["host send a: absent", "a receive host: absent"]],
    ["pass with both", [row("host", "send", "a"), row("a", "receive", "host")], []],
    ["lack the receiver's row", [row("host", "send", "a")], ["a receive host: absent"]],
    [
      "do not pass by rows that are disabled",
      [row("host", "send", "a", "false"), row("a", "receive", "host", "false")],
      ["host send a: disabled", "a receive host: disabled"],
    ],
    [
      "do not pass by the rows of the other way",
      [row("a", "send", "host"), row("host", "receive", "a")],
      ["host send a: absent", "a receive host: absent"],
    ],
    [
      "do not pass by the rows of another connection",
      [row("host", "send", "b"), row("b", "receive", "host")],
      ["host send a: absent", "a receive host: absent"],
    ],
  ])("%s", (_, rows, expected) => {
    expect(missing(rows, "host", "a")).toEqual(expected);
  });

  test("are said of both ways between the host and each client, and not between clients", () => {
    const ways = waysBetween("host", ["a", "b"], []).map(({ from, to }) => `${from} ${to}`);
    expect(ways).toEqual(["host a", "a host", "host b", "b host"]);
  });
});
