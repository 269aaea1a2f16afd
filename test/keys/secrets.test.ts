/**
 * No token or secret appears in a log line, event, list, error or row. The test makes the calls,
 * and then searches everything.
 */
import { env } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { call, newOrganisation } from "../support/client";
import { eventually } from "../support/eventually";
import { recordedIn } from "../support/journals";
import { keyBody, newKey, patchKey, signIn } from "../support/keys";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Everything that D1 holds, as text. */
async function dump(): Promise<string> {
  const { results } = await env.DB.prepare(
    "select name from sqlite_master where type = 'table' and name not like '\\_%' escape '\\' and name not like 'sqlite\\_%' escape '\\'",
  ).all<{ name: string }>();
  const tables = await Promise.all(
    results.map(({ name }) => env.DB.prepare(`select * from "${name}"`).all()),
  );
  return JSON.stringify(tables.map((table) => table.results));
}

test("a token or secret appears only in the answer that shows it", async () => {
  const lines: unknown[] = [];
  for (const method of ["log", "info", "warn", "error", "debug"] as const) {
    vi.spyOn(console, method).mockImplementation((...said) => void lines.push(said));
  }
  const tenant = await newOrganisation("Quiet");
  const key = await newKey(tenant, {
    permissions: ["operator:sign-in", "keys:read"],
    expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
  });
  const session = await signIn(key.token);
  const headers = { "Idempotency-Key": "quiet" };
  const body = keyBody(tenant, { name: "Kept" });
  const kept = (await call("POST", "/api-keys", { key: tenant.key, headers, body })).body;
  const inAgain = await call("POST", "/v1/auth/session-tokens", {
    headers,
    body: { token: key.token },
  });
  const refresh = { refreshApiToken: true, refreshGraceSeconds: 60 };
  const renewed = (await patchKey(tenant, kept.id, refresh)).body;

  const answers = [
    await call("GET", "/api-keys?optFields=emails,labels,permissions", { key: session }),
    await call("GET", `/api-keys/${key.id}`, { key: tenant.key }),
    await call("GET", `/api-keys?token=${key.token}`, { key: tenant.key }),
    await call("GET", `/api-keys?token=${key.token}&limit=0`, { key: tenant.key }),
    await call("GET", `/api-keys/${key.token}`, { key: tenant.key }),
    await call("GET", `/${key.token}`, { key: tenant.key }),
    await call("GET", "/v1/relays/sessions", { key: key.token }),
    await call("GET", "/v1/relays/sessions", { key: `${key.token}x` }),
    await call("POST", "/v1/keys:verify", { key: tenant.key, body: { token: key.token } }),
    await call("POST", "/v1/keys:verify", { key: tenant.key, body: { tokens: key.token } }),
    await call("POST", "/v1/keys:verify", { key: tenant.key, body: `{"token":"${key.token}` }),
    await call("POST", "/v1/auth/session-tokens", { body: { token: `${key.token} ` } }),
    await patchKey(tenant, key.id, { name: "Blocked", blocked: true }),
    await call("GET", "/api-keys", { key: session }),
    await call("GET", "/api-keys", { key: key.token }),
    await call("DELETE", `/api-keys/${kept.id}`, { key: tenant.key }),
  ];
  // A failure of D1 whose error holds what was bound to the statement.
  const d1 = Object.getPrototypeOf(env.DB.withSession());
  const broken = vi.spyOn(d1, "_send").mockRejectedValue(new Error("D1_ERROR: down"));
  answers.push(await call("GET", `/api-keys?token=${renewed.token.value}`, { key: tenant.key }));
  answers.push(await call("GET", "/api-keys", { key: renewed.token.value }));
  broken.mockRestore();
  const recorded = await eventually(async () => {
    const text = JSON.stringify(await recordedIn(tenant.id));
    expect(text).toContain("key.deleted");
    return text;
  });

  const secrets: Record<string, string> = {
    "root token": env.DRAWBRIDGE_ROOT_TOKEN,
    "root secret": env.DRAWBRIDGE_SECRET,
    "first token": tenant.key,
    "webhook secret": tenant.webhookSecret,
    token: key.token,
    "access key's secret": key.accessKey.secret,
    "kept token": kept.token.value,
    "kept access key's secret": kept.access_key.secret,
    "renewed token": renewed.token.value,
    "renewed access key's secret": renewed.access_key.secret,
    "session token": session,
    "kept session token": inAgain.body.session_token,
  };
  const places: Record<string, string> = {
    log: JSON.stringify(lines),
    journal: recorded,
    D1: await dump(),
    answers: JSON.stringify(answers.map(({ text, headers }) => [text, [...headers]])),
  };
  expect(lines.length).toBeGreaterThan(20);
  expect(places.D1).toContain("Quiet");
  for (const [what, secret] of Object.entries(secrets)) {
    expect(secret.length, what).toBeGreaterThan(20);
    for (const [place, text] of Object.entries(places)) {
      // The random part alone would be as bad as the whole token.
      expect(text.includes(secret.slice(-24)), `${what} in ${place}`).toBe(false);
    }
  }
});
