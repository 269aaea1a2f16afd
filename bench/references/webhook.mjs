/** The test of a webhook by hand. */
import { createHmac, hkdfSync } from "node:crypto";
import { admit, answer, refuse } from "./guard.mjs";

/** Bare: one signed POST of an empty event, to the address in the body. */
export async function sendTest(request, env) {
  const { url } = await request.json();
  const response = await postSigned(env, url, crypto.randomUUID(), "endpoint/bare", body({}));
  return Response.json({ status: response.status });
}

/** With the checks of the key, the rows of the endpoint and its organisation, and the record of the attempt. */
export async function sendTestChecked(request, env, ctx) {
  const caller = await admit(request, env, ctx, "webhooks:write");
  if (caller instanceof Response) return caller;
  const id = request.url.slice(request.url.lastIndexOf("/") + 1);
  const [endpoints, organisations] = await env.DB.batch([
    env.DB.prepare("select * from webhook_endpoints where organisation_id = ? and id = ?").bind(
      caller.organisationId,
      id,
    ),
    env.DB.prepare("select webhook_secret_version from organisations where id = ?").bind(
      caller.organisationId,
    ),
  ]);
  const endpoint = endpoints.results[0];
  if (!endpoint) return refuse(404, "not-found");
  const at = Date.now();
  const eventId = crypto.randomUUID();
  const version = organisations.results[0].webhook_secret_version;
  const owner = `${version}/endpoint/${id}`;
  const sent = body({ id: eventId, at, endpoint_id: id });
  const response = await postSigned(env, endpoint.url, eventId, owner, sent);
  const attempt = { at: new Date(at).toISOString(), status: response.status };
  const day = new Date(at).toISOString().slice(0, 10);
  await env.ReferenceJournal.getByName(`${caller.organisationId}/${day}`).record([
    { id: eventId, type: "webhook-endpoint.test", at, attempt },
  ]);
  return answer(request, attempt);
}

async function postSigned(env, address, id, owner, text) {
  const url = new URL(address);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new Error("no address to post to");
  const seconds = Math.floor(Date.now() / 1_000);
  const secret = Buffer.from(hkdfSync("sha256", env.SECRET, "reference", owner, 32));
  const signature = createHmac("sha256", secret)
    .update(`${id}.${seconds}.${text}`)
    .digest("base64");
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "User-Agent": "Reference",
      "webhook-id": id,
      "webhook-timestamp": String(seconds),
      "webhook-signature": `v1,${signature}`,
    },
    body: text,
    redirect: "manual",
    signal: AbortSignal.timeout(15_000),
  });
  // Read, as Drawbridge does, which keeps the beginning of it.
  await response.text();
  return response;
}

function body(data) {
  return JSON.stringify({
    type: "webhook-endpoint.test",
    timestamp: new Date().toISOString(),
    data,
  });
}
