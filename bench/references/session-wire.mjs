/** What is shown of a session, by hand. Its tokens are derived, with a key that is remembered. */
import { createHmac, hkdfSync } from "node:crypto";

let key;

/** The tokens of a session and of its first four users are parts of one digest. */
function tokensOf(env, id) {
  key ??= Buffer.from(hkdfSync("sha256", env.SECRET, "reference", "relay-tokens", 32));
  const digests = [];
  return (place) => {
    const [at, part] = [Math.floor(place / 5), place % 5];
    digests[at] ??= createHmac("sha256", key).update(`${id}/${at}`).digest();
    return (digests[at].readUIntBE(part * 6, 6) % 0x7fff_ffff) + 1;
  };
}

/** A session with its users. */
export function toWire(session, request, env) {
  const tokenAt = tokensOf(env, session.id);
  return {
    ...facts(session, request, tokenAt),
    session_users: session.users.map((user) => toUser(user, tokenAt)),
  };
}

/** A session with the user who was added last. */
export function toWireWithUser(session, request, env) {
  const tokenAt = tokensOf(env, session.id);
  return {
    ...facts(session, request, tokenAt),
    session_user: toUser(session.users.at(-1), tokenAt),
  };
}

/** The host that was called last, parsed once. */
let last = { origin: "", parsed: null };

function hostOf({ url }) {
  const origin = url.slice(0, url.indexOf("/", 8));
  if (last.origin !== origin) last = { origin, parsed: new URL(origin) };
  return last.parsed;
}

function facts(session, request, tokenAt) {
  const { host, hostname, port } = hostOf(request);
  const link = (side) => ({
    port: Number(port),
    protocol: "WS",
    link: `ws://${host}/v1/relays/sessions/${session.id}/${side}`,
  });
  return {
    session_id: session.id,
    authorization_token: tokenAt(0),
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

function toUser(user, tokenAt) {
  return {
    ip_address: user.ip,
    latitude: null,
    longitude: null,
    authorization_token: tokenAt(user.n + 1),
    connection_id: user.connectionId,
    device_id: user.deviceId,
    is_host: user.n === 0,
    connected: false,
    bytes_in: 0,
    bytes_out: 0,
    frames_dropped: 0,
  };
}
