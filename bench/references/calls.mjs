/** Calls on one session by hand: read it (bare, and behind the check of a key), make it, authorise a user. */
import { admit, answer, readJson, refuse } from "./guard.mjs";
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
  if (!areUsers(users)) return refuse(400, "invalid");
  const session = newSession(caller, users);
  await env.ReferenceSession.getByName(session.id).create(session);
  return answer(request, toWire(session, request, env));
}

/**
 * The same with what makes Drawbridge's own hold: the body is checked whole, nothing is done or counted twice if
 * a part of it is repeated or comes late, no wait is without an end, and the journal takes a third of the room.
 */
export async function createGuarded(request, env, ctx) {
  const caller = await admit(request, env, ctx, "relays:write");
  if (caller instanceof Response) return caller;
  const body = await readJson(request);
  if (body instanceof Response) return body;
  const { users = [], metadata = null, ...rest } = body;
  const isRight =
    Array.isArray(users) && users.length <= 64 && areUsers(users) && isMetadata(metadata);
  // Of its other fields, none is taken here.
  if (!isRight || Object.keys(rest).length > 0) return refuse(400, "invalid");
  const session = newSession(caller, users);
  const made = await env.ReferenceSession.getByName(session.id).createGuarded(session);
  return made === null ? refuse(409, "exists") : answer(request, toWire(made, request, env));
}

function areUsers(users) {
  return users.every(({ ip }) => typeof ip === "string" && ADDRESS.test(ip));
}

function isMetadata(metadata) {
  if (metadata === null) return true;
  const values = Object.values(metadata);
  return values.length <= 50 && values.every((value) => typeof value === "string");
}

function newSession({ organisationId, key }, users) {
  const now = Date.now();
  const bytes = [...crypto.getRandomValues(new Uint8Array(6))];
  return {
    id: `${bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("")}-S`,
    kind: "relay",
    organisationId,
    keyId: key.id,
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
  };
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
