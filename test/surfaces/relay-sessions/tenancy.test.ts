/**
 * Every call on another organisation's session answers byte for byte as for an id that never
 * existed.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { type Answer, call, newOrganisation } from "../../support/client";
import {
  authorize,
  create,
  idsOf,
  list,
  read,
  remove,
  revoke,
  SESSIONS,
} from "../../support/sessions";

type Try = (key: string, id: string) => Promise<Answer>;

const CALLS: [string, Try][] = [
  ["reading", read],
  ["reading its head", (key, id) => call("HEAD", `${SESSIONS}/${id}`, { key })],
  ["deleting", remove],
  ["authorising a user on", (key, id) => authorize(key, id)],
  ["revoking a user of", (key, id) => revoke(key, id, 1)],
];

/** What a caller can see of an answer, without the id of the request. */
function seen({ status, headers, text }: Answer) {
  const fields = [...headers].filter(([name]) => name !== "x-request-id");
  return { status, headers: fields, text };
}

const unknown = () => `${crypto.randomUUID().replaceAll("-", "").slice(0, 12)}-S`;

describe.each(CALLS)("%s a session", (_, attempt) => {
  let mine: { key: string };
  let other: { key: string };

  beforeAll(async () => {
    mine = await newOrganisation();
    other = await newOrganisation();
  });

  test("answers for a session of another organisation as for an unknown one", async () => {
    const session = (await create(mine.key, { users: [{ ip: "1.1.1.1" }] })).body;
    const foreign = await attempt(other.key, session.session_id);
    const never = await attempt(other.key, unknown());
    expect(foreign.status).toBe(404);
    expect(seen(foreign)).toEqual(seen(never));
    expect((await read(mine.key, session.session_id)).body).toEqual(session);
  });

  test("answers for an ended session of another organisation as for an unknown one", async () => {
    const { session_id: id } = (await create(mine.key)).body;
    await remove(mine.key, id);
    const foreign = await attempt(other.key, id);
    expect(foreign.status).toBe(404);
    expect(seen(foreign)).toEqual(seen(await attempt(other.key, unknown())));
  });

  test("stores nothing for an unknown session", async () => {
    const id = unknown();
    await attempt(other.key, id);
    await runInDurableObject(env.SESSIONS.getByName(id), async (_object, { storage }) => {
      expect((await storage.list()).size).toBe(0);
      expect(await storage.getAlarm()).toBeNull();
    });
  });
});

test("the real token of another organisation's user revokes nobody", async () => {
  const [mine, other] = [await newOrganisation(), await newOrganisation()];
  const session = (await create(mine.key, { users: [{ ip: "1.1.1.1" }] })).body;
  const token = session.session_users[0].authorization_token;
  expect((await revoke(other.key, session.session_id, token)).status).toBe(404);
  expect((await read(mine.key, session.session_id)).body.session_users).toHaveLength(1);
});

test("a list of relay sessions shows and counts an organisation's own sessions only", async () => {
  const [mine, other] = [await newOrganisation(), await newOrganisation()];
  const { session_id: id } = (await create(mine.key)).body;
  await create(other.key);
  const page = await list(mine.key, "?limit=100");
  expect(idsOf(page)).toEqual([id]);
  expect(page.body.total_count).toBe(1);
});

test("an API key in the wrong case, or in the query, authenticates nobody", async () => {
  const { key } = await newOrganisation();
  expect((await list(key.toUpperCase())).status).toBe(401);
  expect((await call("GET", `${SESSIONS}?token=${key}&key=${key}`)).status).toBe(401);
});
