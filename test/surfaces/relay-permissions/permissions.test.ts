/**
 * Relay permissions over HTTP: what the calls take and answer, under both prefixes of their path.
 */
import { describe, expect, test } from "vitest";
import { call, newOrganisation } from "../../support/client";
import { at, create, register, set } from "../../support/permissions";

const ROW = {
  connectionId: "A",
  remoteConnectionId: "B",
  direction: "send",
  enabled: "false",
  memo: "",
};

async function tenantWith(...ids: string[]): Promise<string> {
  const { key } = await newOrganisation();
  await register(key, ...ids);
  return key;
}

describe.each(["/api/v2", ""])("the surface of relay permissions under the prefix %j", (prefix) => {
  const list = `${prefix}/relay/permission`;
  const one = `${list}/A/B/send`;

  test("creates, reads, changes and deletes a permission", async () => {
    const key = await tenantWith("A");
    const body = { connectionId: "A", remoteConnectionId: "B", direction: "send" };
    const made = await call("POST", list, { key, body });
    expect(made.status).toBe(201);
    expect(made.body).toEqual(ROW);
    expect(made.headers.get("Location")).toBe(one);

    const read = await call("GET", one, { key });
    expect(read.status).toBe(200);
    expect(read.body).toEqual({
      totalSize: 1,
      fetchSize: 1,
      startIndex: 0,
      maxResults: 30,
      permission: [ROW],
    });

    const changed = await call("PUT", one, { key, body: { enabled: "true", memo: "über" } });
    expect(changed.status).toBe(200);
    expect(changed.body).toEqual({ ...ROW, enabled: "true", memo: "über" });
    expect((await call("GET", list, { key })).body.permission).toEqual([changed.body]);

    const deleted = await call("DELETE", one, { key });
    expect(deleted.status).toBe(200);
    expect(deleted.text).toBe("");
    expect((await call("GET", one, { key })).status).toBe(404);
    expect((await call("GET", `${list}/A`, { key })).body.totalSize).toBe(0);
  });

  test("registers, lists and deletes a connection", async () => {
    const { key } = await newOrganisation();
    const definitions = `${prefix}/connections/definition`;
    const made = await call("POST", definitions, {
      key,
      body: { connectionId: "A", memo: "here" },
    });
    expect(made.status).toBe(201);
    expect(made.body).toEqual({ connectionId: "A", memo: "here" });
    expect(made.headers.get("Location")).toBe(`${definitions}/A`);

    const envelope = { totalSize: 1, fetchSize: 1, startIndex: 0, maxResults: 30 };
    const shown = { ...envelope, definitions: [made.body] };
    expect((await call("GET", definitions, { key })).body).toEqual(shown);
    expect((await call("GET", `${definitions}/A`, { key })).body).toEqual(shown);
    const again = await call("POST", definitions, { key, body: { connectionId: "A" } });
    expect(again.status).toBe(409);
    expect(again.body).toMatchObject({ status: 409, code: "connection-exists" });

    const deleted = await call("DELETE", `${definitions}/A`, { key });
    expect([deleted.status, deleted.text]).toEqual([200, ""]);
    expect((await call("GET", definitions, { key })).body).toMatchObject({
      totalSize: 0,
      definitions: [],
    });
    for (const method of ["GET", "DELETE"]) {
      const gone = await call(method, `${definitions}/A`, { key });
      expect([gone.status, gone.body.code]).toEqual([404, "connection-not-found"]);
    }
  });

  test("answers with a problem for what does not exist and for a wrong method", async () => {
    const key = await tenantWith("A");
    for (const [method, path] of [
      ["GET", one],
      ["PUT", one],
      ["DELETE", one],
      ["GET", `${list}/Z`],
      ["GET", `${list}/A/B/sideways`],
      ["GET", `${list}/not%20an%20id`],
    ] as const) {
      const answer = await call(method, path, { key, ...(method === "PUT" ? { body: {} } : {}) });
      expect([method, path, answer.status]).toEqual([method, path, 404]);
      expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
      expect(answer.body.request_id).toBe(answer.headers.get("X-Request-Id"));
    }
    const wrong = await call("PATCH", one, { key, body: {} });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("Allow")?.split(", ").sort()).toEqual([
      "DELETE",
      "GET",
      "HEAD",
      "OPTIONS",
      "PUT",
    ]);
  });
});

test("a second POST of the same permission is refused, and the first stays as it is", async () => {
  const key = await tenantWith("A");
  await create(key, "A", "B", "send", "true");
  const again = await create(key, "A", "B", "send", "false");
  expect(again.status).toBe(409);
  expect(again.body).toMatchObject({ code: "permission-exists" });
  expect((await call("GET", at("A", "B", "send"), { key })).body.permission[0].enabled).toBe(
    "true",
  );
  expect((await create(key, "A", "B", "receive")).status).toBe(201);
});

test("twenty POSTs of the same permission at once make it once", async () => {
  const key = await tenantWith("A");
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => create(key, "A", "B", "send")),
  );
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
  expect((await call("GET", "/api/v2/relay/permission", { key })).body.totalSize).toBe(1);
});

test("a permission needs its local connection registered, and not its remote one", async () => {
  const key = await tenantWith("A");
  const refused = await create(key, "B", "A", "send");
  expect(refused.status).toBe(400);
  expect(refused.body).toMatchObject({ code: "connection-not-registered" });
  expect(refused.body.errors).toMatchObject([{ path: "connectionId" }]);
  expect((await create(key, "A", "never-registered", "send")).status).toBe(201);
});

test.each([true, false])(
  "enabled may be sent as the JSON boolean %j, and is answered as a string",
  async (enabled) => {
    const key = await tenantWith("A");
    const body = { connectionId: "A", remoteConnectionId: "B", direction: "receive", enabled };
    const made = await call("POST", "/api/v2/relay/permission", { key, body });
    expect(made.body.enabled).toBe(String(enabled));
    const changed = await call("PUT", at("A", "B", "receive"), {
      key,
      body: { enabled: !enabled },
    });
    expect(changed.body.enabled).toBe(String(!enabled));
  },
);

test("a PUT leaves what it does not name, and changes nothing but enabled and memo", async () => {
  const key = await tenantWith("A");
  await create(key, "A", "B", "send", "true");
  const path = at("A", "B", "send");
  const memo = await call("PUT", path, { key, body: { memo: "x" } });
  expect(memo.body).toEqual({ ...ROW, enabled: "true", memo: "x" });
  const off = await call("PUT", path, { key, body: { enabled: "false" } });
  expect(off.body).toEqual({ ...ROW, memo: "x" });
  expect((await call("PUT", path, { key, body: {} })).body).toEqual(off.body);
  const moved = await call("PUT", path, { key, body: { connectionId: "C", direction: "receive" } });
  expect(moved.body).toEqual(off.body);
});

test("twenty PUTs at once leave one whole state, and the totals agree with it", async () => {
  const key = await tenantWith("A");
  await create(key, "A", "B", "send");
  const path = at("A", "B", "send");
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      call("PUT", path, { key, body: { enabled: String(i % 2 === 0), memo: `m${i}` } }),
    ),
  );
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  const { enabled, memo } = (await call("GET", path, { key })).body.permission[0];
  expect(enabled).toBe(String(Number(memo.slice(1)) % 2 === 0));
  for (const state of ["true", "false"]) {
    const { body } = await call("GET", `/api/v2/relay/permission?enabled=${state}`, { key });
    expect(body.totalSize).toBe(state === enabled ? 1 : 0);
  }
});

test.each([
  ["connectionId", ""],
  ["connectionId", "."],
  ["connectionId", ".."],
  ["connectionId", "a".repeat(17)],
  ["connectionId", "a/b"],
  ["connectionId", 7],
  ["remoteConnectionId", "ä"],
  ["remoteConnectionId", undefined],
  ["direction", "both"],
  ["direction", "SEND"],
  ["enabled", "yes"],
  ["enabled", 1],
  ["memo", "x".repeat(257)],
  ["memo", "a\u202eb"],
  ["memo", 5],
])("a POST with %s %j is refused, and the error names the field", async (field, value) => {
  const key = await tenantWith("A");
  const body = { connectionId: "A", remoteConnectionId: "B", direction: "send", [field]: value };
  const { status, body: problem } = await call("POST", "/api/v2/relay/permission", { key, body });
  expect(status).toBe(400);
  expect(problem.errors).toMatchObject([{ path: field }]);
});

test("all that is wrong with a body is reported at once, and a body that is no object is refused", async () => {
  const key = await tenantWith("A");
  const body = { connectionId: "", direction: "x", enabled: "x", memo: 1 };
  const { body: problem } = await call("POST", "/api/v2/relay/permission", { key, body });
  expect(problem.errors.map(({ path }: { path: string }) => path)).toEqual([
    "connectionId",
    "remoteConnectionId",
    "direction",
    "enabled",
    "memo",
  ]);
  for (const bad of ["", "[]", "null", "{"]) {
    const path = at("A", "B", "send");
    expect((await call("PUT", path, { key, body: bad })).status).toBe(400);
    expect((await call("POST", "/connections/definition", { key, body: bad })).status).toBe(400);
  }
});

test("a memo of 256 characters is kept as it was written, normalised", async () => {
  const key = await tenantWith("A");
  const memo = `e\u0301${"😀".repeat(255)}`;
  const body = { connectionId: "A", remoteConnectionId: "B", direction: "send", memo };
  const made = await call("POST", "/relay/permission", { key, body });
  expect(made.status).toBe(201);
  expect(made.body.memo).toBe(memo.normalize("NFC"));
});

describe("deleting a connection", () => {
  test("deletes the rows in which it is the local side, and no others, and the totals follow", async () => {
    const key = await tenantWith("A", "B");
    await create(key, "A", "B", "send", "true");
    await create(key, "A", "C", "receive");
    await create(key, "B", "A", "receive", "true");
    await create(key, "B", "C", "receive", "true");
    await call("DELETE", "/api/v2/connections/definition/A", { key });
    const all = (await call("GET", "/api/v2/relay/permission", { key })).body;
    expect(all.totalSize).toBe(2);
    expect(all.permission.map((row: { connectionId: string }) => row.connectionId)).toEqual([
      "B",
      "B",
    ]);
    const toC = await call("GET", "/api/v2/relay/permission?remoteConnectionId=C", { key });
    expect(toC.body.totalSize).toBe(1);
    const toB = await call("GET", "/api/v2/relay/permission?remoteConnectionId=B", { key });
    expect(toB.body.totalSize).toBe(0);
    expect((await call("GET", "/api/v2/relay/permission/A", { key })).status).toBe(404);
  });

  test("is not undone when the connection is registered again", async () => {
    const key = await tenantWith("A");
    await create(key, "A", "B", "send", "true");
    await call("DELETE", "/api/v2/connections/definition/A", { key });
    await register(key, "A");
    expect((await call("GET", "/api/v2/relay/permission/A", { key })).body.totalSize).toBe(0);
    expect((await create(key, "A", "B", "send")).status).toBe(201);
    expect((await call("GET", "/api/v2/relay/permission", { key })).body.totalSize).toBe(1);
  });
});

describe("asking whether a transfer is allowed", () => {
  const check = (key: string, body: unknown) =>
    call("POST", "/v1/relay-permissions:check", { key, body });
  const A = { connection_id: "A", remote_connection_id: "B", direction: "send" };
  const B = { connection_id: "B", remote_connection_id: "A", direction: "receive" };

  test("names the rows that are missing, and none when both sides allow it", async () => {
    const key = await tenantWith("A", "B");
    const body = { from: "A", to: "B" };
    expect((await check(key, body)).body).toEqual({
      allowed: false,
      missing: [
        { ...A, state: "absent" },
        { ...B, state: "absent" },
      ],
    });
    await create(key, "A", "B", "send", "true");
    await create(key, "B", "A", "receive");
    expect((await check(key, body)).body).toEqual({
      allowed: false,
      missing: [{ ...B, state: "disabled" }],
    });
    await set(key, at("B", "A", "receive"), true);
    expect((await check(key, body)).body).toEqual({ allowed: true, missing: [] });
    expect((await check(key, { from: "B", to: "A" })).body.allowed).toBe(false);
  });

  test("takes well-formed ids and nothing else", async () => {
    const { key } = await newOrganisation();
    for (const body of [
      { from: "A" },
      { from: "A", to: ".." },
      { from: "A", to: "B", more: 1 },
      [],
    ]) {
      expect((await check(key, body)).status).toBe(400);
    }
  });
});
