/** Calls the Worker as a client would: over HTTP and websockets, in workerd. */
import { env, exports } from "cloudflare:workers";

/** The origin at which the tests call the Worker. */
export const ORIGIN = "http://localhost:8787";

/**
 * One call; a body that is neither text nor bytes is sent as JSON. Bytes are sent without a
 * Content-Type, and text as text.
 */
export async function call(
  method: string,
  path: string,
  options: { key?: string; body?: unknown; headers?: Record<string, string>; ip?: string } = {},
): Promise<Answer> {
  const headers = new Headers(options.headers);
  if (options.key !== undefined) headers.set("Authorization", `token ${options.key}`);
  if (options.ip !== undefined) headers.set("CF-Connecting-IP", options.ip);
  const { body } = options;
  const isText = body === undefined || typeof body === "string" || isBytes(body);
  if (!isText && !headers.has("Content-Type")) headers.set("Content-Type", "application/json");
  const response = await exports.default.fetch(
    new Request(`${ORIGIN}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
    }),
  );
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: parse(text) };
}

/** An answer. `body` is the parsed JSON, or undefined. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
  body: any;
}

/** A new organisation of this test's own, with its first key. */
export async function newOrganisation(name = "Test"): Promise<Tenant> {
  const { body } = await call("POST", "/v1/organisations", {
    key: env.DRAWBRIDGE_ROOT_TOKEN,
    body: { name },
  });
  return { id: body.id, key: body.api_key.token, webhookSecret: body.webhook_secret };
}

export interface Tenant {
  id: number;
  key: string;
  webhookSecret: string;
}

function isBytes(body: unknown): body is Uint8Array<ArrayBuffer> {
  return body instanceof Uint8Array;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
