/**
 * Stands for ricloud's Python client, in all that matters to a server. It sends no Content-Type and
 * its token as `Token`, repeats a call at once on any 5xx (three times), parses every body it gets,
 * and looks up each `resource` it meets, crashing on a name that it does not know.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { call } from "./client";
import type { ReceivedRequest } from "./receiver";

const KNOWN = [
  "list",
  "organisation",
  "key",
  "user",
  "source",
  "session",
  "poll",
  "subscription",
  "task",
  "result",
  "event",
  "storage_config",
  "webhook_config",
];
const RETRIES = 3;

/** What the client makes of an answer of 400 and above. */
export class RequestError extends Error {
  readonly status: number;
  constructor(status: number, text: string) {
    super(`${status} ${text}`);
    this.status = status;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the client reads attributes as they come
type Resource = any;

export class RicloudClient {
  readonly #token: string;
  /** Requests sent so far, with the repeated ones. */
  sent = 0;

  constructor(token: string) {
    this.#token = token;
  }

  create(path: string, data: unknown): Promise<Resource> {
    return this.#send("POST", path, JSON.stringify(data));
  }

  /** An update without fields sends `null`. */
  update(path: string, data: unknown = null): Promise<Resource> {
    return this.#send("POST", path, JSON.stringify(data));
  }

  retrieve(path: string): Promise<Resource> {
    return this.#send("GET", path);
  }

  delete(path: string): Promise<Resource> {
    return this.#send("DELETE", path);
  }

  async #send(method: string, path: string, body?: string): Promise<Resource> {
    for (let left = RETRIES; ; left--) {
      this.sent += 1;
      const answer = await call(method, path, {
        headers: { Authorization: `Token ${this.#token}` },
        ...(body === undefined ? {} : { body: new TextEncoder().encode(body) }),
      });
      if (answer.status >= 500 && left > 0) continue;
      if (answer.status >= 400) throw new RequestError(answer.status, answer.text);
      return parse(JSON.parse(answer.text));
    }
  }
}

/** Builds resources from what was parsed; a list must have a known resource as its first item. */
function parse(value: Resource): Resource {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(parse);
  if (value.resource !== undefined && !KNOWN.includes(value.resource)) {
    throw new TypeError(`'NoneType' object is not callable: ${value.resource}`);
  }
  if (value.resource === "list" && value.data.length > 0 && !value.data[0].resource) {
    throw new TypeError("KeyError: 'resource'");
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, parse(inner)]));
}

/**
 * The event of a webhook, as the client's receiver takes it; throws where the receiver would answer
 * 400 or 404.
 */
export function receive(
  request: ReceivedRequest,
  base: string,
  secret: string,
  nowSeconds = Math.floor(Date.now() / 1_000),
): Resource {
  const uuid = /^\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
  const path = request.path.slice(new URL(base).pathname.length);
  const id = uuid.exec(path)?.[1];
  if (!id) throw new Error(`404: ${request.path}`);
  if (request.headers["content-type"] !== "application/json") throw new Error("400: not JSON");
  const [time = "", signature = ""] = (request.headers["ricloud-signature"] ?? "").split(/,(.*)/s);
  const timestamp = Number(time.slice(2));
  const expected = createHmac("sha256", secret).update(`${timestamp}.${request.body}`).digest();
  const given = Buffer.from(signature.slice(2), "base64");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new Error("400: the signature does not match");
  }
  if (nowSeconds - timestamp > 600) throw new Error("400: the signature is too old");
  const event = parse(JSON.parse(request.body));
  if (event.id !== id) throw new Error("the event has another id than its path");
  return event;
}
