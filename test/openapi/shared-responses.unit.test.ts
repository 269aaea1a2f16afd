/** Error responses that several operations have in common, and the names that they get. */
import { expect, test } from "vitest";
import { shareErrorResponses } from "../../src/openapi/shared-responses";

/** An operation with these error responses: a status and its codes. */
function operation(operationId: string, errors: Record<string, string>) {
  const responses: Record<string, object> = { 200: { description: "Done." } };
  for (const [status, codes] of Object.entries(errors)) responses[status] = { description: codes };
  return { operationId, responses };
}

test("a response that two operations have becomes a component; others stay where they are", () => {
  const first = operation("first", { 404: "not-found", 409: "full" });
  const second = operation("second", { 404: "not-found", 409: "ended" });
  const components = shareErrorResponses({ paths: { "/a": { get: first, post: second } } });
  const [name = "", ...others] = Object.keys(components);
  expect(name).toMatch(/^Error404-[0-9a-f]{8}$/);
  expect(others).toEqual([]);
  expect(components[name]).toEqual({ description: "not-found" });
  for (const { responses } of [first, second]) {
    expect(responses[404]).toEqual({ $ref: `#/components/responses/${name}` });
    expect(responses[200]).toEqual({ description: "Done." });
  }
  expect(first.responses[409]).toEqual({ description: "full" });
  expect(second.responses[409]).toEqual({ description: "ended" });
});

test("a new operation renames no component of the others", () => {
  const old = () => ({
    get: operation("first", { 404: "not-found" }),
    post: operation("second", { 404: "not-found" }),
  });
  const before = shareErrorResponses({ paths: { "/b": old() } });
  const fresh = {
    get: operation("third", { 404: "never-made" }),
    post: operation("fourth", { 404: "never-made" }),
  };
  const after = shareErrorResponses({ paths: { "/a": fresh, "/b": old() } });
  expect(Object.keys(after)).toHaveLength(2);
  expect(after).toMatchObject(before);
});
