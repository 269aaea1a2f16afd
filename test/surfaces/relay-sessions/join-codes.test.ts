/** The join code of a session is replaced and closed: the old one stops working at once, whatever breaks. */
import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { LIMITS } from "../../../src/http/rate-limits";
import { call, newOrganisation, type Tenant } from "../../support/client";
import { d1Lost, withD1 } from "../../support/d1";
import { stubOf } from "../../support/faults";
import { eventRows, eventually } from "../../support/pipeline";
import { type Rows, rowsOf, settled } from "../../support/rows";
import {
  anyAddress,
  closeJoinCode,
  create,
  join,
  list,
  read,
  remove,
  rotateJoinCode,
  SESSIONS,
} from "../../support/sessions";

async function newJoinable(more: Record<string, unknown> = { join_code: true }) {
  const tenant = await newOrganisation();
  const { body } = await create(tenant.key, more);
  const { session_id: id, join_code: code } = body;
  return { tenant, key: tenant.key, id: id as string, code: code as string };
}

const codeOf = async (key: string, id: string) => (await read(key, id)).body.join_code;

/** The codes of the session that D1 knows. */
async function codesInD1(id: string): Promise<string[]> {
  const rows = await env.DB.prepare("select digest from join_codes where session_id = ?")
    .bind(id)
    .all<{ digest: string }>();
  return rows.results.map(({ digest }) => digest);
}

const writes = ({ objectWritten, d1Written }: Rows) => ({ objectWritten, d1Written });

describe("join-code:rotate", () => {
  test("gives another code, which is the only one that works and is shown", async () => {
    const { key, id, code } = await newJoinable();
    const { status, body } = await rotateJoinCode(key, id);
    expect([status, Object.keys(body)]).toEqual([200, ["join_code"]]);
    expect(body.join_code).toMatch(
      /^[34679ACDEFGHJKMNPQRTUVWXY]{4}-[34679ACDEFGHJKMNPQRTUVWXY]{4}$/,
    );
    expect(body.join_code).not.toBe(code);
    expect((await join(code)).status).toBe(404);
    expect((await join(body.join_code)).body.session_id).toBe(id);
    expect(await codeOf(key, id)).toBe(body.join_code);
    expect((await list(key)).body.sessions[0].join_code).toBe(body.join_code);
    await evictDurableObject(stubOf(id));
    expect(await codeOf(key, id)).toBe(body.join_code);
    expect((await join(body.join_code)).status).toBe(200);
    expect(await codesInD1(id)).toHaveLength(1);
  });

  test("gives a code to a session that had none, or whose code was closed", async () => {
    const { key, id } = await newJoinable({});
    expect(await codeOf(key, id)).toBeNull();
    const first = (await rotateJoinCode(key, id)).body.join_code;
    expect((await join(first)).status).toBe(200);
    await closeJoinCode(key, id);
    const second = (await rotateJoinCode(key, id)).body.join_code;
    expect(second).not.toBe(first);
    expect((await join(first)).status).toBe(404);
    expect((await join(second)).status).toBe(200);
  });

  test("leaves who has joined in the session", async () => {
    const { key, id, code } = await newJoinable();
    await join(code);
    await rotateJoinCode(key, id);
    expect((await read(key, id)).body.session_users).toHaveLength(1);
  });

  test("ten times at once leaves one code that works: the one that is shown", async () => {
    const { key, id, code } = await newJoinable();
    const answers = await Promise.all(Array.from({ length: 10 }, () => rotateJoinCode(key, id)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const shown = await codeOf(key, id);
    const codes = [code, ...answers.map(({ body }) => body.join_code)];
    expect(codes).toContain(shown);
    for (const each of codes) {
      expect([each, (await join(each)).status]).toEqual([each, each === shown ? 200 : 404]);
    }
  });
});

test("a change is answered, although D1 does not take the old code out: it works no more", async () => {
  const { key, id, code } = await newJoinable();
  const lost = (sql: string) => (/delete from "join_codes"/.test(sql) ? d1Lost() : undefined);
  const rotated = await withD1(lost, () => rotateJoinCode(key, id));
  expect(rotated.status).toBe(200);
  const { join_code } = rotated.body;
  expect([(await join(code)).status, (await join(join_code)).status]).toEqual([404, 200]);
  expect((await withD1(lost, () => closeJoinCode(key, id))).status).toBe(204);
  expect((await join(join_code)).status).toBe(404);
});

describe("DELETE of the join code", () => {
  test("closes the session to it, and is 204 again", async () => {
    const { key, id, code } = await newJoinable();
    expect((await closeJoinCode(key, id)).status).toBe(204);
    expect((await join(code)).status).toBe(404);
    expect(await codeOf(key, id)).toBeNull();
    expect(await codesInD1(id)).toEqual([]);
    expect((await closeJoinCode(key, id)).status).toBe(204);
  });
});

describe("a code that D1 still has", () => {
  test("does not work when the session has another one, or none", async () => {
    const { key, id, code } = await newJoinable();
    const rows = await env.DB.prepare("select * from join_codes where session_id = ?")
      .bind(id)
      .all<{ digest: string; expires_at: number; organisation_id: number }>();
    const [old] = rows.results;
    await rotateJoinCode(key, id);
    // As if the Worker had stopped before it removed the row.
    await env.DB.prepare(
      "insert into join_codes (digest, session_id, organisation_id, expires_at) values (?, ?, ?, ?)",
    )
      .bind(old?.digest, id, old?.organisation_id, old?.expires_at)
      .run();
    const refused = await join(code);
    expect([refused.status, refused.text]).toEqual([404, (await join("3333-3333")).text]);
    // It counts as a wrong code.
    const guesser = anyAddress();
    for (let i = 0; i < LIMITS.wrongJoinCodes.most; i++) {
      expect((await join(code, guesser)).status).toBe(404);
    }
    expect((await join(code, guesser)).status).toBe(429);
    await closeJoinCode(key, id);
    expect((await join(code)).status).toBe(404);
    expect((await read(key, id)).body.session_users).toEqual([]);
  });
});

describe("both calls", () => {
  const calls = [
    ["rotate", rotateJoinCode],
    ["close", closeJoinCode],
  ] as const;

  test.each(calls)(
    "are 404 for a session of others, an ended one, and no id: %s",
    async (_, change) => {
      const { key, id, code } = await newJoinable();
      const stranger = await newOrganisation();
      expect((await change(stranger.key, id)).status).toBe(404);
      expect((await change(key, "ffffffffffff-S")).status).toBe(404);
      expect((await change(key, "x")).status).toBe(404);
      expect((await join(code)).status).toBe(200);
      await remove(key, id);
      expect((await change(key, id)).status).toBe(404);
      expect(await codesInD1(id)).toHaveLength(1);
    },
  );

  test("are told in events, without a code", async () => {
    const { tenant, key, id } = await newJoinable();
    const { join_code } = (await rotateJoinCode(key, id)).body;
    await closeJoinCode(key, id);
    await closeJoinCode(key, id);
    await eventually(async () => expect(await eventTypes(tenant)).toHaveLength(3));
    expect(await eventTypes(tenant)).toEqual([
      "session.active",
      "session.join_code_changed",
      "session.join_code_changed",
    ]);
    const { text, body } = await call("GET", "/v1/events?type=session.join_code_changed", { key });
    expect(body.data.map(({ data }: { data: object }) => data)).toMatchObject([
      { has_join_code: false },
      { has_join_code: true },
    ]);
    expect(text).not.toContain(join_code);
  });

  test("a rotation that is sent again with its Idempotency-Key gives the same code", async () => {
    const { key, id } = await newJoinable();
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    const rotate = () => call("POST", `${SESSIONS}/${id}/join-code:rotate`, { key, headers });
    const first = await rotate();
    expect((await rotate()).text).toBe(first.text);
    expect((await join(first.body.join_code)).status).toBe(200);
  });

  test("write the code in and out of D1, the state, the session's row and an event", async () => {
    const { key, id } = await newJoinable();
    await settled();
    const rotated = await rowsOf(async () => {
      await rotateJoinCode(key, id);
      await settled();
    });
    // The new code has an entry in an index. D1 does not count that of the old one.
    expect(writes(rotated)).toEqual({ objectWritten: 1 + 1, d1Written: 2 + 1 + 1 });
    const closed = await rowsOf(async () => {
      await closeJoinCode(key, id);
      await settled();
    });
    expect(writes(closed)).toEqual({ objectWritten: 1 + 1, d1Written: 1 + 1 });
    const again = await rowsOf(() => closeJoinCode(key, id));
    expect(writes(again)).toEqual({ objectWritten: 0, d1Written: 0 });
  });
});

async function eventTypes(tenant: Tenant): Promise<string[]> {
  return (await eventRows(tenant)).map(({ type }) => type);
}
