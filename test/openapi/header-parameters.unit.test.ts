/** The headers in the description of the API: whoever generates a client, or tries a call in `/docs`, can send only these. */
import { expect, test } from "vitest";
import document from "../../openapi.json";
import { OPERATIONS } from "../../src/surfaces/all";

interface Parameter {
  name: string;
  in: string;
}

const components: Record<string, Parameter> = document.components.parameters;

/** The headers of each operation, by its id. */
const described = Object.fromEntries(
  Object.values(document.paths)
    .flatMap((path) => Object.values(path))
    .map(({ operationId, parameters = [] }) => [
      operationId as string,
      (parameters as (Parameter | { $ref: string })[])
        .map((each) => ("$ref" in each ? components[each.$ref.split("/").at(-1) ?? ""] : each))
        .flatMap((parameter) => (parameter?.in === "header" ? [parameter.name] : [])),
    ]),
);

test("every header that an operation declares is a parameter in openapi.json", () => {
  const declared = OPERATIONS.filter(({ headers = [] }) => headers.length > 0);
  expect(declared.length).toBeGreaterThan(0);
  for (const { id, headers = [] } of declared) {
    expect(described[id], id).toEqual(expect.arrayContaining([...headers]));
  }
});

test.each([
  ["createRelaySession", ["X-Organisation-Id", "Idempotency-Key"]],
  ["listRelaySessions", ["X-Organisation-Id", "X-D1-Bookmark"]],
  ["getRelaySession", ["X-Organisation-Id"]],
  ["createOrganisation", ["Idempotency-Key"]],
  // It is refused with `several-organisations` until this header names one.
  ["createSessionToken", ["X-Organisation-Id", "Idempotency-Key"]],
  ["joinRelaySession", ["Idempotency-Key"]],
  ["createSourceSession", ["X-Organisation-Id", "Idempotency-Key", "Ricloud-Await"]],
  ["getHealth", []],
])("%s takes the headers %j", (id, headers) => {
  expect(described[id]).toEqual(headers);
});
