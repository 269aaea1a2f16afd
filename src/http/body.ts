/**
 * Reads bodies and queries: checks size, encoding and JSON, then the schema. A refusal names every wrong
 * field. Called by `mount.ts`, and by handlers.
 */
import type * as z from "zod";
import { escapeHarmful } from "./human-text";
import { type Call, Refused } from "./request-context";

/** The largest body of a request, in bytes. */
export const MAX_BODY_BYTES = 65_536;

/**
 * The bytes of the body. They are read once: handlers, signatures and `idempotency.ts` share them.
 * @throws Refused 413 when it is too large, 415 when it is compressed
 */
export function readBodyBytes(c: Call): Promise<Uint8Array> {
  const known = c.get("bodyBytes");
  if (known !== null) return known;
  const bytes = readBytes(c);
  c.set("bodyBytes", bytes);
  return bytes;
}

/** One for all bodies: making it costs more than reading a small body. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

/**
 * The text of the body.
 * @throws Refused 413 when it is too large, 400 when it is not UTF-8
 */
export async function readBodyText(c: Call): Promise<string> {
  const bytes = await readBodyBytes(c);
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Refused({ status: 400, code: "invalid-body", message: "The body is not UTF-8." });
  }
}

async function readBytes(c: Call): Promise<Uint8Array> {
  const encoding = c.req.header("Content-Encoding")?.trim() ?? "";
  if (!/^(?:identity)?$/i.test(encoding)) {
    throw new Refused({
      status: 415,
      code: "unsupported-encoding",
      message: "The body is compressed (Content-Encoding). Send it as it is.",
      // RFC 9110, section 15.5.16: what would have been accepted.
      headers: { "Accept-Encoding": "identity" },
    });
  }
  const bytes = await readAtMost(c.req.raw, c.req.header("Content-Length"), MAX_BODY_BYTES);
  if (bytes !== null) return bytes;
  throw new Refused({
    status: 413,
    code: "body-too-large",
    message: `The body is larger than ${MAX_BODY_BYTES} bytes. Send less.`,
  });
}

/**
 * The body, as the schema gives it.
 * @throws Refused 400 naming every field that is wrong, 413, 415
 */
export async function readBody<S extends z.ZodType>(c: Call, schema: S): Promise<z.output<S>> {
  return parseBody(await readBodyText(c), schema);
}

/**
 * The body, as the schema gives it. An absent body, or `null`, counts as an object without fields.
 * @throws Refused 400 naming every field that is wrong, 413, 415
 */
export async function readOptionalBody<S extends z.ZodType>(
  c: Call,
  schema: S,
): Promise<z.output<S>> {
  const text = (await readBodyText(c)).trim();
  return parseBody(text === "" || text === "null" ? "{}" : text, schema);
}

function parseBody<S extends z.ZodType>(text: string, schema: S): z.output<S> {
  const body = parseJson(text);
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new Refused({
      status: 400,
      code: "invalid-body",
      message: "The body must be a JSON object.",
    });
  }
  return validate(schema, body, "invalid-body");
}

/**
 * The value of a JSON text; undefined when the text is not JSON.
 * @throws Refused 400 for a field `__proto__` at any depth: code that copies an object field by field
 *   would lose it without a word
 */
export function parseJson(text: string): unknown {
  let namesProto = false;
  let value: unknown;
  const look = (key: string, field: unknown) => {
    if (key === "__proto__") namesProto = true;
    return field;
  };
  try {
    // A function that is called for each field makes the parser several times as slow. A field has that name
    // only if the text has it, or an escape, with which it can be written too.
    const mayName = text.includes("__proto__") || text.includes("\\u");
    value = mayName ? JSON.parse(text, look) : JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!namesProto) return value;
  const message = "cannot be the name of a field";
  throw new Refused({
    status: 400,
    code: "invalid-body",
    message: `__proto__ ${message}.`,
    problems: [{ path: "__proto__", message }],
  });
}

/**
 * The query, as the schema gives it. If a parameter is repeated, a field that is an array gets all its
 * values; for any other field the last one counts.
 * @throws Refused 400 naming every parameter that is wrong
 */
export function readQuery<S extends z.ZodType>(c: Call, schema: S): z.output<S> {
  const { searchParams } = new URL(c.req.url);
  const query: Record<string, string | string[]> = Object.fromEntries(searchParams);
  for (const name of arrayFieldsOf(schema)) {
    if (searchParams.has(name)) query[name] = searchParams.getAll(name);
  }
  return validate(schema, query, "invalid-parameter");
}

/** Found once for a schema, not for each request. */
const arrayFields = new WeakMap<z.ZodType, readonly string[]>();

/** The fields of an object's schema that take an array. */
function arrayFieldsOf(schema: z.ZodType): readonly string[] {
  const known = arrayFields.get(schema);
  if (known) return known;
  const object = inputDefinition(schema);
  const fields = object.type === "object" ? Object.entries(object.shape) : [];
  const found = fields.flatMap(([name, field]) =>
    inputDefinition(field).type === "array" ? [name] : [],
  );
  arrayFields.set(schema, found);
  return found;
}

/** What a schema says of its input, below what makes it optional or changes its output. */
function inputDefinition(schema: z.core.$ZodType): z.core.$ZodTypes["_zod"]["def"] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case "pipe":
      return inputDefinition(def.in);
    case "optional":
    case "nullable":
    case "default":
    case "prefault":
    case "catch":
    case "readonly":
      return inputDefinition(def.innerType);
    default:
      return def;
  }
}

/**
 * The input, as the schema gives it.
 * @throws Refused 400 with this code, naming every field that is wrong
 */
export function validate<S extends z.ZodType>(
  schema: S,
  input: unknown,
  code: string,
): z.output<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        path: toPath([...issue.path, key]),
        message: "is not a field of this call",
      }));
    }
    if (issue.code === "invalid_key") {
      const path = toPath(issue.path.slice(0, -1));
      return issue.issues.map(({ message }) => ({ path, message: `has a key that ${message}` }));
    }
    return [{ path: toPath(issue.path), message: issue.message }];
  });
  const said = problems.map(({ path, message }) => (path === "" ? message : `${path} ${message}`));
  throw new Refused({ status: 400, code, message: `${said.join("; ")}.`, problems });
}

/** The path of a field. Its parts may come from the body, so what cannot be printed is escaped. */
function toPath(path: readonly PropertyKey[]): string {
  return path.map((part) => escapeHarmful(String(part)).slice(0, 64)).join(".");
}

/**
 * The body; null: it is larger. What comes is counted even if a length was declared, which may be wrong.
 * @param declared the Content-Length; undefined: the caller does not know it yet
 */
async function readAtMost(
  request: Request,
  declared: string | undefined,
  most: number,
): Promise<Uint8Array | null> {
  if (declared !== undefined && Number(declared) > most) return null;
  if (declared !== undefined && Number(declared) <= most) {
    // In one piece: one call of the platform, and no copy. Over HTTP, a body ends at the length that was declared.
    const bytes = new Uint8Array(await request.arrayBuffer());
    return bytes.length > most ? null : bytes;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (request.body) {
    for await (const chunk of request.body) {
      length += chunk.length;
      if (length > most) return null;
      chunks.push(chunk);
    }
  }
  return Buffer.concat(chunks);
}
