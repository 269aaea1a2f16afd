/** What ricloud's Python client does, from its first call to its webhooks, against this server. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SessionObject } from "../../../src/session-object/object";
import { newOrganisation } from "../../support/client";
import { eventually } from "../../support/eventually";
import { createMailbox } from "../../support/receiver";
import { RequestError, RicloudClient, receive } from "../../support/ricloud-client";

afterEach(() => vi.restoreAllMocks());

const source = { user: 1, type: "mocks.mock", identifier: "jo+2fa" };

/** Asks again until the session is not pending, as the client's samples do. */
function settled(client: RicloudClient, id: string) {
  return eventually(async () => {
    const session = await client.retrieve(`/sessions/${id}`);
    if (session.state === "pending") throw new Error("still pending");
    return session;
  });
}

test("ricloud's client signs in to an account with a second factor, and finds it again", async () => {
  const client = new RicloudClient((await newOrganisation()).key);
  const organisation = await client.retrieve("/organisation");
  const key = await client.retrieve("/key");
  expect(key.organisation).toBe(organisation.id);
  const user = await client.create("/users", { identifier: "my user" });
  const mine = { ...source, user: user.id };

  const first = await client.create("/sessions", {
    source: mine,
    payload: { password: "abcd1234" },
  });
  expect(first.state).toBe("pending");
  const failed = await settled(client, first.id);
  expect(failed.state).toBe("failed");
  expect(failed.error === "code-required").toBe(true);
  const payload = { password: "abcd1234", code: "123456" };
  const second = await client.create("/sessions", { source: mine, payload });
  expect((await settled(client, second.id)).state).toBe("active");

  const sources = await client.retrieve(
    `/sources?user=${user.id}&identifier=${encodeURIComponent("jo+2fa")}`,
  );
  expect(sources.data).toHaveLength(1);
  const path = `/sessions?source=${sources.data[0].id}&state=active&limit=1`;
  expect((await client.retrieve(path)).data[0].id).toBe(second.id);

  const deleted = await client.delete(`/sessions/${second.id}`);
  expect(deleted).toMatchObject({ state: "expired", error: "organisation" });
  expect((await client.delete(`/sessions/${second.id}`)).state).toBe("expired");
});

describe("a create that is sent again at once by ricloud's client", () => {
  test("makes one session after an answer of 503", async () => {
    const client = new RicloudClient((await newOrganisation()).key);
    await client.create("/users", { identifier: "my user" });
    const create = SessionObject.prototype.create;
    let calls = 0;
    vi.spyOn(SessionObject.prototype, "create").mockImplementation(async function (
      this: SessionObject,
      ...args: Parameters<typeof create>
    ) {
      calls += 1;
      // The first time nothing is committed, the second time everything is, and both times the
      // answer is lost.
      if (calls === 1) throw Object.assign(new Error("overloaded"), { overloaded: true });
      const result = await create.apply(this, args);
      if (calls === 2) throw Object.assign(new Error("disconnected"), { retryable: true });
      return result;
    });
    const before = client.sent;
    const lost = { ...source, identifier: "jo+lost" };
    const session = await client.create("/sessions", { source: lost, payload: {} });
    expect(session.state).toBe("pending");
    expect(client.sent - before).toBe(2);
    const { data } = await client.retrieve("/sessions");
    expect(data.map(({ id }: { id: string }) => id)).toEqual([session.id]);
  });
});

test("ricloud's client knows the resources of all lists and webhooks", async () => {
  const tenant = await newOrganisation();
  const client = new RicloudClient(tenant.key);
  const hook = createMailbox(env.TEST_RECEIVER_URL);
  const config = await client.create("/configs/webhook", { url: `${hook.url}/events/` });
  await client.create("/users", { identifier: "my user" });
  // A relay session of the same organisation has events too.
  await client.create("/v1/relays/sessions", { users: [{ ip: "192.0.2.1" }] });
  const { id } = await client.create("/sessions", {
    source: { ...source, identifier: "jo" },
    payload: { password: "abcd1234" },
  });
  await settled(client, id);
  const requests = await hook.waitForRequests(4);
  const told = requests.map((request) => receive(request, `${hook.url}/events`, config.secret));
  const names = told.map(({ type, action }) => `${type}.${action}`).sort();
  expect(names).toEqual([
    "session.active",
    "session.active",
    "session.created",
    "webhook_config.test",
  ]);
  const events = await client.retrieve("/events?limit=1000");
  const listed: { id: string; type: string }[] = events.data;
  // The event of its own creation is not sent to the endpoint.
  const aboutOthers = listed.filter(({ type }) => type !== "webhook-endpoint");
  expect(listed.length - aboutOthers.length).toBe(1);
  expect(aboutOthers.map(({ id }) => id).sort()).toEqual(told.map(({ id }) => id).sort());
  for (const path of ["/users", "/sources", "/sessions", "/configs/webhook"]) {
    expect((await client.retrieve(path)).data.length, path).toBeGreaterThan(0);
  }
});

test("an update without fields, which ricloud's client sends as null, changes nothing", async () => {
  const client = new RicloudClient((await newOrganisation()).key);
  const user = await client.create("/users", { identifier: "my user" });
  expect(await client.update(`/users/${user.id}`)).toEqual(user);
  const made = await client.create("/sources", source);
  expect(await client.update(`/sources/${made.id}`)).toEqual(made);
  const hook = createMailbox(env.TEST_RECEIVER_URL);
  const config = await client.create("/configs/webhook", { url: hook.url });
  expect(await client.update(`/configs/webhook/${config.id}`)).toMatchObject({ url: hook.url });
});

test("an error is an object with a code, a message and the parameters for ricloud's client", async () => {
  const client = new RicloudClient((await newOrganisation()).key);
  const said = async (work: Promise<unknown>) => {
    const error = await work.catch((refused: unknown) => refused);
    if (!(error instanceof RequestError)) throw new Error("this was not refused");
    return { status: error.status, ...JSON.parse(error.message.slice(4)) };
  };
  expect(await said(client.create("/sessions", {}))).toEqual({
    status: 400,
    error: "invalid-parameter",
    message: expect.any(String),
    params: { source: expect.any(String), payload: expect.any(String) },
  });
  const other = { ...source, type: "icloud.account" };
  await client.create("/users", { identifier: "my user" });
  expect(await said(client.create("/sessions", { source: other, payload: {} }))).toMatchObject({
    status: 400,
    error: "unconfigured",
  });
  for (const path of [
    "/sessions/7",
    "/users/7",
    "/sources/7",
    "/keys/7",
    "/events/7",
    "/configs/webhook/7",
  ]) {
    expect(await said(client.retrieve(path)), path).toEqual({
      status: 404,
      error: "not-found",
      message: expect.any(String),
    });
  }
  const stranger = new RicloudClient("drb_qkJaB6MffYVzZXWqmcoF49yrUxP3wf0LsakP");
  expect(await said(stranger.retrieve("/organisation"))).toMatchObject({
    status: 401,
    error: "unauthorized",
  });
});
