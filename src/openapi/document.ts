/**
 * The description of the whole API as an OpenAPI 3.1 document, made from the operations. `npm run openapi`
 * writes it to `openapi.json`.
 */
import * as z from "zod";
import packageJson from "../../package.json";
import type { CallerRule, Operation, OperationGroup } from "../http/operation";
import type { Surface } from "../http/request-context";
import { SURFACES } from "../surfaces/all";
import { answerHeadersOf } from "./answer-headers";
import { HEADER_PARAMETERS, headerParametersOf } from "./header-parameters";
import { type JsonSchema, SchemaWriter } from "./json-schema";
import { securityOf, shownRefusals } from "./refusals";
import { SECURITY_SCHEMES } from "./security-schemes";
import { shareErrorResponses } from "./shared-responses";
import { tagsOf } from "./tags";
import { webhookExamples } from "./webhook-examples";
import { WEBHOOKS_TAG, webhooksOf } from "./webhooks";

/**
 * The document, ready to be written as JSON.
 * @param webhooksPage the text of `docs/webhooks.md`, which has the examples of webhooks
 */
export function describeApi(webhooksPage: string) {
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
  const webhooks = webhooksOf(schemas, webhookExamples(webhooksPage));
  return {
    openapi: "3.1.1",
    info: {
      title: "Drawbridge",
      version: packageJson.version,
      description: INTRODUCTION,
      license: { name: "Apache 2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "This deployment" }],
    tags: [...tagsOf(groups), WEBHOOKS_TAG],
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

const INTRODUCTION = `${packageJson.description}

- **To try a call on the page \`/docs\`:** press Authorize and enter an API key. Open a group and a call. Press Try it out, then Execute.
- **Credentials.** Most calls take an API key: \`Authorization: Bearer drb_…\`. Each says which permission the key has to hold.
- **Errors.** Each call lists its statuses, and the codes that say why it may be refused. The body is a \`Problem\`; of relay sessions a \`RelayError\`, in ricloud's format a \`SourceError\`, and of the RPC an \`RpcError\`.
- **Names such as \`docs/conventions.md\`** are files of Drawbridge's repository. That one says what holds for every call.`;

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

function describeInWords({ caller, description, origins }: Operation): { description?: string } {
  const pages = origins === "any" ? "Pages of every origin may call it." : undefined;
  const words = [description, whoMayCall(caller), pages].filter((text) => text !== undefined);
  return words.length > 0 ? { description: words.join("\n\n") } : {};
}

/** Undefined: the operation's own description says it. */
function whoMayCall(caller: CallerRule): string | undefined {
  switch (caller.by) {
    case "key":
      return caller.permission === null
        ? "Needs an API key that is not publishable. It need not hold any permission."
        : `Needs the permission \`${caller.permission}\`.`;
    case "root":
      return "Needs the root token.";
    case "root-or-key":
      return `Needs the permission \`${caller.permission}\`, or the root token.`;
    case "handler":
      return caller.security.length === 0 ? "Needs no credential in `Authorization`." : undefined;
  }
}

/** OpenAPI 3.1 lists the roles that a scheme has to grant: here the permission. */
function describeSecurity(operation: Operation): object[] {
  const { caller } = operation;
  const roles = "permission" in caller && caller.permission !== null ? [caller.permission] : [];
  return securityOf(operation).map((scheme) => ({ [scheme]: scheme === "rootToken" ? [] : roles }));
}

function describeParameters(operation: Operation, schemas: SchemaWriter): object {
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const parameters: object[] = names.map((name) => {
    const form = operation.params?.[name];
    const { description, ...schema } = form ? schemas.ofInput(form) : { type: "string" };
    return {
      name,
      in: "path",
      required: true,
      ...(description === undefined ? {} : { description }),
      schema,
      ...exampleOf(toExample(operation.example.params?.[name], schema)),
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
  if (!operation.body || (operation.bodyIsOptional && isEmptyObject(operation.body))) return {};
  const content = {
    [operation.bodyType ?? "application/json"]: {
      schema: schemas.ofInput(operation.body, `${capitalised(operation.id)}Body`),
      ...exampleOf(operation.example.body),
    },
  };
  return { requestBody: { required: !operation.bodyIsOptional, content } };
}

function isEmptyObject(schema: z.ZodType): boolean {
  return schema instanceof z.ZodObject && Object.keys(schema.shape).length === 0;
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
      description: operation.answerTexts?.[Number(status)] ?? describeAnswer(status, schema),
      ...answerHeadersOf(operation, status),
      ...(content ? { content } : {}),
    };
  }
  const { mediaType, body } = surface.errors;
  for (const [status, codes] of shownRefusals(operation, surface).entries()) {
    const refused = `Refused: ${codes.map((code) => `\`${code}\``).join(", ")}.`;
    // The health of the service has an answer of its own with 503.
    const answered = responses[status];
    responses[status] = {
      description: answered ? `${answered.description} ${refused}` : refused,
      ...answerHeadersOf(operation, String(status)),
      content: {
        ...answered?.content,
        [mediaType]: { schema: schemas.ofOutput(body(codes)) },
      },
    };
  }
  return responses;
}

/** Such as "Made. The body: `Device`." */
function describeAnswer(status: string, schema: z.ZodType | null): string {
  const what = SUCCESSES[status] ?? "The answer.";
  if (!schema) return status === "101" ? what : `${what} There is no body.`;
  const row = schema instanceof z.ZodArray ? (schema.element as z.ZodType) : null;
  const name = (row ?? schema).meta()?.id;
  return name === undefined ? what : `${what} The body: ${row ? "a list of " : ""}\`${name}\`.`;
}

const SUCCESSES: Readonly<Record<string, string>> = {
  101: "The websocket is open.",
  200: "Done.",
  201: "Made.",
  202: "Accepted: the outcome is not known yet.",
  204: "Done.",
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
