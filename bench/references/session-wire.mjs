/** What is shown of a session, by hand. Its tokens are derived: one HMAC each, with a key that is remembered. */
import { createHmac, hkdfSync } from "node:crypto";

let key;

function token(env, id, label) {
  key ??= Buffer.from(hkdfSync("sha256", env.SECRET, "reference", "relay-tokens", 32));
  const digest = createHmac("sha256", key).update(`${id}/${label}`).digest();
  return (digest.readUIntBE(0, 6) % 0x7fff_ffff) + 1;
}

/** A session with its users. */
export function toWire(session, request, env) {
  return {
    ...facts(session, request, env),
    session_users: session.users.map((user) => toUser(session, user, env)),
  };
}

/** A session with the user who was added last. */
export function toWireWithUser(session, request, env) {
  return {
    ...facts(session, request, env),
    session_user: toUser(session, session.users.at(-1), env),
  };
}

function facts(session, request, env) {
  const origin = request.url.slice(0, request.url.indexOf("/", 8));
  const { host, hostname, port } = new URL(origin);
  const link = (side) => ({
    port: Number(port),
    protocol: "WS",
    link: `ws://${host}/v1/relays/sessions/${session.id}/${side}`,
  });
  return {
    session_id: session.id,
    authorization_token: token(env, session.id, "session"),
    status: "READY",
    ready: true,
    linked: true,
    error: null,
    relay: {
      ip: "127.0.0.1",
      host: hostname,
      ports: { server: link("server"), client: link("client") },
    },
    webhook_url: session.webhookUrl,
    created_at: new Date(session.createdAt).toISOString(),
    expires_at: new Date(session.expiresAt).toISOString(),
    max_users: session.maxUsers,
    metadata: session.metadata,
    join_code: null,
    region: session.region,
  };
}

function toUser(session, user, env) {
  return {
    ip_address: user.ip,
    latitude: null,
    longitude: null,
    authorization_token: token(env, session.id, `user/${user.n}/${user.draw}`),
    connection_id: user.connectionId,
    device_id: user.deviceId,
    is_host: user.n === 0,
    connected: false,
    bytes_in: 0,
    bytes_out: 0,
    frames_dropped: 0,
  };
}
