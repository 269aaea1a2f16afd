/** Calls on one session by hand: read it (bare, and behind the check of a key), make it, authorise a user. */
import { admit, answer, refuse } from "./guard.mjs";
import { toWire, toWireWithUser } from "./session-wire.mjs";

const ADDRESS = /^[0-9a-fA-F.:]+$/;

/** One read of an object, and what it says. */
export async function read(request, env) {
  const [, , , , organisationId, id] = request.url.split("/");
  const session = await env.ReferenceSession.getByName(id).read(Number(organisationId));
  return session === null ? refuse(404, "not-found") : Response.json(session);
}

/** The same, behind the check of a key, and with all fields that are shown. */
export async function readChecked(request, env, ctx) {
  const caller = await admit(request, env, ctx, "relays:read");
  if (caller instanceof Response) return caller;
  const id = request.url.slice(request.url.lastIndexOf("/") + 1);
  const session = await env.ReferenceSession.getByName(id).read(caller.organisationId);
  return session === null
    ? refuse(404, "not-found")
    : answer(request, toWire(session, request, env));
}

/** Makes a session of these users. */
export async function create(request, env, ctx) {
  const caller = await admit(request, env, ctx, "relays:write");
  if (caller instanceof Response) return caller;
  const { users = [] } = await request.json();
  if (!users.every(({ ip }) => typeof ip === "string" && ADDRESS.test(ip)))
    return refuse(400, "invalid");
  const now = Date.now();
  const id = `${[...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}-S`;
  const session = await env.ReferenceSession.getByName(id).create({
    id,
    kind: "relay",
    organisationId: caller.organisationId,
    keyId: caller.key.id,
    status: "active",
    version: 1,
    createdAt: now,
    expiresAt: now + 3_600_000,
    idleSeconds: 300,
    maxUsers: 64,
    webhookUrl: null,
    metadata: null,
    region: null,
    nextUser: users.length,
    users: users.map(({ ip }, n) => ({ n, draw: 0, ip, connectionId: null, deviceId: null })),
  });
  return answer(request, toWire(session, request, env));
}

/** Adds a user to a session. */
export async function authorize(request, env, ctx) {
  const caller = await admit(request, env, ctx, "relays:write");
  if (caller instanceof Response) return caller;
  const { session_id: id, user_ip: ip } = await request.json();
  if (typeof id !== "string" || typeof ip !== "string" || !ADDRESS.test(ip))
    return refuse(400, "invalid");
  const user = { ip, connectionId: null, deviceId: null };
  const session = await env.ReferenceSession.getByName(id).authorize(
    caller.organisationId,
    user,
    Date.now(),
  );
  return session === null
    ? refuse(409, "full")
    : answer(request, toWireWithUser(session, request, env));
}
