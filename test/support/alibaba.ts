/**
 * Alibaba's two signatures, written from Alibaba's documentation and not with the Worker's own
 * code: here a call is signed from its parameters, there a signature is checked from the bytes of
 * the request.
 */
import { env, exports } from "cloudflare:workers";
import { createHash, createHmac } from "node:crypto";
import { expect } from "vitest";
import { deriveAccessKey } from "../../src/keys/access-key";
import { ORIGIN, type Tenant } from "./client";
import { newAddress } from "./devices";

/** An access key pair. */
export interface Pair {
  id: string;
  secret: string;
}

/** The pair of an organisation's first key. */
export async function pairOf(tenant: Tenant): Promise<Pair> {
  const row = await env.DB.prepare("select key_id from organisation_keys where organisation_id = ?")
    .bind(tenant.id)
    .first<{ key_id: number }>();
  return deriveAccessKey(env.DRAWBRIDGE_SECRET, { id: row?.key_id ?? 0, tokenVersion: 1 });
}

/** A call as a client makes it, before it is sent; tests change it. */
export interface SignedCall {
  method: string;
  /** Path and query. */
  path: string;
  headers: [string, string][];
  body: string;
}

/** The parameters of a call, by where they go. */
export interface Unsigned {
  action: string;
  query?: Record<string, string>;
  form?: Record<string, string>;
  method?: string;
  date?: string;
  nonce?: string;
  /** Further headers, which are signed as well. */
  headers?: Record<string, string>;
}

/** As RFC 3986 encodes. */
export function escapeAll(text: string): string {
  let escaped = "";
  for (const byte of new TextEncoder().encode(text)) {
    const character = String.fromCharCode(byte);
    escaped += /[A-Za-z0-9\-_.~]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}

/** As the SDKs send it: characters that they encode only in order to sign are sent as they are. */
function wire(parameters: Record<string, string>): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join("&");
}

function sorted(parameters: Record<string, string>): string {
  return Object.keys(parameters)
    .sort()
    .map((name) => `${escapeAll(name)}=${escapeAll(parameters[name] ?? "")}`)
    .join("&");
}

/** This moment or another, in the form of both signatures. */
export function timestamp(time = Date.now()): string {
  return new Date(time).toISOString().replace(/\.\d{3}Z$/, "Z");
}

/** Signs with ACS3-HMAC-SHA256. */
export function signAcs3(pair: Pair, call: Unsigned): SignedCall {
  const method = call.method ?? "POST";
  const body = call.form ? wire(call.form) : "";
  const hash = createHash("sha256").update(body).digest("hex");
  const headers: Record<string, string> = {
    host: new URL(ORIGIN).host,
    "x-acs-action": call.action,
    "x-acs-version": "2017-08-01",
    "x-acs-date": call.date ?? timestamp(),
    "x-acs-signature-nonce": call.nonce ?? crypto.randomUUID(),
    "x-acs-content-sha256": hash,
    ...(call.form ? { "content-type": "application/x-www-form-urlencoded" } : {}),
    ...call.headers,
  };
  const names = Object.keys(headers).sort();
  const canonical =
    `${method}\n/\n${sorted(call.query ?? {})}\n` +
    `${names.map((name) => `${name}:${headers[name]?.trim()}\n`).join("")}\n` +
    `${names.join(";")}\n${hash}`;
  const digest = createHash("sha256").update(canonical).digest("hex");
  const signature = createHmac("sha256", pair.secret)
    .update(`ACS3-HMAC-SHA256\n${digest}`)
    .digest("hex");
  const authorization = `ACS3-HMAC-SHA256 Credential=${pair.id},SignedHeaders=${names.join(";")},Signature=${signature}`;
  return {
    method,
    path: `/?${wire(call.query ?? {})}`,
    headers: [...Object.entries(headers), ["authorization", authorization]],
    body,
  };
}

/** Signs with HMAC-SHA1, version 1.0. */
export function signV1(pair: Pair, call: Unsigned): SignedCall {
  const method = call.method ?? "POST";
  const own = {
    Action: call.action,
    Version: "2017-08-01",
    Format: "JSON",
    AccessKeyId: pair.id,
    SignatureMethod: "HMAC-SHA1",
    SignatureVersion: "1.0",
    SignatureNonce: call.nonce ?? crypto.randomUUID(),
    Timestamp: call.date ?? timestamp(),
  };
  const query = { ...own, ...call.query };
  const toSign = `${method}&%2F&${escapeAll(sorted({ ...query, ...call.form }))}`;
  const Signature = createHmac("sha1", `${pair.secret}&`).update(toSign).digest("base64");
  return {
    method,
    path: `/?${wire({ ...query, Signature })}`,
    headers: Object.entries(call.headers ?? {}),
    body: call.form ? wire(call.form) : "",
  };
}

/**
 * Sends a call as it is, from an address of its own unless one is given; its `host` becomes the
 * URL's.
 */
export async function send(call: SignedCall, ip = newAddress()) {
  const { status, body } = await answerTo(call, ip);
  return { status, code: body.Code };
}

/** Like `send`, with the whole answer. */
export async function answerTo({ method, path, headers, body }: SignedCall, ip = newAddress()) {
  const sent = new Headers({ "CF-Connecting-IP": ip });
  let origin = ORIGIN;
  for (const [name, value] of headers) {
    if (name === "host") origin = `http://${value}`;
    else sent.append(name, value);
  }
  const response = await exports.default.fetch(
    new Request(`${origin}${path}`, { method, headers: sent, ...(body === "" ? {} : { body }) }),
  );
  const answer = (await response.json()) as { Code: unknown; Message: string };
  return { status: response.status, body: answer };
}

/**
 * The call with some text replaced, wherever the text is.
 * @throws Error where it is nowhere
 */
export function changed(signed: SignedCall, from: string | RegExp, to: string): SignedCall {
  const headers = signed.headers.map(([n, v]): [string, string] => [n, v.replace(from, to)]);
  const path = signed.path.replace(from, to);
  const body = signed.body.replace(from, to);
  expect([path, headers, body]).not.toEqual([signed.path, signed.headers, signed.body]);
  return { ...signed, path, headers, body };
}

/** The call with this header in place of any of that name; null: without that header. */
export function withHeader(signed: SignedCall, name: string, value: string | null): SignedCall {
  const others = signed.headers.filter(([each]) => each !== name);
  return { ...signed, headers: value === null ? others : [...others, [name, value]] };
}
