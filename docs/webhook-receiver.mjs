// A receiver of webhooks that verifies their signature, in plain Node (20 or newer): docs/getting-started.md.
//
//   node docs/webhook-receiver.mjs whsec_… 8798
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const [secret, port] = process.argv.slice(2);
if (!secret || !port) {
  console.error("Usage: node docs/webhook-receiver.mjs whsec_… 8798");
  process.exit(1);
}
const key = Buffer.from(secret.replace("whsec_", ""), "base64");
const seen = new Set();

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString("utf8");
  if (!isSigned(request.headers, body)) return response.writeHead(401).end();
  response.end("thanks");
  // The same event may come again: it has the same id.
  const id = request.headers["webhook-id"];
  if (seen.has(id)) return;
  seen.add(id);
  const { type, timestamp, data } = JSON.parse(body);
  console.log(`${type} at ${timestamp}: ${data.id}`);
});
server.listen(Number(port), "127.0.0.1", () => console.log(`listens on ${port}`));

/** Whether one of the signatures is right, and the request was made within the last five minutes. */
function isSigned(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": signatures } = headers;
  if (!signatures || Math.abs(Date.now() / 1000 - Number(at)) > 300) return false;
  const right = createHmac("sha256", key).update(`${id}.${at}.${body}`).digest();
  return signatures.split(" ").some((each) => {
    const given = Buffer.from(each.replace("v1,", ""), "base64");
    return given.length === right.length && timingSafeEqual(given, right);
  });
}
