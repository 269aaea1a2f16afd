/** Users come and go in a live session: authorize-user within max_users, revoke-user by token. */
import { describe, expect, test } from "vitest";
import { call, newOrganisation } from "../../support/client";
import { authorize, create, read, remove, revoke, SESSIONS } from "../../support/sessions";

const UNKNOWN_ID = "0123456789ab-S";

interface User {
  ip_address: string;
  authorization_token: number;
}

async function newSession(body: unknown = {}) {
  const { key } = await newOrganisation();
  const { session_id: id, session_users } = (await create(key, body)).body;
  const users = async (): Promise<User[]> => (await read(key, id)).body.session_users;
  return { key, id, users, tokens: session_users.map((one: User) => one.authorization_token) };
}

describe("authorize-user", () => {
  test("adds one user at the end, with a token that differs from the others", async () => {
    const { key, id, users, tokens } = await newSession({ users: [{ ip: "1.1.1.1" }] });
    const { status, body } = await authorize(key, id, "2.2.2.2");
    expect(status).toBe(200);
    expect(body.session_user.ip_address).toBe("2.2.2.2");
    const now = await users();
    expect(now.map((user) => user.ip_address)).toEqual(["1.1.1.1", "2.2.2.2"]);
    expect(now[0]?.authorization_token).toBe(tokens[0]);
    expect(now[1]).toEqual(body.session_user);
    expect(body.session_user.authorization_token).not.toBe(tokens[0]);
    expect(body.session_user.authorization_token).not.toBe(body.authorization_token);
  });

  test("keeps the connection and device that the user was named with", async () => {
    const { key, id } = await newSession();
    const named = { connection_id: "site-a", device_id: "device-1" };
    expect((await authorize(key, id, "2.2.2.2", named)).body.session_user).toMatchObject(named);
    const none = { connection_id: null, device_id: null };
    expect((await authorize(key, id, "2.2.2.2", none)).body.session_user).toMatchObject(none);
  });

  test("admits the same address again, as another user", async () => {
    const { key, id, users } = await newSession();
    const a = (await authorize(key, id, "2.2.2.2")).body.session_user;
    const b = (await authorize(key, id, "2.2.2.2")).body.session_user;
    expect(a.authorization_token).not.toBe(b.authorization_token);
    expect(await users()).toHaveLength(2);
  });

  test("ignores unknown fields", async () => {
    const { key, id } = await newSession();
    expect((await authorize(key, id, "2.2.2.2", { extra: 1 })).status).toBe(200);
  });

  test("admits nobody to a full session, and somebody again when a place is free", async () => {
    const { key, id, users, tokens } = await newSession({
      users: [{ ip: "1.1.1.1" }, { ip: "2.2.2.2" }],
      max_users: 2,
    });
    const refused = await authorize(key, id, "3.3.3.3");
    expect(refused.status).toBe(409);
    expect(refused.body.message).toContain("max_users");
    expect((await users()).map((user) => user.authorization_token)).toEqual(tokens);
    await revoke(key, id, tokens[1]);
    expect((await authorize(key, id, "3.3.3.3")).status).toBe(200);
    expect((await authorize(key, id, "4.4.4.4")).status).toBe(409);
  });

  test("admits nobody to a session that has ended", async () => {
    const { key, id } = await newSession();
    await remove(key, id);
    const { status, body } = await authorize(key, id);
    expect(status).toBe(409);
    expect(body.message).toContain("ended");
  });

  test.each<[string, unknown, number, string]>([
    ["without a session_id", { user_ip: "1.1.1.1" }, 400, "session_id"],
    [
      "with a session_id that is a number",
      { session_id: 1, user_ip: "1.1.1.1" },
      400,
      "session_id",
    ],
    ["with a session_id of null", { session_id: null, user_ip: "1.1.1.1" }, 400, "session_id"],
    ["without a user_ip", { session_id: UNKNOWN_ID }, 400, "user_ip"],
    ["with nothing", {}, 400, "session_id"],
    ["for an unknown session", { session_id: UNKNOWN_ID, user_ip: "1.1.1.1" }, 404, "session"],
    ["for an id of another form", { session_id: "x", user_ip: "1.1.1.1" }, 404, "session"],
    ["for an empty id", { session_id: "", user_ip: "1.1.1.1" }, 404, "session"],
  ])("is refused %s", async (_, body, status, said) => {
    const { key } = await newOrganisation();
    const refused = await call("POST", `${SESSIONS}:authorize-user`, { key, body });
    expect(refused.status).toBe(status);
    expect(Object.keys(refused.body)).toEqual(["message", "code"]);
    expect(refused.body.message).toContain(said);
  });
});

describe("revoke-user", () => {
  test.each([
    ["a number", (token: number) => token],
    ["a string of digits", (token: number) => String(token)],
    ["a string of digits with zeros in front", (token: number) => String(token).padStart(10, "0")],
  ])("takes the token as %s, and removes only that user", async (_, spell) => {
    const { key, id, users, tokens } = await newSession({
      users: [{ ip: "1.1.1.1" }, { ip: "1.1.1.1" }, { ip: "1.1.1.1" }],
    });
    const { status, body } = await revoke(key, id, spell(tokens[1]));
    expect(status).toBe(200);
    const left = body.session_users.map((user: User) => user.authorization_token);
    expect(left).toEqual([tokens[0], tokens[2]]);
    expect(await users()).toEqual(body.session_users);
  });

  test("finds nobody with a token that was revoked before", async () => {
    const { key, id, tokens } = await newSession({ users: [{ ip: "1.1.1.1" }] });
    expect((await revoke(key, id, tokens[0])).status).toBe(200);
    expect((await revoke(key, id, tokens[0])).status).toBe(404);
  });

  test("gives the token of a removed user to nobody again", async () => {
    const { key, id, tokens } = await newSession({ users: [{ ip: "1.1.1.1" }] });
    await revoke(key, id, tokens[0]);
    const { body } = await authorize(key, id, "1.1.1.1");
    expect(body.session_user.authorization_token).not.toBe(tokens[0]);
  });

  test.each<[unknown]>([
    [0],
    [-1],
    [7],
    [3_500_589_645],
    [Number.MAX_SAFE_INTEGER],
    ["0"],
    ["7"],
    ["3500589645"],
    ["99999999999"],
    [String(Number.MAX_SAFE_INTEGER)],
  ])("finds nobody with the unknown token %j", async (token) => {
    const { key, id, users } = await newSession({ users: [{ ip: "1.1.1.1" }] });
    const refused = await revoke(key, id, token);
    expect(refused.status, refused.text).toBe(404);
    expect(refused.body.message).toContain("authorization_token");
    expect(await users()).toHaveLength(1);
  });

  test("does not take the session's own token for a user's", async () => {
    const { key, id } = await newSession({ users: [{ ip: "1.1.1.1" }] });
    const { authorization_token: own } = (await read(key, id)).body;
    expect((await revoke(key, id, own)).status).toBe(404);
  });

  test.each<[unknown]>([[1.5], [""], ["12a"], ["-1"], ["1.0"], [" 1"], [true], [null], [[]], [{}]])(
    "is refused with %j, which is no token, and the error names the field",
    async (token) => {
      const { key, id, users } = await newSession({ users: [{ ip: "1.1.1.1" }] });
      const refused = await revoke(key, id, token);
      expect(refused.status).toBe(400);
      expect(refused.body.message).toContain("authorization_token");
      expect(await users()).toHaveLength(1);
    },
  );

  test("is in conflict with a session that has ended", async () => {
    const { key, id, tokens } = await newSession({ users: [{ ip: "1.1.1.1" }] });
    await remove(key, id);
    expect((await revoke(key, id, tokens[0])).status).toBe(409);
  });

  test.each<[string, unknown, number]>([
    ["without a session_id", { authorization_token: 1 }, 400],
    ["without a token", { session_id: UNKNOWN_ID }, 400],
    ["for an unknown session", { session_id: UNKNOWN_ID, authorization_token: 1 }, 404],
    ["for an id of another form", { session_id: "../x", authorization_token: 1 }, 404],
  ])("is refused %s", async (_, body, status) => {
    const { key } = await newOrganisation();
    const refused = await call("POST", `${SESSIONS}:revoke-user`, { key, body });
    expect(refused.status).toBe(status);
    expect(Object.keys(refused.body)).toEqual(["message", "code"]);
  });
});
