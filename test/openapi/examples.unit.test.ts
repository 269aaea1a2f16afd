/** The examples of answers in `openapi.json` have the form that stands beside them. */
import { type Schema, Validator } from "@cfworker/json-schema";
import { describe, expect, test } from "vitest";
import document from "../../openapi.json";
import { EXAMPLES } from "../../src/openapi/examples";
import { closed } from "../support/description";

const schemas = document.components.schemas as unknown as Record<string, Schema>;

/** What is wrong with a value of this component, a field that the schema does not know included. */
function problemsOf(component: string, value: unknown): string[] {
  const root = {
    $ref: `#/components/schemas/${component}`,
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

test("no example has a secret", () => {
  const secrets = JSON.stringify(EXAMPLES).match(/\b(?:drb|drbd|drbn|drbp|whsec)_[\w+/-]{8,}/g);
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
