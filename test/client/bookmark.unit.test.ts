/** The client sends X-D1-Bookmark by itself: when it takes another one, and when it asks for the latest. */
import {
  callRpcWithGet,
  createApplication,
  createClient,
  createConfig,
  getApplication,
  listApplications,
} from "drawbridge-client";
import { beforeEach, describe, expect, test } from "vitest";

const HEADER = "X-D1-Bookmark";

interface Sent {
  bookmark: string | null;
  /** Answers the call; null: with no such header. An error is a lost answer. */
  answer(said: string | null | Error, status?: number): Promise<void>;
}

let sent: Sent[];
let client = newClient();

function newClient(auth: string | undefined = "a-key") {
  const baseUrl = "https://one.example.com";
  return createClient(createConfig({ baseUrl, auth, fetch: hold }));
}

beforeEach(() => {
  sent = [];
  client = newClient();
});

/** Sends a call, and holds its answer back. */
function hold(input: RequestInfo | URL): Promise<Response> {
  const { headers } = input as Request;
  return new Promise((resolve, reject) => {
    sent.push({
      bookmark: headers.get(HEADER),
      answer: async (said, status = 200) => {
        if (said instanceof Error) reject(said);
        else resolve(Response.json({}, { status, ...(said && { headers: { [HEADER]: said } }) }));
        await settled();
      },
    });
  });
}

/** Lets everything go on that waits for nothing else. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** Makes a call, whose answer is held back. */
async function begin(call: Promise<unknown>): Promise<Sent> {
  const before = sent.length;
  void call;
  await settled();
  const last = sent[before];
  if (!last) throw new Error("nothing was sent");
  return last;
}

const list = () => begin(listApplications({ client }));
const change = () => begin(createApplication({ client, body: { name: "mine" } }));

/** A list that is answered with this header. Gives the bookmark that was sent. */
async function listed(said: string | null = null): Promise<string | null> {
  const call = await list();
  await call.answer(said);
  return call.bookmark;
}

describe("the client", () => {
  test("asks for the latest at first, and then sends the bookmark with every call", async () => {
    expect(await listed("03")).toBe("latest");
    expect(await listed()).toBe("03");
    const one = await begin(getApplication({ client, path: { application: "pa-1" } }));
    await one.answer(null);
    expect(one.bookmark).toBe("03");
    expect((await change()).bookmark).toBe("03");
  });

  test("takes a smaller bookmark in place of its own: the database is another one now", async () => {
    await listed("03");
    await listed("01");
    expect(await listed()).toBe("01");
  });

  test("keeps one bookmark for itself, and none for another client or deployment", async () => {
    await listed("03");
    const baseUrl = "https://two.example.com";
    const other = await begin(listApplications({ client, baseUrl }));
    await other.answer("99");
    expect(other.bookmark).toBe("latest");
    expect(await listed("03")).toBe("latest");
    client = newClient();
    expect(await listed()).toBe("latest");
  });

  test("sends none without a credential, so that a page may call without asking first", async () => {
    client = newClient("");
    expect(await listed("03")).toBeNull();
    expect(await listed()).toBeNull();
  });

  test("sends what the caller has set", async () => {
    await listed("03");
    const asked = await begin(listApplications({ client, headers: { [HEADER]: "latest" } }));
    expect(asked.bookmark).toBe("latest");
    client.setConfig({ headers: { [HEADER]: "latest" } });
    expect(await listed()).toBe("latest");
  });
});

describe("the client asks for the latest after a change", () => {
  test.each([
    ["that was made", "latest", 201],
    ["that was refused", "latest", 400],
    ["that a proxy has answered", null, 502],
    ["whose answer was lost", new TypeError("no network"), 0],
  ])("%s", async (_what, said, status) => {
    await listed("03");
    await (await change()).answer(said, status);
    expect(await listed("05")).toBe("latest");
    expect(await listed()).toBe("05");
  });

  test("that the RPC may have made with GET", async () => {
    await listed("03");
    const rpc = await begin(callRpcWithGet({ client, query: { Action: "CreateThing" } as never }));
    await rpc.answer(null);
    expect(await listed()).toBe("latest");
  });

  test("and not because a list was lost", async () => {
    await listed("03");
    await (await list()).answer(new TypeError("no network"));
    expect(await listed()).toBe("03");
  });
});

describe("of calls at once", () => {
  test("a list that was asked for before the end of a change does not replace the latest", async () => {
    const before = await list();
    const changing = await change();
    const during = await list();
    await changing.answer("latest", 201);
    await before.answer("04");
    await during.answer("05");
    expect(await listed("06")).toBe("latest");
    expect(await listed()).toBe("06");
  });

  test("the end of a change replaces the bookmark of a list that was answered before it", async () => {
    const changing = await change();
    await listed("04");
    await changing.answer("latest", 201);
    expect(await listed()).toBe("latest");
  });

  test("the bookmark does not go back when answers come in another order", async () => {
    const first = await list();
    const second = await list();
    await second.answer("05");
    await first.answer("04");
    expect(await listed()).toBe("05");
  });

  test("the bookmark of one deployment is not taken for another", async () => {
    const here = await list();
    const there = await begin(listApplications({ client, baseUrl: "https://two.example.com" }));
    await here.answer("04");
    await there.answer("99");
    expect(await listed()).toBe("latest");
  });
});
