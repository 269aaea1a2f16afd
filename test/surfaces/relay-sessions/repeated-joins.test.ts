/**
 * A join that is sent again with its Idempotency-Key: a player whose answer was lost gets the same
 * seat, and no second one. The session itself remembers the key: D1 stores nothing for it.
 */
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { call, newOrganisation } from "../../support/client";
import { rowsOf, settled } from "../../support/rows";
import { anyAddress, create, join, read, remove, revoke, SESSIONS } from "../../support/sessions";

async function newJoinable(body: Record<string, unknown> = {}) {
  const { id: organisationId, key } = await newOrganisation();
  const session = (await create(key, { join_code: true, ...body })).body;
  const { session_id: id, join_code: code } = session;
  return { organisationId, key, id: id as string, code: code as string };
}

/**
 * A join with this key, from an address of its own: a player who lost an answer may have changed
 * networks.
 */
function joinOnce(code: string, idempotencyKey: string, ip = anyAddress()) {
  const headers = { "Idempotency-Key": idempotencyKey };
  return call("POST", "/v1/relays/join", { body: { join_code: code }, headers, ip });
}

const usersOf = async (key: string, id: string) => (await read(key, id)).body.session_users;

describe("a join that is sent again with its Idempotency-Key", () => {
  test("gets the same seat, also in a full session and from another address", async () => {
    const { key, id, code } = await newJoinable({ max_users: 2 });
    const name = crypto.randomUUID();
    const first = await joinOnce(code, name);
    expect([first.status, first.headers.get("Idempotent-Replayed")]).toEqual([200, null]);
    expect((await join(code)).status).toBe(200);
    const again = await joinOnce(code, name);
    expect([again.status, again.text]).toEqual([200, first.text]);
    expect(again.headers.get("Idempotent-Replayed")).toBe("true");
    expect(again.headers.get("Cache-Control")).toBe("no-store");
    expect(await usersOf(key, id)).toHaveLength(2);
  });

  test("takes one seat when twelve come at once", async () => {
    const { key, id, code } = await newJoinable();
    const name = crypto.randomUUID();
    const answers = await Promise.all(Array.from({ length: 12 }, () => joinOnce(code, name)));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]?.status).toBe(200);
    const firsts = answers.filter(({ headers }) => !headers.get("Idempotent-Replayed"));
    expect(firsts).toHaveLength(1);
    expect(await usersOf(key, id)).toHaveLength(1);
  });

  test("is another join with another key, and in another session", async () => {
    const [one, two] = [await newJoinable(), await newJoinable()];
    const name = crypto.randomUUID();
    const tokens = [];
    for (const [code, key] of [
      [one.code, name],
      [one.code, crypto.randomUUID()],
      [two.code, name],
    ] as const) {
      const { status, headers, body } = await joinOnce(code, key);
      expect([status, headers.get("Idempotent-Replayed")]).toEqual([200, null]);
      tokens.push(`${body.session_id}/${body.user_token}`);
    }
    expect(new Set(tokens).size).toBe(3);
  });

  test("cannot be guessed with a key alone or with a code alone", async () => {
    const { key, id, code } = await newJoinable();
    const name = crypto.randomUUID();
    const { body } = await joinOnce(code, name);
    expect((await joinOnce("333333", name)).status).toBe(404);
    const guessed = await joinOnce(code, `${name.slice(0, -1)}x`);
    expect(guessed.body.user_token).not.toBe(body.user_token);
    expect(await usersOf(key, id)).toHaveLength(2);
  });

  test("is a join like any other after the user was revoked", async () => {
    const { key, id, code } = await newJoinable();
    const name = crypto.randomUUID();
    const { body } = await joinOnce(code, name);
    await revoke(key, id, body.user_token);
    const again = await joinOnce(code, name);
    expect([again.status, again.headers.get("Idempotent-Replayed")]).toEqual([200, null]);
    expect(again.body.user_token).not.toBe(body.user_token);
  });

  test("is refused after the session has ended", async () => {
    const { key, id, code } = await newJoinable();
    const name = crypto.randomUUID();
    await joinOnce(code, name);
    await remove(key, id);
    expect((await joinOnce(code, name)).status).toBe(404);
  });

  test("costs no row", async () => {
    const { organisationId, code } = await newJoinable();
    const name = crypto.randomUUID();
    await joinOnce(code, name);
    await settled();
    const again = await rowsOf(() => joinOnce(code, name));
    expect(again).toMatchObject({ d1Written: 0, objectWritten: 0 });
    const { results } = await env.DB.prepare(
      "select 1 from idempotency_keys where organisation_id in (0, ?) and idempotency_key like ?",
    )
      .bind(organisationId, `%${name}%`)
      .all();
    expect(results).toEqual([]);
  });
});

test("the Idempotency-Key of a join is stored in no readable form, and shown to nobody", async () => {
  const { organisationId, key, id, code } = await newJoinable();
  const name = crypto.randomUUID();
  await joinOnce(code, name);
  const shown = [await read(key, id), await call("GET", SESSIONS, { key })];
  const { results } = await env.DB.prepare("select * from sessions where organisation_id = ?")
    .bind(organisationId)
    .all();
  for (const text of [...shown.map((answer) => answer.text), JSON.stringify(results)]) {
    expect(text).toContain(id);
    expect(text).not.toContain(name);
  }
  for (const { text } of shown) expect(text).not.toMatch(/joined_?with/i);
});

test.each(["", "k", "x".repeat(15), "a b".repeat(10), "x".repeat(256)])(
  "a join is refused with the Idempotency-Key %j, since everyone knows the code and the key must be hard to guess",
  async (name) => {
    const { key, id, code } = await newJoinable();
    const refused = await joinOnce(code, name);
    expect(refused.status).toBe(400);
    expect(refused.body.message).toContain("Idempotency-Key must have 16 to 255");
    expect(await usersOf(key, id)).toHaveLength(0);
  },
);
