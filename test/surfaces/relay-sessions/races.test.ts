/**
 * Simultaneous calls on one session: no place is given twice, and an end is an end for everyone.
 */

import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { type Answer, newOrganisation } from "../../support/client";
import { authorize, create, idsOf, join, list, read, remove, revoke } from "../../support/sessions";
import { upgrade } from "../../support/socket";

const CALLERS = 20;
const ROUNDS = 5;

const round = Array.from({ length: ROUNDS }, (_, i) => i + 1);
const sideBySide = <T>(count: number, work: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => work(i)));
const addressOf = (i: number) => `10.1.1.${i}`;

interface User {
  ip_address: string;
  authorization_token: number;
}

describe(`${CALLERS} callers at once for three free places`, () => {
  test.each(round)("have exactly three users authorised (round %i)", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key, { users: [{ ip: "1.1.1.1" }], max_users: 4 }))
      .body;
    const answers = await sideBySide(CALLERS, (i) => authorize(key, id, addressOf(i)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(3);
    expect(statuses.filter((status) => status === 409)).toHaveLength(CALLERS - 3);
    expect((await read(key, id)).body.session_users).toHaveLength(4);
    expect((await list(key)).body.sessions[0].session_users).toHaveLength(4);
  });

  test.each(round)("have exactly three players joined (round %i)", async () => {
    const { key } = await newOrganisation();
    const session = (await create(key, { join_code: true, max_users: 3 })).body;
    const answers = await sideBySide(CALLERS, () => join(session.join_code));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(CALLERS - 3);
    expect((await read(key, session.session_id)).body.session_users).toHaveLength(3);
  });
});

describe("simultaneous calls on one session give every caller", () => {
  test("a user of their own when they authorise, with a token that nobody else has", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key, { max_users: 64 })).body;
    const answers = await sideBySide(CALLERS, (i) => authorize(key, id, addressOf(i)));
    const users: User[] = answers.map(({ body }) => body.session_user);
    expect(users.map((user) => user.ip_address)).toEqual(users.map((_, i) => addressOf(i)));
    expect(new Set(users.map((user) => user.authorization_token)).size).toBe(CALLERS);
    const kept: User[] = (await read(key, id)).body.session_users;
    for (const user of users) expect(kept).toContainEqual(user);
  });

  test("a token and a link of their own when they join", async () => {
    const { key } = await newOrganisation();
    const session = (await create(key, { join_code: true })).body;
    const addresses = Array.from({ length: 8 }, (_, i) => `198.51.100.${i + 1}`);
    const joined = await Promise.all(addresses.map((ip) => join(session.join_code, ip)));
    const kept: User[] = (await read(key, session.session_id)).body.session_users;
    const tokenAt = new Map(kept.map((user) => [user.ip_address, user.authorization_token]));
    expect(joined.map(({ body }) => body.user_token)).toEqual(
      addresses.map((ip) => tokenAt.get(ip)),
    );
    const asHost = joined.filter(({ body }) => body.link.endsWith("/server"));
    expect(asHost).toHaveLength(1);
    expect(asHost[0]?.body.user_token).toBe(kept[0]?.authorization_token);
  });
});

describe("the end of a session during other calls", () => {
  test.each(round)("leaves no user in the ended session (round %i)", async () => {
    const { key } = await newOrganisation();
    const session = (await create(key, { users: [{ ip: "1.1.1.1" }], join_code: true })).body;
    const { session_id: id } = session;
    const tasks = Array.from({ length: 12 }, (_, i) => i);
    const answers = await Promise.all(
      tasks.map((i): Promise<Answer> => {
        if (i === 6) return remove(key, id);
        if (i % 3 === 0) return join(session.join_code);
        return authorize(key, id, addressOf(i));
      }),
    );
    const statuses = answers.map(({ status }) => status);
    expect(statuses[6]).toBe(204);
    for (const status of statuses) expect([200, 204, 404, 409]).toContain(status);
    expect((await read(key, id)).status).toBe(404);
    expect(idsOf(await list(key))).toEqual([]);
    const users: User[] = [
      session.session_users[0],
      ...answers.flatMap(({ body }) => (body?.session_user ? [body.session_user] : [])),
    ];
    for (const [n, user] of users.entries()) {
      const relay = {
        id,
        key,
        sessionToken: session.authorization_token,
        userTokens: users.map(() => user.authorization_token),
        stub: env.SESSIONS.getByName(id),
      };
      expect((await upgrade(relay, n)).status).toBe(410);
    }
  });

  test("succeeds once, for one caller", async () => {
    const { key } = await newOrganisation();
    const { session_id: id } = (await create(key)).body;
    const answers = await sideBySide(10, () => remove(key, id));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([204, ...Array.from({ length: 9 }, () => 404)]);
    expect((await list(key)).body.total_count).toBe(0);
  });
});

test("a token that many callers revoke at once is revoked for one of them", async () => {
  const { key } = await newOrganisation();
  const session = (await create(key, { users: [{ ip: "1.1.1.1" }, { ip: "2.2.2.2" }] })).body;
  const { session_id: id } = session;
  const token = session.session_users[0].authorization_token;
  const answers = await sideBySide(10, () => revoke(key, id, token));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 404)).toHaveLength(9);
  expect((await read(key, id)).body.session_users).toEqual([session.session_users[1]]);
});
