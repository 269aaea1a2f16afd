/** What a reader of `openapi.json` is told of each operation, parameter and heading. */
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import document from "../../openapi.json";

interface OperationObject {
  summary: string;
  description?: string;
  tags: string[];
  parameters?: { name?: string; in?: string; description?: string; schema?: object }[];
  requestBody?: { content: Record<string, { schema: { $ref?: string } }> };
}

interface SchemaObject {
  description?: string;
  properties?: Record<string, SchemaObject>;
  items?: SchemaObject;
  anyOf?: SchemaObject[];
  $ref?: string;
}

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods as unknown as Record<string, OperationObject>).map(
    ([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const,
  ),
);

const schemas = document.components.schemas as unknown as Record<string, SchemaObject>;

/** The fields of a body, at any depth, that nothing is said about. */
function unsaidFields(schema: SchemaObject, path = ""): string[] {
  if (schema.$ref) return [];
  const fields = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const isSaid = field.description !== undefined || field.$ref !== undefined;
    return [...(isSaid ? [] : [`${path}${name}`]), ...unsaidFields(field, `${path}${name}.`)];
  });
  const inner = [...(schema.anyOf ?? []), ...(schema.items ? [schema.items] : [])];
  return [...fields, ...inner.flatMap((each) => unsaidFields(each, path))];
}

describe.each(operations)("%s", (_name, operation) => {
  test("says in sentences what its summary leaves out, and who may call it", () => {
    const { summary, description = "" } = operation;
    expect(summary).toMatch(/^[A-Z][^\n]*[^.]$/);
    expect(description).toMatch(/^(?:\*\*)?[A-Z`].*[.`]$/s);
    expect(description).not.toContain(`${summary}.`);
  });

  test("says what each of its parameters and fields is", () => {
    const parameters = (operation.parameters ?? []).filter(({ name }) => name !== undefined);
    expect(parameters.filter(({ description }) => !description)).toEqual([]);
    for (const { schema } of Object.values(operation.requestBody?.content ?? {})) {
      const body = schemas[schema.$ref?.replace("#/components/schemas/", "") ?? ""];
      expect(unsaidFields(body ?? {})).toEqual([]);
    }
  });
});

test("every heading names a page of docs/, and has operations", () => {
  const used = new Set(operations.flatMap(([, { tags }]) => tags));
  for (const { name, description } of document.tags.slice(0, -1)) {
    expect(used, name).toContain(name);
    const [, page = ""] = /`docs\/([\w-]+\.md)`\.$/.exec(description) ?? [];
    expect(existsSync(`docs/${page}`) && page !== "", `${name}: ${page}`).toBe(true);
  }
});

test("a body that has no fields is not described", () => {
  const bodies = Object.entries(schemas).filter(([name]) => name.endsWith("Body"));
  const empty = bodies.filter(
    ([, { properties = {}, anyOf }]) => Object.keys(properties).length === 0 && !anyOf,
  );
  expect(bodies.length).toBeGreaterThan(0);
  expect(empty).toEqual([]);
});
