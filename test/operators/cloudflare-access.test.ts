/**
 * Operators behind Cloudflare Access sign in without a token. A real HTTP server with a set of keys
 * stands for Access, and its private key signs the assertions.
 */
import { env } from "cloudflare:workers";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterEach, beforeAll, describe, expect, inject, test, vi } from "vitest";
import { KEY_CACHE_MS } from "../../src/keys/key-cache";
import { readConfig } from "../../src/platform/config";
import { call, newOrganisation } from "../support/client";
import { decide, findRequest, newApplication, newDevice, request } from "../support/devices";
import { otherIsolate } from "../support/isolates";
import { newKey, patchKey, signIn } from "../support/keys";
import { createMailbox } from "../support/receiver";

const AUDIENCE = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2";
const ISSUER = "https://acme.cloudflareaccess.com";
const bindings = { CF_ACCESS_TEAM: "acme", CF_ACCESS_AUD: AUDIENCE } as Partial<Env>;

let keys: CryptoKeyPair;
let keySet: string;

beforeAll(async () => {
  keys = await generateKeyPair("RS256", { extractable: true });
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: "one", alg: "RS256", use: "sig" };
  keySet = JSON.stringify({ keys: [jwk] });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A Worker behind Access that reads Access's keys from `mailbox`. */
async function behindAccess() {
  const mailbox = createMailbox(inject("receiverUrl"));
  const headers = { "content-type": "application/json" };
  await mailbox.answer({ kind: "status", status: 200, headers, body: keySet });
  const outside = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
    const url = String(input instanceof Request ? input.url : input);
    const isCerts = url === `${ISSUER}/cdn-cgi/access/certs`;
    return outside(isCerts ? mailbox.url : input, init);
  });
  return { mailbox, call: await otherIsolate(bindings) };
}

async function assertion(email: string, overrides: JWTPayload = {}, signer = keys.privateKey) {
  const now = Math.floor(Date.now() / 1_000);
  return new SignJWT({ email, iss: ISSUER, aud: [AUDIENCE], exp: now + 60, ...overrides })
    .setProtectedHeader({ alg: "RS256", kid: "one" })
    .sign(signer);
}

/** The address of the operator whose session token this is. */
function personIn(sessionToken: string): string {
  const [, claims = ""] = sessionToken.split(".");
  return JSON.parse(Buffer.from(claims, "base64url").toString()).email;
}

const header = (token: string) => ({ "Cf-Access-Jwt-Assertion": token });
const SIGN_IN = "/v1/auth/session-tokens";
const operatorKey = (tenant: Awaited<ReturnType<typeof newOrganisation>>, emails: string[]) =>
  newKey(tenant, { permissions: ["operator:sign-in", "keys:read"], emails });

describe("an operator behind Cloudflare Access", () => {
  test("signs in as the key that lists their address, in upper or lower case", async () => {
    const tenant = await newOrganisation();
    const email = `Ana-${tenant.id}@example.com`;
    await operatorKey(tenant, ["other@example.com", email]);
    const worker = await behindAccess();
    const headers = header(await assertion(email.toUpperCase()));
    const answer = await worker.call("POST", SIGN_IN, { headers });
    expect(answer.status, answer.text).toBe(201);
    const list = await call("GET", "/api-keys", { key: answer.body.session_token });
    expect(list.status).toBe(200);
    expect(list.body[0].organizations[0].id).toBe(tenant.id);
    const write = await call("DELETE", "/api-keys/1", { key: answer.body.session_token });
    expect(write.status).toBe(403);
  });

  test("is named, besides the key, as the one who decided a pairing request", async () => {
    const at = await newApplication();
    const email = `ana-${at.id}@example.com`;
    const permissions = ["operator:sign-in", "devices:approve", "devices:list", "operator.read"];
    const key = await newKey(at, { permissions, emails: [email] });
    const worker = await behindAccess();
    const { body } = await worker.call("POST", SIGN_IN, {
      headers: header(await assertion(email)),
    });
    for (const [credential, person] of [
      [body.session_token, email],
      [await signIn(key.token), null],
      [key.token, null],
    ]) {
      for (const verb of ["approve", "reject"] as const) {
        const { id } = await request(at, await newDevice());
        const decided = await decide(at, id, verb, {}, credential);
        expect(decided.status, decided.text).toBe(200);
        expect(await findRequest(at, id)).toMatchObject({
          decided_by: key.id,
          decided_by_email: person,
        });
      }
    }
  });

  test("is refused when no key lists their address, or only a key that does not work", async () => {
    const tenant = await newOrganisation();
    const email = `bob-${tenant.id}@example.com`;
    const worker = await behindAccess();
    const signIn = async () =>
      worker.call("POST", SIGN_IN, { headers: header(await assertion(email)) });
    expect((await signIn()).body).toMatchObject({ status: 403, code: "not-an-operator" });
    await newKey(tenant, { permissions: ["keys:read"], emails: [email] });
    expect((await signIn()).status).toBe(403);
    const key = await operatorKey(tenant, [email]);
    expect((await signIn()).status).toBe(201);
    await patchKey(tenant, key.id, { blocked: true });
    expect((await signIn()).status).toBe(403);
    await patchKey(tenant, key.id, { blocked: false, emails: [] });
    expect((await signIn()).status).toBe(403);
    await patchKey(tenant, key.id, { emails: [email] });
    expect((await signIn()).status).toBe(201);
    await call("DELETE", `/api-keys/${key.id}`, { key: tenant.key });
    expect((await signIn()).status).toBe(403);
  });

  test("is refused once their address is removed from the key: at once here, within the bound in other isolates", async () => {
    const tenant = await newOrganisation();
    const email = `ida-${tenant.id}@example.com`;
    const key = await operatorKey(tenant, [email.toUpperCase(), "other@example.com"]);
    const worker = await behindAccess();
    const signedIn = await worker.call("POST", SIGN_IN, {
      headers: header(await assertion(email)),
    });
    const person = signedIn.body.session_token;
    const withKey = await signIn(key.token);
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const here = async (session: string) =>
      (await call("GET", "/api-keys", { key: session })).status;
    const there = async () => (await worker.call("GET", "/api-keys", { key: person })).status;
    expect([await here(person), await there()]).toEqual([200, 200]);
    await patchKey(tenant, key.id, { emails: [email, "third@example.com"] });
    expect(await here(person)).toBe(200);
    await patchKey(tenant, key.id, { emails: ["other@example.com"] });
    expect(await here(person)).toBe(401);
    // An operator who signed in with the key itself has no address.
    expect(await here(withKey)).toBe(200);
    vi.setSystemTime(now + KEY_CACHE_MS);
    expect(await there()).toBe(401);
  });

  test("names the organisation where several have their address", async () => {
    const [one, two] = [await newOrganisation(), await newOrganisation()];
    const email = `eva-${one.id}@example.com`;
    await operatorKey(one, [email]);
    await operatorKey(two, [email]);
    const worker = await behindAccess();
    const headers = header(await assertion(email));
    const unsaid = await worker.call("POST", SIGN_IN, { headers });
    expect(unsaid.body).toMatchObject({ status: 409, code: "several-organisations" });
    const said = { ...headers, "X-Organisation-Id": String(two.id) };
    const answer = await worker.call("POST", SIGN_IN, { headers: said });
    const list = await call("GET", "/api-keys", { key: answer.body.session_token });
    expect(list.body[0].organizations[0].id).toBe(two.id);
    const foreign = { ...headers, "X-Organisation-Id": "999999999" };
    expect((await worker.call("POST", SIGN_IN, { headers: foreign })).status).toBe(403);
  });

  test("has Idempotency-Keys of their own, also against others with the same API key", async () => {
    const tenant = await newOrganisation();
    const [ana, bob] = [`ana-${tenant.id}@example.com`, `bob-${tenant.id}@example.com`];
    await newKey(tenant, { permissions: ["*"], emails: [ana, bob] });
    const worker = await behindAccess();
    const signIn = async (email: string, name: string) =>
      worker.call("POST", SIGN_IN, {
        headers: { ...header(await assertion(email)), "Idempotency-Key": name },
      });
    const first = await signIn(ana, "same");
    const others = await signIn(bob, "same");
    for (const { status, headers } of [first, others]) {
      expect([status, headers.get("Idempotent-Replayed")]).toEqual([201, null]);
    }
    expect(personIn(first.body.session_token)).toBe(ana);
    expect(personIn(others.body.session_token)).toBe(bob);
    for (const [email, answer] of [
      [ana, first],
      [bob, others],
    ] as const) {
      const again = await signIn(email, "same");
      expect([again.text, again.headers.get("Idempotent-Replayed")]).toEqual([answer.text, "true"]);
      expect(again.headers.get("Cache-Control")).toBe("no-store");
    }
    // Ana signs in again, and is the same person.
    const { body: anew } = await signIn(ana, "anew");
    const makeOnce = (key: string) =>
      worker.call("POST", "/v1/relays/sessions", {
        key,
        body: {},
        headers: { "Idempotency-Key": "made" },
      });
    const made = await makeOnce(first.body.session_token);
    expect((await makeOnce(anew.session_token)).text).toBe(made.text);
    const bobs = await makeOnce(others.body.session_token);
    expect(bobs.headers.get("Idempotent-Replayed")).toBeNull();
    expect(bobs.body.session_id).not.toBe(made.body.session_id);
  });

  test("is refused with an assertion of another signer, issuer, application or time", async () => {
    const tenant = await newOrganisation();
    const email = `mal-${tenant.id}@example.com`;
    await operatorKey(tenant, [email]);
    const worker = await behindAccess();
    const stranger = await generateKeyPair("RS256");
    const past = Math.floor(Date.now() / 1_000) - 1;
    const secret = new TextEncoder().encode(keySet);
    for (const token of [
      await assertion(email, {}, stranger.privateKey),
      await assertion(email, { iss: "https://other.cloudflareaccess.com" }),
      await assertion(email, { aud: ["another"] }),
      await assertion(email, { exp: past }),
      await assertion(email, { email: undefined }),
      await new SignJWT({ email, iss: ISSUER, aud: AUDIENCE })
        .setProtectedHeader({ alg: "HS256", kid: "one" })
        .setExpirationTime("1m")
        .sign(secret),
      "nonsense",
    ]) {
      const answer = await worker.call("POST", SIGN_IN, { headers: header(token) });
      expect(answer.body).toMatchObject({ status: 401, code: "access-refused" });
    }
  });

  test("may still sign in with an API key", async () => {
    const tenant = await newOrganisation();
    const worker = await behindAccess();
    const headers = header(await assertion("nobody@example.com"));
    const body = { token: tenant.key };
    expect((await worker.call("POST", SIGN_IN, { headers, body })).status).toBe(201);
  });

  test("may still sign in with a sign-in code, as its key and not as themselves", async () => {
    const tenant = await newOrganisation();
    const email = `ana-${tenant.id}@example.com`;
    await operatorKey(tenant, [email]);
    const key = await operatorKey(tenant, []);
    const worker = await behindAccess();
    const { body: made } = await worker.call("POST", "/v1/auth/sign-in-codes", {
      key: env.DRAWBRIDGE_ROOT_TOKEN,
      body: { key_id: key.id },
    });
    const headers = header(await assertion(email));
    const exchange = () => worker.call("POST", SIGN_IN, { headers, body: { code: made.code } });
    const { status, body } = await exchange();
    expect(status).toBe(201);
    const caller = await call("GET", SIGN_IN, { key: body.session_token });
    expect(caller.body).toMatchObject({ key_id: key.id, email: null });
    expect((await exchange()).body.code).toBe("sign-in-code-used");
  });

  test("is told who they are, with their address", async () => {
    const tenant = await newOrganisation();
    const email = `ana-${tenant.id}@example.com`;
    await operatorKey(tenant, [email]);
    const worker = await behindAccess();
    const { body } = await worker.call("POST", SIGN_IN, {
      headers: header(await assertion(email)),
    });
    const caller = await call("GET", SIGN_IN, { key: body.session_token });
    expect(caller.body).toMatchObject({ signed_in: true, email });
  });

  test("is told to come back while the keys of Access cannot be read", async () => {
    const worker = await behindAccess();
    await worker.mailbox.answer({ kind: "status", status: 500 });
    const headers = header(await assertion("nobody@example.com"));
    const answer = await worker.call("POST", SIGN_IN, { headers });
    expect([answer.status, answer.body.code]).toEqual([503, "unavailable"]);
    expect(answer.headers.get("Retry-After")).toBe("2");
  });

  test("is not signed in where Access is not set up, whatever the assertion says", async () => {
    const answer = await call("POST", SIGN_IN, { headers: header(await assertion("a@b.c")) });
    expect(answer.body).toMatchObject({ status: 400, code: "invalid-body" });
  });
});

describe("the settings of Access", () => {
  test("are set together, and name a team", () => {
    const read = (vars: object) => () => readConfig({ ...env, ...vars } as Env);
    expect(read({ CF_ACCESS_TEAM: "acme" })).toThrow(/CF_ACCESS_AUD/);
    expect(read({ CF_ACCESS_AUD: AUDIENCE })).toThrow(/CF_ACCESS_TEAM/);
    expect(read({ CF_ACCESS_TEAM: "https://evil.example", CF_ACCESS_AUD: "x" })).toThrow(/team/);
    const team = "Acme.cloudflareaccess.com";
    expect(read({ CF_ACCESS_TEAM: team, CF_ACCESS_AUD: AUDIENCE })().access).toEqual({
      issuer: ISSUER,
      audience: AUDIENCE,
    });
  });
});
