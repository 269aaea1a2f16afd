/** The calls on relay sessions, as the backend of a game makes them. */
import { type Answer, call } from "./client";

/** The path of relay sessions. */
export const SESSIONS = "/v1/relays/sessions";

/** Creates a session; without a body, with an empty object. */
export function create(key: string, body: unknown = {}, headers: Record<string, string> = {}) {
  return call("POST", SESSIONS, { key, body, headers });
}

/** A create with this Idempotency-Key. */
export function createOnce(key: string, idempotencyKey: string, body: unknown = {}) {
  return create(key, body, { "Idempotency-Key": idempotencyKey });
}

/** How many sessions of the key's organisation are live. */
export async function liveSessions(key: string): Promise<number> {
  return (await list(key)).body.total_count;
}

export function read(key: string, id: string): Promise<Answer> {
  return call("GET", `${SESSIONS}/${id}`, { key });
}

/** Lists sessions; `query` with its question mark. */
export function list(key: string, query = ""): Promise<Answer> {
  return call("GET", SESSIONS + query, { key });
}

export function remove(key: string, id: string): Promise<Answer> {
  return call("DELETE", `${SESSIONS}/${id}`, { key });
}

export function authorize(
  key: string,
  id: string,
  ip = "192.0.2.77",
  more: Record<string, unknown> = {},
) {
  return call("POST", `${SESSIONS}:authorize-user`, {
    key,
    body: { session_id: id, user_ip: ip, ...more },
  });
}

export function revoke(key: string, id: string, token: unknown): Promise<Answer> {
  return call("POST", `${SESSIONS}:revoke-user`, {
    key,
    body: { session_id: id, authorization_token: token },
  });
}

/** Makes the user with this token the host. */
export function assignHost(key: string, id: string, token: unknown): Promise<Answer> {
  return call("POST", `${SESSIONS}:assign-host`, {
    key,
    body: { session_id: id, authorization_token: token },
  });
}

/** Gives the session another join code. */
export function rotateJoinCode(key: string, id: string): Promise<Answer> {
  return call("POST", `${SESSIONS}/${id}/join-code:rotate`, { key });
}

/** Takes the session's join code. */
export function closeJoinCode(key: string, id: string): Promise<Answer> {
  return call("DELETE", `${SESSIONS}/${id}/join-code`, { key });
}

/** Joins with a code: without a key, and from an address of its own unless one is given. */
export function join(code: unknown, ip = anyAddress()): Promise<Answer> {
  return call("POST", "/v1/relays/join", { body: { join_code: code }, ip });
}

/** An address that no other call of a test has, so that limits by address do not add up. */
export function anyAddress(): string {
  const group = () => Math.floor(Math.random() * 0x1_0000).toString(16);
  return `2001:db8:${group()}:${group()}:${group()}:${group()}:${group()}:1`;
}

/** The addresses of one IPv6 client: each call gives another one of the same /64. */
export function addressesOfOneClient(): () => string {
  const network = anyAddress().split(":").slice(0, 4).join(":");
  let n = 0;
  return () => {
    n += 1;
    return `${network}::${n.toString(16)}`;
  };
}

/** The ids of a list's page. */
export function idsOf(page: Answer): string[] {
  return page.body.sessions.map((session: { session_id: string }) => session.session_id);
}
