/** The permission of every operation, compared with a list of its own. */
import { expect, test } from "vitest";
import type { Operation } from "../../src/http/operation";
import { OPERATIONS } from "../../src/surfaces/all";
import { PERMISSIONS_OF_OPERATIONS } from "../support/permissions-of-operations";

function toText({ caller }: Operation): string {
  if (caller.by === "root") return "root";
  if (caller.by === "root-or-key") return `${caller.permission}, or root`;
  if (caller.by === "handler") {
    return caller.security.length === 0 ? "open" : `handler: ${caller.security.join(", ")}`;
  }
  const freshness = caller.freshness === "fresh" ? ", fresh" : "";
  return `${caller.permission ?? "any key"}${freshness}`;
}

test("every operation asks for what test/support/permissions-of-operations.ts says", () => {
  const declared = OPERATIONS.map((operation) => [operation.id, toText(operation)]);
  expect(Object.fromEntries(declared)).toEqual(PERMISSIONS_OF_OPERATIONS);
});
