/**
 * The guard of all routes: which credentials it reads, which keys it lets in, and how it refuses
 * the others.
 */
import { describe, expect, test } from "vitest";
import { newToken } from "../../src/keys/key-token";
import { call, newOrganisation } from "../support/client";
import { withD1 } from "../support/d1";
import { insertKey } from "../support/keys";
import { anyAddress, create, list, SESSIONS } from "../support/sessions";

/** Makes a call with this header, from an address of its own so that failures do not add up. */
function withHeader(header: string | undefined) {
  const headers: Record<string, string> = header === undefined ? {} : { Authorization: header };
  return call("GET", SESSIONS, { headers, ip: anyAddress() });
}

describe("an API key", () => {
  test.each(["token", "Token", "TOKEN", "Bearer", "bearer", "bEaReR"])(
    "is accepted with the scheme %s",
    async (scheme) => {
      const { key } = await newOrganisation();
      expect((await withHeader(`${scheme} ${key}`)).status).toBe(200);
    },
  );

  test("is accepted with more than one space after the scheme", async () => {
    const { key } = await newOrganisation();
    expect((await withHeader(`  token   ${key}  `)).status).toBe(200);
  });
});

describe("a call without a readable credential is not authenticated, with", () => {
  test.each<[string, (key: string) => string | undefined]>([
    ["no header", () => undefined],
    ["an empty header", () => ""],
    ["a scheme alone", () => "token"],
    ["a scheme and a space", () => "token "],
    ["a key without a scheme", (key) => key],
    ["another scheme", (key) => `Basic ${key}`],
    ["two keys", (key) => `token ${key} ${key}`],
    ["a scheme twice", (key) => `token token ${key}`],
    ["a scheme and a colon", (key) => `token:${key}`],
    ["a list of credentials", (key) => `token ${key}, Bearer ${key}`],
    ["text that is no key of ours", () => "token 01234567-e458-4592-b607-c2c28afd8b62"],
    ["a key that was cut", (key) => `token ${key.slice(0, -1)}`],
    ["a key with another checksum", (key) => `token ${otherChecksum(key)}`],
  ])("%s", async (_, toHeader) => {
    const { key } = await newOrganisation();
    const { status, body, headers } = await withHeader(toHeader(key));
    expect(status).toBe(401);
    expect(Object.keys(body)).toEqual(["message", "code"]);
    expect(body.message).not.toContain(key);
    expect(headers.get("WWW-Authenticate")).toBe("Bearer");
  });
});

test("an API key with a wrong checksum is refused without a call of D1", async () => {
  const { key } = await newOrganisation();
  const statements: string[] = [];
  const onStatement = (sql: string) => {
    statements.push(sql);
  };
  await withD1(onStatement, () => withHeader(`token ${otherChecksum(key)}`));
  expect(statements).toEqual([]);
  await withD1(onStatement, () => withHeader(`token ${newToken()}`));
  expect(statements).toHaveLength(1);
});

describe("a well-formed API key on Edgegap's surface", () => {
  test("is forbidden when nobody has it", async () => {
    const { status, body } = await withHeader(`token ${newToken()}`);
    expect(status).toBe(403);
    expect(Object.keys(body)).toEqual(["message", "code"]);
  });

  test("is forbidden when it is blocked", async () => {
    const { id } = await newOrganisation();
    const { token } = await insertKey(id, { blocked: true });
    expect((await withHeader(`token ${token}`)).status).toBe(403);
  });

  test("is forbidden when it has expired", async () => {
    const { id } = await newOrganisation();
    const { token } = await insertKey(id, { expiresAt: Date.now() - 1 });
    expect((await withHeader(`token ${token}`)).status).toBe(403);
  });

  test("is forbidden from an address that its allowlist does not hold", async () => {
    const { id } = await newOrganisation();
    const { token } = await insertKey(id, { ipAllowlist: ["192.0.2.0/24", "2001:db8:1::/48"] });
    const from = (ip: string) => call("GET", SESSIONS, { key: token, ip });
    expect((await from("192.0.2.9")).status).toBe(200);
    expect((await from("2001:db8:1::9")).status).toBe(200);
    for (const ip of ["198.51.100.9", "2001:db8:2::9"]) {
      const refused = await from(ip);
      expect(refused.status).toBe(403);
      expect(refused.body.message).toContain("address");
    }
  });
});

describe("an API key without the permission", () => {
  const UNKNOWN = "0123456789ab-S";

  test.each([
    ["GET", SESSIONS, "relays:read"],
    ["GET", `${SESSIONS}/${UNKNOWN}`, "relays:read"],
    ["POST", SESSIONS, "relays:write"],
    ["DELETE", `${SESSIONS}/${UNKNOWN}`, "relays:write"],
    ["POST", `${SESSIONS}:authorize-user`, "relays:write"],
    ["POST", `${SESSIONS}:revoke-user`, "relays:write"],
  ])("is refused %s %s, and told that it lacks %s", async (method, path, permission) => {
    const { id, key } = await newOrganisation();
    const others = permission === "relays:read" ? ["relays:write"] : ["relays:read"];
    const { token } = await insertKey(id, { permissions: [...others, "sessions:write"] });
    const refused = await call(method, path, { key: token, body: bodyFor(method) });
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain(permission);
    expect((await list(key)).body.total_count).toBe(0);
  });

  test("is let in where it holds the one permission that the route asks for", async () => {
    const { id } = await newOrganisation();
    const reader = await insertKey(id, { permissions: ["relays:read"] });
    const writer = await insertKey(id, { permissions: ["relays:write"] });
    expect((await list(reader.token)).status).toBe(200);
    expect((await create(writer.token)).status).toBe(200);
    expect((await list(reader.token)).body.total_count).toBe(1);
  });

  test("is refused on every route when it holds no permission at all", async () => {
    const { id } = await newOrganisation();
    const { token } = await insertKey(id, { permissions: [] });
    expect((await list(token)).status).toBe(403);
    expect((await create(token)).status).toBe(403);
  });
});

function bodyFor(method: string) {
  return method === "POST" ? {} : undefined;
}

function otherChecksum(key: string): string {
  return key.slice(0, -1) + (key.endsWith("0") ? "1" : "0");
}
