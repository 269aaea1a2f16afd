/**
 * Reads bodies and queries: checks size, encoding and JSON, then the schema. A refusal names every wrong
 * field. Called by `mount.ts`, and by handlers.
 */
import type * as z from "zod";
import { escapeHarmful } from "./human-text";
import { type Call, type HttpRefusal, Refused } from "./request-context";

/** The largest body of a request, in bytes. */
export const MAX_BODY_BYTES = 65_536;

/**
 * The bytes of the body, for what is signed. They are read once. Where the text is read too, ask for the bytes
 * before it.
 * @throws Refused 413 when it is too large, 415 when it is compressed
 */
export function readBodyBytes(c: Call): Promise<Uint8Array> {
  const known = c.get("bodyBytes");
  if (known !== null) return known;
  const bytes = readBytes(c);
  c.set("bodyBytes", bytes);
  return bytes;
}

/**
 * The text of the body. It is read once: handlers, signatures and `idempotency.ts` share it.
 * @throws Refused 413 when it is too large, 415 when it is compressed, 400 when it is not UTF-8
 */
export function readBodyText(c: Call): Promise<string> {
  const known = c.get("bodyText");
  if (known !== null) return known;
  const text = readText(c);
  c.set("bodyText", text);
  return text;
}

async function readText(c: Call): Promise<string> {
  const length = c.get("bodyBytes") === null && isJson(c) ? declaredLength(c) : null;
  if (length === null) return decode(await readBodyBytes(c));
  requireUncompressed(c);
  if (length > MAX_BODY_BYTES) throw new Refused(tooLarge);
  // Over HTTP, a body ends at the length that was declared. The platform's own decoder takes half as long as a
  // buffer and TextDecoder.
  const text = await c.req.raw.text();
  if (text.includes(REPLACEMENT) && !isExact(text, length)) throw new Refused(notUtf8);
  // A Worker that calls this one can declare less than it sends. A character has three bytes at most for each unit
  // of its length, so that only long texts are counted.
  if (3 * text.length > MAX_BODY_BYTES && Buffer.byteLength(text) > MAX_BODY_BYTES)
    throw new Refused(tooLarge);
  return text;
}

/** Whether the body is said to be JSON. For other types, the platform warns developers of its decoder. */
function isJson(c: Call): boolean {
  return c.req.header("Content-Type")?.startsWith("application/json") === true;
}

/** What the platform's decoder puts in the place of bytes that are not UTF-8. A text may also have it itself. */
const REPLACEMENT = "\ufffd";

/**
 * Whether a text with U+FFFD has as many bytes as were sent: then these characters were sent. U+FFFD has three
 * bytes, and stands for one or two wrong ones. Not noticed are a character of four bytes that lacks its last one,
 * and, behind a byte order mark, wrong bytes whose differences come to its length: they are read as U+FFFD.
 */
function isExact(text: string, length: number): boolean {
  const bytes = Buffer.byteLength(text);
  // A byte order mark at the start is no part of the text.
  return bytes === length || bytes + 3 === length;
}

/** One for all bodies: making it costs more than reading a small body. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Refused(notUtf8);
  }
}

/** The Content-Length; null: the caller does not know it yet. */
function declaredLength(c: Call): number | null {
  const declared = c.req.header("Content-Length");
  return declared !== undefined && /^[0-9]{1,15}$/.test(declared) ? Number(declared) : null;
}

async function readBytes(c: Call): Promise<Uint8Array> {
  requireUncompressed(c);
  const bytes = await readAtMost(c.req.raw, declaredLength(c), MAX_BODY_BYTES);
  if (bytes !== null) return bytes;
  throw new Refused(tooLarge);
}

/** @throws Refused 415 */
function requireUncompressed(c: Call): void {
  const encoding = c.req.header("Content-Encoding");
  if (encoding === undefined || /^(?:identity)?$/i.test(encoding.trim())) return;
  throw new Refused({
    status: 415,
    code: "unsupported-encoding",
    message: "The body is compressed (Content-Encoding). Send it as it is.",
    // RFC 9110, section 15.5.16: what would have been accepted.
    headers: { "Accept-Encoding": "identity" },
  });
}

const tooLarge: HttpRefusal = {
  status: 413,
  code: "body-too-large",
  message: `The body is larger than ${MAX_BODY_BYTES} bytes. Send less.`,
};

const notUtf8: HttpRefusal = {
  status: 400,
  code: "invalid-body",
  message: "The body is not UTF-8.",
};

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
  const { url } = c.req;
  const start = url.indexOf("?");
  // Most calls have no query: nothing is parsed for them.
  if (start === -1) return validate(schema, {}, "invalid-parameter");
  const parameters = new URLSearchParams(url.slice(start));
  const query: Record<string, string | string[]> = Object.fromEntries(parameters);
  for (const name of arrayFieldsOf(schema)) {
    if (parameters.has(name)) query[name] = parameters.getAll(name);
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
 * @param declared the Content-Length; null: the caller does not know it yet
 */
async function readAtMost(
  request: Request,
  declared: number | null,
  most: number,
): Promise<Uint8Array | null> {
  if (declared !== null && declared > most) return null;
  if (declared !== null) {
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
