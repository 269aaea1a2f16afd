/**
 * The description of the whole API as an OpenAPI 3.1 document, made from the operations. `npm run openapi`
 * writes it to `openapi.json`.
 */
import packageJson from "../../package.json";
import type { Operation, OperationGroup } from "../http/operation";
import type { Surface } from "../http/request-context";
import { SURFACES } from "../surfaces/all";
import { HEADER_PARAMETERS, headerParametersOf } from "./header-parameters";
import { type JsonSchema, SchemaWriter } from "./json-schema";
import { securityOf, shownRefusals } from "./refusals";
import { SECURITY_SCHEMES } from "./security-schemes";
import { shareErrorResponses } from "./shared-responses";
import { WEBHOOKS_TAG, webhooksOf } from "./webhooks";

/** The document, ready to be written as JSON. */
export function describeApi() {
  const schemas = new SchemaWriter();
  const paths: Record<string, Record<string, OperationObject>> = {};
  const groups: OperationGroup[] = [];
  for (const [surface, ...ofSurface] of SURFACES) {
    for (const group of ofSurface) {
      groups.push(group);
      for (const operation of group.operations) {
        const path = paths[operation.path] ?? {};
        path[operation.method.toLowerCase()] = describe(operation, { surface, group, schemas });
        paths[operation.path] = path;
      }
    }
  }
  const responses = shareErrorResponses({ paths });
  const webhooks = webhooksOf(schemas);
  return {
    openapi: "3.1.1",
    info: {
      title: "Drawbridge",
      version: packageJson.version,
      description: packageJson.description,
      license: { name: "Apache 2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "This deployment" }],
    tags: [...groups.map(({ name, description }) => ({ name, description })), WEBHOOKS_TAG],
    paths,
    webhooks,
    components: {
      schemas: sortByName(schemas.components),
      responses,
      securitySchemes: SECURITY_SCHEMES,
      parameters: HEADER_PARAMETERS,
    },
  };
}

interface Place {
  surface: Surface;
  group: OperationGroup;
  schemas: SchemaWriter;
}

interface OperationObject {
  [field: string]: unknown;
  operationId: string;
  responses: Record<string, object>;
}

function describe(operation: Operation, place: Place): OperationObject {
  return {
    operationId: operation.id,
    tags: [place.group.name],
    summary: operation.summary,
    ...describeInWords(operation),
    security: describeSecurity(operation),
    ...describeParameters(operation, place.schemas),
    ...describeBody(operation, place.schemas),
    responses: describeResponses(operation, place),
  };
}

function describeInWords({ caller, description }: Operation): { description?: string } {
  const permission = caller.by === "key" ? caller.permission : null;
  const needs = permission === null ? null : `Needs the permission \`${permission}\`.`;
  const words = [description, needs].filter((text) => text !== undefined && text !== null);
  return words.length > 0 ? { description: words.join("\n\n") } : {};
}

/** OpenAPI 3.1 lists the roles that a scheme has to grant: here the permission. */
function describeSecurity(operation: Operation): object[] {
  const { caller } = operation;
  const roles = caller.by === "key" && caller.permission !== null ? [caller.permission] : [];
  return securityOf(operation).map((scheme) => ({ [scheme]: roles }));
}

function describeParameters(operation: Operation, schemas: SchemaWriter): object {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const parameters: object[] = names.map((name) => {
    const example = operation.example.params?.[name];
    // Ids that are numbers have nothing but digits, and no other parameter of a path has.
    const schema = { type: /^[0-9]+$/.test(example ?? "") ? "integer" : "string" };
    return {
      name,
      in: "path",
      required: true,
      schema,
      ...exampleOf(toExample(example, schema)),
    };
  });
  if (operation.query) {
    const { properties = {}, required = [] } = schemas.ofInput(operation.query);
    for (const [name, { description, ...nullable }] of Object.entries(properties)) {
      const schema = withoutNull(nullable);
      parameters.push({
        name,
        in: "query",
        required: required.includes(name),
        ...(description === undefined ? {} : { description }),
        schema,
        ...exampleOf(toExample(operation.example.query?.[name], schema)),
      });
    }
  }
  parameters.push(...headerParametersOf(operation));
  return parameters.length > 0 ? { parameters } : {};
}

function describeBody(operation: Operation, schemas: SchemaWriter): object {
  if (!operation.body) return {};
  const content = {
    [operation.bodyType ?? "application/json"]: {
      schema: schemas.ofInput(operation.body, `${capitalised(operation.id)}Body`),
      ...exampleOf(operation.example.body),
    },
  };
  return { requestBody: { required: !operation.bodyIsOptional, content } };
}

interface ResponseObject {
  description: string;
  content?: Record<string, { schema: JsonSchema }>;
}

/** The answers, and the refusals: each status with its codes, in the format of the surface. */
function describeResponses(
  operation: Operation,
  { surface, schemas }: Place,
): Record<string, ResponseObject> {
  const responses: Record<string, ResponseObject> = {};
  for (const [status, schema] of Object.entries(operation.answers)) {
    const { pageType } = operation;
    const content = schema && {
      "application/json": { schema: schemas.ofOutput(schema) },
      ...(pageType && status === "200" ? { [pageType]: { schema: { type: "string" } } } : {}),
    };
    responses[status] = {
      description: SUCCESSES[status] ?? "The answer.",
      ...(content ? { content } : {}),
    };
  }
  const { mediaType, body } = surface.errors;
  for (const [status, codes] of shownRefusals(operation, surface).entries()) {
    responses[status] = {
      description: `Refused: ${codes.map((code) => `\`${code}\``).join(", ")}.`,
      content: {
        // The health of the service has a format of its own for 503.
        ...responses[status]?.content,
        [mediaType]: { schema: schemas.ofOutput(body(codes)) },
      },
    };
  }
  return responses;
}

const SUCCESSES: Readonly<Record<string, string>> = {
  101: "The websocket is open.",
  200: "Done.",
  201: "Made.",
  202: "Accepted: the outcome is not known yet.",
  204: "Done. There is nothing to show.",
};

/** The schema of a parameter that is null where it is absent: null cannot be sent in a query. */
function withoutNull(schema: JsonSchema): JsonSchema {
  const { anyOf, type, ...rest } = schema;
  if (rest.default === null) delete rest.default;
  if (Array.isArray(type)) {
    return { type: type.filter((name) => name !== "null").join(), ...rest };
  }
  if (!Array.isArray(anyOf)) return schema;
  const [only, ...others] = anyOf.filter((each) => each.type !== "null");
  return others.length === 0 ? { ...only, ...rest } : schema;
}

/** An example in the type of its schema: in a path or a query all is text. */
function toExample(text: string | undefined, schema: JsonSchema): unknown {
  return text !== undefined && schema.type === "integer" ? Number(text) : text;
}

function capitalised(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function exampleOf(example: unknown): object {
  return example === undefined ? {} : { example };
}

function sortByName(components: Record<string, JsonSchema>): Record<string, JsonSchema> {
  return Object.fromEntries(Object.entries(components).sort(([a], [b]) => (a < b ? -1 : 1)));
}
