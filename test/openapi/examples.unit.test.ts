/** The examples of answers and webhooks in `openapi.json` have the form that stands beside them. */

import { readFileSync } from "node:fs";
import { type Schema, Validator } from "@cfworker/json-schema";
import { describe, expect, test } from "vitest";
import document from "../../openapi.json";
import { EVENT_TYPES, type EventType } from "../../src/events/event-types";
import { EXAMPLES } from "../../src/openapi/examples";
import { SchemaWriter } from "../../src/openapi/json-schema";
import { webhookExamples } from "../../src/openapi/webhook-examples";
import { webhooksOf } from "../../src/openapi/webhooks";
import { closed } from "../support/description";

const schemas = document.components.schemas as unknown as Record<string, Schema>;

/** The body of each webhook. */
const webhooks = Object.entries(document.webhooks).map(([name, { post }]) => {
  const { schema, example } = post.requestBody.content["application/json"];
  return [name, { schema: schema as object, example: example as unknown }] as const;
});

/** What is wrong with a value of this component, a field that the schema does not know included. */
function problemsOf(component: string, value: unknown): string[] {
  return problemsWith({ $ref: `#/components/schemas/${component}` }, value);
}

/** What is wrong with a value of this schema, a field that it does not know included. */
function problemsWith(schema: object, value: unknown): string[] {
  const root = {
    ...closed(schema),
    components: { schemas: closed(schemas) },
  };
  const { errors } = new Validator(root as Schema, "2020-12", false).validate(value);
  return errors.map(({ instanceLocation, error }) => `${instanceLocation} ${error}`);
}

describe("the example of", () => {
  test.each(Object.entries(EXAMPLES))("%s has the form of its schema", (name, example) => {
    expect(schemas[name]).toHaveProperty("examples", [example]);
    expect(problemsOf(name, example)).toEqual([]);
  });
});

test("an example with a wrong field, or one too many, would be found", () => {
  const user = EXAMPLES.User as object;
  expect(problemsOf("User", { ...user, id: "1" })).not.toEqual([]);
  expect(problemsOf("User", { ...user, nickname: "Ann" })).not.toEqual([]);
});

describe("the example of the webhook", () => {
  test.each(webhooks)("%s has the form of its schema", (_name, { schema, example }) => {
    expect(example).toBeDefined();
    expect(problemsWith(schema, example)).toEqual([]);
  });

  const ofEvents = webhooks.filter(([name]) => EVENT_TYPES.includes(name as EventType));

  test.each(ofEvents)("%s is the body that docs/webhooks.md shows", (name, { example }) => {
    expect(example).toEqual(webhookExamples(readFileSync("docs/webhooks.md", "utf8"))[name]);
  });

  test.each<[string, object]>([
    ["session.failed", { state: "failed", error: "invalid-credentials" }],
    ["session.expired", { state: "expired" }],
    ["key.blocked", { blocked: true }],
    ["device.pair.requested", { status: "pending", granted: null }],
    ["device.pair.approved", { status: "approved", granted: { scopes: ["operator.read"] } }],
    ["device.pair.rejected", { status: "rejected" }],
    ["device.pair.expired", { status: "expired" }],
    ["device.pair.superseded", { status: "superseded" }],
    ["webhook-endpoint.disabled", { enabled: false, disabled_reason: "gone" }],
  ])("%s shows what the event did", (type, data) => {
    expect(Object.fromEntries(webhooks)[type]?.example).toMatchObject({ type, data });
  });
});

test("an example of a webhook with another type, or a field too many, would be found", () => {
  const { schema, example } = Object.fromEntries(webhooks)["key.blocked"] ?? {};
  expect(problemsWith(schema ?? {}, example)).toEqual([]);
  expect(problemsWith(schema ?? {}, { ...(example as object), type: "key.created" })).not.toEqual(
    [],
  );
  expect(problemsWith(schema ?? {}, { ...(example as object), id: "1" })).not.toEqual([]);
});

test("a webhook without an example on the page is an error that names it", () => {
  expect(() => webhooksOf(new SchemaWriter(), webhookExamples(""))).toThrow(
    "docs/webhooks.md has no example of session.created",
  );
});

test("no example has a secret", () => {
  const secrets = JSON.stringify([EXAMPLES, webhooks]).match(
    /\b(?:drb|drbd|drbn|drbp|whsec)_[\w+/-]{8,}/g,
  );
  expect(secrets).toBeNull();
});

type Content = Record<string, { schema: { $ref?: string; items?: { $ref?: string } } }>;
type Responses = Record<string, { content?: Content }>;

test("every answer that is an object has an example, or is a page of what has one", () => {
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
  const answers = operations.flatMap(({ responses }: { responses: object }) =>
    Object.entries(responses as Responses).flatMap(([status, { content = {} }]) =>
      Number(status) < 300 ? (content["application/json"]?.schema ?? []) : [],
    ),
  );
  const names = answers.flatMap(({ $ref, items }) => $ref ?? items?.$ref ?? []);
  const without = names
    .map((name) => name.replace("#/components/schemas/", ""))
    .filter((name) => !(name.replace(/Page$/, "") in EXAMPLES));
  expect([...new Set(without)]).toEqual([]);
});
