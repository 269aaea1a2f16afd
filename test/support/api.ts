/** The API as tests in Node call it, over HTTP, with one API key. */
import type { TestServer } from "./server";

// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
type Json = any;

/** Calls the API. A status other than 2xx is given like any other. */
export class Api {
  readonly #origin: string;
  readonly #key: string;

  constructor({ origin }: Pick<TestServer, "origin">, key: string) {
    this.#origin = origin;
    this.#key = key;
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Json }> {
    const response = await fetch(new URL(path, this.#origin), {
      method,
      headers: { Authorization: `token ${this.#key}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  }

  /** Makes a relay session with so many users. */
  async create(users: number, more: object = {}): Promise<{ status: number; body: Json }> {
    const ips = Array.from({ length: users }, (_, n) => ({ ip: `198.51.100.${n + 1}` }));
    return this.call("POST", "/v1/relays/sessions", { users: ips, ...more });
  }

  read(id: string) {
    return this.call("GET", `/v1/relays/sessions/${id}`);
  }

  end(id: string) {
    return this.call("DELETE", `/v1/relays/sessions/${id}`);
  }

  revoke(id: string, token: number) {
    return this.call("POST", "/v1/relays/sessions:revoke-user", {
      session_id: id,
      authorization_token: token,
    });
  }

  /** Makes a relay node; gives its id and token. */
  async newNode(body: object = {}): Promise<{ id: string; token: string }> {
    const made = await this.call("POST", "/v1/relay-nodes", { name: "Test", ...body });
    if (made.status !== 201) throw new Error(`no relay node: ${JSON.stringify(made.body)}`);
    return made.body;
  }
}
