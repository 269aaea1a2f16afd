/**
 * The examples of the documentation of relay permissions run as they are written, with only host
 * and key changed.
 */
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { newOrganisation, ORIGIN } from "../../support/client";
import { create, register } from "../../support/permissions";

/** The documented JavaScript, unchanged except for the three values that it leaves open. */
const SNIPPET = (host: string, apiKey: string, connectionId: string) => `
// load jquery 
var host = '${host}';
var apiKey = '${apiKey}';
var connectionId = '${connectionId}';
$.ajax({
  type: 'GET',
  url: host + '/api/v2/relay/permission/' + connectionId,
  headers: {
    Authorization: 'Bearer ' + apiKey
  }
}).done(function(data, status, xhr) {
  console.log(data);
}).fail(function(data, status, xhr) {
  console.log(data);
});`;

interface Settings {
  type: string;
  url: string;
  headers: Record<string, string>;
}
type Callback = (data: unknown, status: string, xhr: unknown) => void;

/** The documented answer. */
const EXPECTED = {
  totalSize: 1,
  fetchSize: 1,
  startIndex: 0,
  maxResults: 30,
  permission: [
    {
      connectionId: "id1",
      remoteConnectionId: "id2",
      direction: "send",
      enabled: "false",
      memo: "memo1",
    },
  ],
};

/**
 * As much of jQuery as the example uses: `$.ajax` sends the request. A 2xx with readable JSON goes
 * to `done` with the data, everything else to `fail` with the request object.
 */
function jQueryOver(fetch: (request: Request) => Promise<Response>) {
  return {
    ajax({ type, url, headers }: Settings) {
      const answer = fetch(new Request(url, { method: type, headers })).then(async (response) => {
        const xhr = { status: response.status, responseText: await response.text() };
        const isJson = response.headers.get("Content-Type")?.includes("json") ?? false;
        const data = isJson ? JSON.parse(xhr.responseText) : xhr.responseText;
        return { ok: response.ok, data, xhr };
      });
      const chain = {
        done(callback: Callback) {
          void answer.then(({ ok, data, xhr }) => ok && callback(data, "success", xhr));
          return chain;
        },
        fail(callback: Callback) {
          void answer.then(({ ok, xhr }) => ok || callback(xhr, "error", "refused"));
          return chain;
        },
      };
      return chain;
    },
  };
}

/** Runs the documented code, and returns what it logs. */
function run(apiKey: string, connectionId: string): Promise<unknown> {
  return new Promise((resolve) => {
    const $ = jQueryOver((request) => exports.default.fetch(request));
    const code = SNIPPET(ORIGIN, apiKey, connectionId);
    const program = new Function("$", "console", code);
    program($, { log: resolve });
  });
}

async function withDocumentedRow() {
  const tenant = await newOrganisation();
  await register(tenant.key, "id1");
  const body = { connectionId: "id1", remoteConnectionId: "id2", direction: "send", memo: "memo1" };
  await exports.default.fetch(
    new Request(`${ORIGIN}/api/v2/relay/permission`, {
      method: "POST",
      headers: { Authorization: `Bearer ${tenant.key}` },
      body: JSON.stringify(body),
    }),
  );
  return tenant;
}

test("the documented JavaScript logs the documented answer", async () => {
  const { key } = await withDocumentedRow();
  expect(await run(key, "id1")).toEqual(EXPECTED);
});

test("the documented JavaScript fails with a problem for a connection that is not registered", async () => {
  const { key } = await newOrganisation();
  const xhr = (await run(key, "id1")) as { status: number; responseText: string };
  expect(xhr.status).toBe(404);
  expect(JSON.parse(xhr.responseText)).toMatchObject({ code: "connection-not-found" });
});

test("the documented Java request gets the documented answer, in one line or many", async () => {
  const { key } = await withDocumentedRow();
  // HttpURLConnection, with the headers that it adds itself.
  const response = await exports.default.fetch(
    new Request(`${ORIGIN}/api/v2/relay/permission/id1`, {
      method: "GET",
      headers: {
        Authorization: `Bearer ${key}`,
        "User-Agent": "Java/17.0.9",
        Accept: "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
        Connection: "keep-alive",
      },
    }),
  );
  expect(response.status).toBe(200);
  expect(response.headers.get("Content-Type")).toContain("application/json");
  expect(JSON.parse(await response.text())).toEqual(EXPECTED);
});

test("the documented path, without the prefix, is the same resource", async () => {
  const { key } = await withDocumentedRow();
  const response = await exports.default.fetch(
    new Request(`${ORIGIN}/relay/permission/id1`, { headers: { Authorization: `Bearer ${key}` } }),
  );
  expect(await response.json()).toEqual(EXPECTED);
});

test("a registered connection without permissions gets an empty envelope", async () => {
  const { key } = await newOrganisation();
  await register(key, "id1", "id2");
  await create(key, "id2", "id1", "send");
  expect(await run(key, "id1")).toEqual({
    totalSize: 0,
    fetchSize: 0,
    startIndex: 0,
    maxResults: 30,
    permission: [],
  });
});
