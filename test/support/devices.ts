/**
 * Devices as real ones are: each has an Ed25519 key of its own, and signs what it requests. Written
 * from docs/pairing.md, and not with the Worker's own code.
 */
import { env } from "cloudflare:workers";
import { openDatabase } from "../../src/db/open";
import type { Actor } from "../../src/devices/actor";
import type { DeviceServices } from "../../src/devices/device-services";
import { openOutbox } from "../../src/devices/event-outbox";
import type { DomainEvent } from "../../src/events/event";
import { SessionClient } from "../../src/session/session-client";
import { type Answer, call, newOrganisation, type Tenant } from "./client";
import { eventually } from "./eventually";
import { settledIn } from "./journals";
import { insertKey } from "./keys";

/** An application of a new organisation. */
export interface TestApplication extends Tenant {
  application: string;
  /** `/v1/applications/{id}`. */
  path: string;
}

/** A new application, of a new organisation unless one is given. */
export async function newApplication(tenant?: Tenant): Promise<TestApplication> {
  const owner = tenant ?? (await newOrganisation());
  const { status, text, body } = await call("POST", "/v1/applications", {
    key: owner.key,
    body: { name: "Test" },
  });
  if (status !== 201) throw new Error(`no application was made: ${status} ${text}`);
  return { ...owner, application: body.id, path: `/v1/applications/${body.id}` };
}

/** What a device requests; what is left out has a plain value. */
export interface Wish {
  role?: string;
  roles?: string[];
  scopes?: string[];
  silent?: boolean;
  clientId?: string;
  clientMode?: string;
  displayName?: string;
  platform?: string;
  family?: string;
  setupCode?: string;
  /** The address that it calls from; its own address if left out. */
  ip?: string;
}

/** A device with its key. */
export interface TestDevice {
  id: string;
  publicKey: string;
  ip: string;
  sign(text: string): Promise<string>;
}

/** A new device, with an address of its own. */
export async function newDevice(): Promise<TestDevice> {
  const pair = (await crypto.subtle.generateKey({ name: "Ed25519" }, true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const raw = new Uint8Array((await crypto.subtle.exportKey("raw", pair.publicKey)) as ArrayBuffer);
  const id = Buffer.from(await crypto.subtle.digest("SHA-256", raw)).toString("hex");
  return {
    id,
    publicKey: Buffer.from(raw).toString("base64url"),
    ip: newAddress(),
    sign: async (text) => {
      const bytes = new TextEncoder().encode(text);
      const signature = await crypto.subtle.sign({ name: "Ed25519" }, pair.privateKey, bytes);
      return Buffer.from(signature).toString("base64url");
    },
  };
}

/** An address that no other test has. */
export function newAddress(): string {
  const groups = crypto.getRandomValues(new Uint16Array(6));
  return `2001:db8:${[...groups].map((group) => group.toString(16)).join(":")}`;
}

/** A fresh challenge. */
export async function newNonce(at: TestApplication, ip = newAddress()): Promise<string> {
  const { status, text, body } = await call("POST", `${at.path}/pairing/challenges`, { ip });
  if (status !== 201) throw new Error(`no challenge: ${status} ${text}`);
  return body.nonce;
}

/** The string that a device signs, version 3. */
export function v3(device: { id: string }, wish: Wish, signedAt: number, nonce: string): string {
  const plain = (text = "") => text.trim().replace(/[A-Z]/g, (c) => c.toLowerCase());
  const { clientId = "cli", clientMode = "cli", role = "operator" } = wish;
  const { scopes = ["operator.read"], setupCode = "" } = wish;
  const parts = ["v3", device.id, clientId, clientMode, role, scopes.join(","), `${signedAt}`];
  return [...parts, setupCode, nonce, plain(wish.platform), plain(wish.family)].join("|");
}

/** The body of a signed request. */
export async function signedBody(device: TestDevice, wish: Wish, nonce: string) {
  const signedAt = Date.now();
  const { clientId = "cli", clientMode = "cli", role = "operator" } = wish;
  const { displayName, platform, family, setupCode, roles, silent } = wish;
  return {
    device: {
      id: device.id,
      public_key: device.publicKey,
      signed_at: signedAt,
      nonce,
      signature: await device.sign(v3(device, wish, signedAt, nonce)),
    },
    client: {
      id: clientId,
      mode: clientMode,
      display_name: displayName,
      platform,
      device_family: family,
    },
    role,
    roles,
    scopes: wish.scopes ?? ["operator.read"],
    silent,
    setup_code: setupCode,
  };
}

/** Makes a pairing request with a fresh challenge, and returns the answer, whatever it is. */
export async function ask(
  at: TestApplication,
  device: TestDevice,
  wish: Wish = {},
): Promise<Answer> {
  const ip = wish.ip ?? device.ip;
  const body = await signedBody(device, wish, await newNonce(at));
  return call("POST", `${at.path}/pairing/requests`, { body, ip });
}

/** Makes a pairing request, and expects it to be pending. */
export async function request(
  at: TestApplication,
  device: TestDevice,
  wish: Wish = {},
): Promise<{ id: string; pollToken: string }> {
  const { status, text, body } = await ask(at, device, wish);
  if (status !== 202) throw new Error(`not put on the list: ${status} ${text}`);
  return { id: body.pair_request_id, pollToken: body.poll_token };
}

/** Polls a request. */
export function poll(
  at: TestApplication,
  asked: { id: string; pollToken: string },
): Promise<Answer> {
  return call("GET", `${at.path}/pairing/requests/${asked.id}`, {
    headers: { Authorization: `Bearer ${asked.pollToken}` },
    ip: newAddress(),
  });
}

/** Decides a request, with the organisation's first key. */
export function decide(
  at: TestApplication,
  id: string,
  verb: "approve" | "reject",
  body: object = {},
  key = at.key,
): Promise<Answer> {
  return call("POST", `${at.path}/pairing/requests/${id}:${verb}`, { key, body });
}

/** Pairs a device, from its request to its token. */
export async function pair(
  at: TestApplication,
  device: TestDevice,
  wish: Wish = {},
): Promise<{ token: string; requestId: string }> {
  const asked = await request(at, device, wish);
  const approved = await decide(at, asked.id, "approve");
  if (approved.status !== 200) throw new Error(`not approved: ${approved.text}`);
  const { body } = await poll(at, asked);
  return { token: body.device_token, requestId: asked.id };
}

/** What a gateway is told about a token. */
export async function verify(at: TestApplication, token: string, scope?: string) {
  const { body } = await call("POST", "/v1/devices:verify", {
    key: at.key,
    body: { token, scope },
  });
  return body;
}

/** The request as operators see it. */
export async function findRequest(at: TestApplication, id: string, status = "") {
  const query = status === "" ? "" : `?status=${status}`;
  const { body } = await call("GET", `${at.path}/pairing/requests${query}`, { key: at.key });
  return body.data.find((each: { pair_request_id: string }) => each.pair_request_id === id);
}

/** What both surfaces pass to the domain, for tests that race its functions. */
export function domainDeps(): DeviceServices {
  const ctx = { waitUntil: () => undefined };
  const db = openDatabase(env);
  return {
    db,
    secret: env.DRAWBRIDGE_SECRET,
    sessions: new SessionClient(env, ctx),
    events: openOutbox(env, ctx, db),
  };
}

/** An operator of the organisation with every permission. */
export function operatorOf(at: TestApplication): Actor {
  return { organisationId: at.id, keyId: 1, permissions: ["*"], session: null };
}

/**
 * The types of the events of an organisation's devices, in alphabetical order: events of one
 * millisecond have no other.
 */
export async function deviceEvents(at: TestApplication): Promise<string[]> {
  const recorded = await settledIn(at.id);
  const types = recorded.map(({ event }) => event.type);
  return types.filter((type) => type.startsWith("device.")).sort();
}

/**
 * Waits until every event is recorded, so that what is counted afterwards has none of its rows.
 */
export async function eventsSent(): Promise<void> {
  await eventually(async () => {
    const owed = await env.DB.prepare("select count(*) n from owed_events").first("n");
    if (owed !== 0) throw new Error(`${owed} events are still owed`);
  });
}

/** Gives an organisation a key with these permissions only; returns its token. */
export async function newKey(at: Tenant, permissions: string[]): Promise<string> {
  return (await insertKey(at.id, { permissions })).token;
}

/** An organisation's latest event of a type, as its consumer gets it. */
export async function findDeviceEvent(at: TestApplication, type: string): Promise<DomainEvent> {
  const recorded = await settledIn(at.id);
  const found = recorded.findLast(({ event }) => event.type === type);
  if (!found) throw new Error(`there is no event ${type}`);
  return found.event;
}
