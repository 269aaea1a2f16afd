/**
 * To whom an Idempotency-Key belongs: to one API key, one operator, one organisation. Any other
 * caller with the same text starts anew; the same caller with another request is refused.
 */
import { describe, expect, test } from "vitest";
import { type Answer, call, newOrganisation } from "../support/client";
import { joinOrganisations, newKey, signIn } from "../support/keys";
import { d1CallsOf, rowsOf, settled } from "../support/rows";
import { SESSIONS } from "../support/sessions";

const once = (
  key: string,
  path: string,
  options: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> => {
  const { method = "POST", body = {}, headers } = options;
  return call(method, path, { key, body, headers: { "Idempotency-Key": "k", ...headers } });
};

function expectOwnAnswers(answers: readonly Answer[]): void {
  for (const { status, headers } of answers) {
    expect([status, headers.get("Idempotent-Replayed")]).toEqual([200, null]);
  }
  expect(new Set(answers.map(({ body }) => body.session_id)).size).toBe(answers.length);
}

describe("the same text as Idempotency-Key counts as another key", () => {
  test("for each operator who signed in with one API key, and for that API key itself", async () => {
    const { key } = await newOrganisation();
    const credentials = [key, await signIn(key), await signIn(key)];
    const send = async () => {
      const answers = [];
      for (const credential of credentials) answers.push(await once(credential, SESSIONS));
      return answers;
    };
    const first = await send();
    expectOwnAnswers(first);
    const again = await send();
    expect(again.map(({ text }) => text)).toEqual(first.map(({ text }) => text));
    for (const { headers } of again) expect(headers.get("Idempotent-Replayed")).toBe("true");
  });

  test("in each organisation of the API key", async () => {
    const [one, two] = [await newOrganisation(), await newOrganisation()];
    const { id, token } = await newKey(one, { permissions: ["*"] });
    await joinOrganisations(id, [one.id, two.id]);
    const answers = [];
    for (const organisation of [one, two]) {
      const headers = { "X-Organisation-Id": String(organisation.id) };
      answers.push(await once(token, SESSIONS, { headers }));
    }
    expectOwnAnswers(answers);
  });
});

describe("an Idempotency-Key that was used is refused", () => {
  test.each<[string, string, { method?: string; body?: unknown }]>([
    ["with another body", "/api-keys/{id}?a=1", { method: "PATCH", body: { name: "Other" } }],
    ["with another query", "/api-keys/{id}?a=2", { method: "PATCH", body: { name: "New" } }],
    ["without the query", "/api-keys/{id}", { method: "PATCH", body: { name: "New" } }],
    ["at another path", "/api-keys/1?a=1", { method: "PATCH", body: { name: "New" } }],
    ["for a create", "/api-keys", { body: { name: "New" } }],
  ])("%s", async (_, path, options) => {
    const tenant = await newOrganisation();
    const { id } = await newKey(tenant);
    const first = await once(tenant.key, `/api-keys/${id}?a=1`, {
      method: "PATCH",
      body: { name: "New" },
    });
    expect(first.status).toBe(200);
    const refused = await once(tenant.key, path.replace("{id}", String(id)), options);
    expect(refused.body).toMatchObject({ status: 422, code: "idempotency-key-reused" });
  });
});

describe("the cost of an Idempotency-Key", () => {
  test("is two calls of D1 and three rows for the first request, and two calls and no row for a repeat", async () => {
    const { key } = await newOrganisation();
    await once(key, "/v1/relay-permissions:check", { body: { from: "a", to: "b" } });
    const check = (name: string) =>
      call("POST", "/v1/relay-permissions:check", {
        key,
        body: { from: "a", to: "b" },
        headers: { "Idempotency-Key": name },
      });
    const measure = async (work: () => Promise<unknown>) => {
      let calls: string[] = [];
      const rows = await rowsOf(async () => {
        calls = await d1CallsOf(work);
      });
      return { calls: calls.filter((sql) => sql.includes("idempotency_keys")).length, ...rows };
    };
    await settled();
    const first = await measure(() => check("new"));
    const again = await measure(() => check("new"));
    expect(first).toMatchObject({ calls: 2, d1Written: 3, objectWritten: 0 });
    expect(again).toMatchObject({ calls: 2, d1Written: 0, objectWritten: 0 });
  });
});
