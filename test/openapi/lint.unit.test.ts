/** The description of the API, judged by Redocly's linter with its recommended rules. */
import { readFileSync } from "node:fs";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { beforeAll, describe, expect, test } from "vitest";
import document from "../../openapi.json";

/** The warnings that are right about the rule and wrong about us. */
const ACCEPTED_WARNINGS = [
  // A websocket that opens is answered 101.
  "operation-2xx-response: GET /v1/relays/sessions/{id}/server",
  "operation-2xx-response: GET /v1/relays/sessions/{id}/client",
  "operation-2xx-response: GET /v1/relay-nodes/link",
  "operation-2xx-response: GET /v1/relay-nodes/trunks/{id}",
  // Anybody may call these, as often as they like, and they take nothing that could be wrong.
  "operation-4xx-response: GET /v1/auth/sign-in-methods",
  "operation-4xx-response: GET /v1/health",
  "operation-4xx-response: GET /v1/ip",
];

const source = readFileSync("openapi.json", "utf8");
let config: Awaited<ReturnType<typeof createConfig>>;

beforeAll(async () => {
  config = await createConfig({ extends: ["recommended"] });
});

async function lint(text: string) {
  const problems = await lintFromString({ source: text, absoluteRef: "openapi.json", config });
  const found = { errors: [] as string[], warnings: [] as string[] };
  for (const { severity, ruleId, message, location } of problems) {
    const place = toPlace(location[0]?.pointer ?? "");
    if (severity === "error") found.errors.push(`${ruleId}: ${place}: ${message}`);
    else found.warnings.push(`${ruleId}: ${place}`);
  }
  return found;
}

/** Where a problem is: an operation as `GET /v1/ip`; anything else as its JSON Pointer. */
function toPlace(pointer: string): string {
  const [, part, path = "", method = ""] = pointer.split("/");
  if (part !== "paths" || method === "") return pointer;
  const template = path.replaceAll("~1", "/").replaceAll("~0", "~");
  return `${method.toUpperCase()} ${template}`;
}

describe("openapi.json", () => {
  test("has no error, and no warning but the accepted ones", async () => {
    const { errors, warnings } = await lint(source);
    expect(errors).toEqual([]);
    expect(warnings.sort()).toEqual(ACCEPTED_WARNINGS.sort());
  });

  test("asks for no credential where we are the caller", () => {
    const { webhooks = {} } = document as { webhooks?: Webhooks };
    const operations = Object.values(webhooks).flatMap((path) => Object.values(path));
    expect(operations.filter(({ security }) => security?.length !== 0)).toEqual([]);
  });
});

type Webhooks = Record<string, Record<string, { security?: object[] }>>;

test("the linter finds an operation whose credential is not said, and a webhook too", async () => {
  const copy = structuredClone(document) as unknown as {
    paths: Record<string, Record<string, { security?: object[] }>>;
    webhooks?: object;
  };
  delete copy.paths["/v1/ip"]?.get?.security;
  copy.webhooks = {
    "a.test": { post: { summary: "A test", operationId: "aTest", responses: {} } },
  };
  const { errors } = await lint(JSON.stringify(copy));
  const named = errors.filter((error) => error.startsWith("security-defined")).join("\n");
  expect(named).toContain("GET /v1/ip");
  expect(named).toContain("#/webhooks/a.test/post");
});
