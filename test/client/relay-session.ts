/** Relay sessions on a server of `wrangler dev`, for tests in which participants use the client. */
import { connectRelay } from "drawbridge-client/relay";

/** A session for a host and one client, as its backend makes it. */
// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
export async function createSession(origin: string, key: string, body: unknown = {}): Promise<any> {
  return api(origin, key, "POST", "/v1/relays/sessions", {
    users: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }],
    join_code: true,
    ...(body as object),
  });
}

/** What lets the user with this index in, for `connectRelay`. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export function credentialsOf(session: any, user: number) {
  const { server, client } = session.relay.ports;
  return {
    link: (user === 0 ? server : client).link as string,
    sessionToken: session.authorization_token as number,
    userToken: session.session_users[user].authorization_token as number,
  };
}

/** A host and a client who are connected. */
export async function connectBoth(session: unknown, options = {}) {
  const host = await connectRelay({ ...credentialsOf(session, 0), ...options });
  const client = await connectRelay({ ...credentialsOf(session, 1), ...options });
  return { host, client };
}

/** One call of the API with this key; throws unless it succeeds. */
export async function api(
  origin: string,
  key: string,
  method: string,
  path: string,
  body?: unknown,
  // biome-ignore lint/suspicious/noExplicitAny: as above
): Promise<any> {
  const response = await fetch(origin + path, {
    method,
    headers: { authorization: `Bearer ${key}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}
