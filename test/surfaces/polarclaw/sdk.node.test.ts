/**
 * Alibaba's own published SDKs, unmodified, against the running Worker over loopback: everything
 * that an operator's tool does with them, with both of their signatures.
 */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import OpenApi, { Config, OpenApiRequest, Params } from "@alicloud/openapi-client";
import Rpc from "@alicloud/pop-core";
import { RuntimeOptions } from "@alicloud/tea-util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer, type TestServer } from "../../support/server";

const VERSION = "2017-08-01";

let server: TestServer;
let origin: string;
let organisation: { key: string; accessKeyId: string; accessKeySecret: string };

beforeAll(async () => {
  server = await startServer();
  origin = server.origin;
  const { api_key } = await server.newOrganisation("SDK");
  const { id, secret } = api_key.access_key;
  organisation = { key: api_key.token, accessKeyId: id, accessKeySecret: secret };
});

afterAll(() => server?.close());

/** A client: one call of an action, with its parameters. */
type Client = (action: string, parameters: Record<string, string>) => Promise<Answer>;
// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
type Answer = any;

/** The SDK on which Alibaba generates its clients. `query` or `body`: where the parameters go. */
function openApiClient(where: "query" | "body", how: "v3" | "v1"): Client {
  const { accessKeyId, accessKeySecret } = organisation;
  const endpoint = new URL(origin).host;
  const config = new Config({ accessKeyId, accessKeySecret, endpoint, protocol: "http" });
  const Constructor = (OpenApi as unknown as { default?: typeof OpenApi }).default ?? OpenApi;
  const client = new Constructor(config);
  return async (action, parameters) => {
    const request = new OpenApiRequest({ [where]: parameters });
    const runtime = new RuntimeOptions({ autoretry: false });
    if (how === "v1") {
      const answer = await client.doRPCRequest(
        action,
        VERSION,
        "HTTP",
        "POST",
        "AK",
        "json",
        request,
        runtime,
      );
      return answer.body;
    }
    const params = new Params({
      action,
      version: VERSION,
      protocol: "HTTP",
      pathname: "/",
      method: "POST",
      authType: "AK",
      style: "RPC",
      reqBodyType: "formData",
      bodyType: "json",
    });
    return (await client.callApi(params, request, runtime)).body;
  };
}

/** The older SDK, which signs with HMAC-SHA1. */
function rpcClient(method: "GET" | "POST"): Client {
  const client = new Rpc({ ...organisation, endpoint: origin, apiVersion: VERSION });
  return (action, parameters) => client.request(action, parameters, { method });
}

const CLIENTS: [string, () => Client][] = [
  ["openapi-client, ACS3, parameters in the query", () => openApiClient("query", "v3")],
  ["openapi-client, ACS3, parameters in the body", () => openApiClient("body", "v3")],
  ["openapi-client, HMAC-SHA1, parameters in the query", () => openApiClient("query", "v1")],
  ["openapi-client, HMAC-SHA1, parameters in the body", () => openApiClient("body", "v1")],
  ["pop-core, HMAC-SHA1, GET", () => rpcClient("GET")],
  ["pop-core, HMAC-SHA1, POST", () => rpcClient("POST")],
];

describe.each(CLIENTS)("%s", (_, make) => {
  test("lists, approves, rejects and removes", async () => {
    const client = make();
    const ApplicationId = await newApplication();
    const [first, second] = [await askToPair(ApplicationId), await askToPair(ApplicationId)];

    const listed = await client("ListPolarClawDevicePairs", { ApplicationId });
    expect(listed).toMatchObject({ Code: 200, Message: "successful", ApplicationId, Paired: [] });
    expect(listed.Pending.map((each: Answer) => each.DeviceId)).toEqual([
      second.deviceId,
      first.deviceId,
    ]);

    const approved = await client("ApprovePolarClawDevicePair", {
      ApplicationId,
      PairRequestId: first.requestId,
    });
    expect(approved.Device.DeviceId).toBe(first.deviceId);
    const rejected = await client("RejectPolarClawDevicePair", {
      ApplicationId,
      PairRequestId: second.requestId,
    });
    expect(rejected.DeviceId).toBe(second.deviceId);

    const after = await client("ListPolarClawDevicePairs", { ApplicationId });
    expect(after.Pending).toEqual([]);
    expect(after.Paired.map((each: Answer) => each.DeviceId)).toEqual([first.deviceId]);

    const DeviceId = first.deviceId;
    expect(await client("RemovePolarClawDevicePair", { ApplicationId, DeviceId })).toMatchObject({
      DeviceId,
    });
    expect((await client("ListPolarClawDevicePairs", { ApplicationId })).Paired).toEqual([]);
  });

  test("throws its own error, with our code", async () => {
    const refused = make()("ApprovePolarClawDevicePair", {
      ApplicationId: await newApplication(),
      PairRequestId: "pr-unknown",
    });
    await expect(refused).rejects.toMatchObject({ code: "PairRequest.NotFound" });
  });

  test("signs any character of a parameter so that the signature is accepted", async () => {
    const odd = "*!'()~ +%&=/?#äß漢字🦞\"\\\u00a0";
    const refused = make()("ListPolarClawDevicePairs", { ApplicationId: odd });
    await expect(refused).rejects.toMatchObject({ code: "Application.NotFound" });
  });

  test("is refused with another key's secret", async () => {
    const { accessKeySecret } = organisation;
    organisation.accessKeySecret = `${accessKeySecret.slice(1)}A`;
    const refused = make()("ListPolarClawDevicePairs", { ApplicationId: "pa-00000000000000" });
    organisation.accessKeySecret = accessKeySecret;
    await expect(refused).rejects.toMatchObject({ code: "SignatureDoesNotMatch" });
  });
});

async function newApplication(): Promise<string> {
  return (await post("/v1/applications", organisation.key, { name: "SDK" })).id;
}

/** A device of its own makes a pairing request. */
async function askToPair(application: string) {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const deviceId = createHash("sha256").update(raw).digest("hex");
  const path = `/v1/applications/${application}/pairing`;
  const { nonce } = await post(`${path}/challenges`, null, {});
  const signedAt = Date.now();
  const text = `v3|${deviceId}|cli|cli|operator|operator.read|${signedAt}||${nonce}||`;
  const answer = await post(`${path}/requests`, null, {
    device: {
      id: deviceId,
      public_key: raw.toString("base64url"),
      signed_at: signedAt,
      nonce,
      signature: sign(null, Buffer.from(text), privateKey).toString("base64url"),
    },
    client: { id: "cli", mode: "cli" },
    role: "operator",
    scopes: ["operator.read"],
  });
  return { deviceId, requestId: answer.pair_request_id as string };
}

async function post(path: string, key: string | null, body: object): Promise<Answer> {
  const response = await fetch(`${origin}${path}`, {
    method: "POST",
    headers: key === null ? {} : { Authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`);
  return answer;
}
