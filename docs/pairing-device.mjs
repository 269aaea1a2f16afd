// A device that pairs, in plain Node (20 or newer). What it does is explained in docs/pairing.md.
//
//   node docs/pairing-device.mjs http://localhost:8787 pa-… device.json
//
// It prints its fingerprint, waits until an operator approves it, and prints its token. The file keeps the
// key, which is the identity of the device, and the scopes that it was given. It does not keep the token:
// each run takes a new one, and the old one stops working. Your device should keep its token.
import * as crypto from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const [base, application, file] = process.argv.slice(2);
const client = { id: "example", mode: "cli", display_name: "Example device", platform: "linux" };
const role = "operator";
const pairing = `${base}/v1/applications/${application}/pairing`;

const keep = (state) => writeFileSync(file, JSON.stringify(state), { mode: 0o600 });
if (!existsSync(file)) {
  const key = crypto
    .generateKeyPairSync("ed25519")
    .privateKey.export({ type: "pkcs8", format: "pem" });
  keep({ key, scopes: ["operator.read", "operator.write"] });
}
const { key, scopes } = JSON.parse(readFileSync(file, "utf8"));
const privateKey = crypto.createPrivateKey(key);
const spki = crypto.createPublicKey(privateKey).export({ type: "spki", format: "der" });
const raw = spki.subarray(-32);
const id = crypto.createHash("sha256").update(raw).digest("hex");

const { nonce, server_time } = await call("POST", `${pairing}/challenges`);
// By the server's clock: a device's own may be wrong.
const signed_at = Date.parse(server_time);
const fields = ["v3", id, client.id, client.mode, role, scopes.join(","), signed_at, "", nonce];
const text = [...fields, client.platform, ""].join("|");
const signature = crypto.sign(null, Buffer.from(text), privateKey).toString("base64url");
const device = { id, public_key: raw.toString("base64url"), signed_at, nonce, signature };

let answer = await call("POST", `${pairing}/requests`, { device, client, role, scopes });
const { pair_request_id, poll_token, interval, fingerprint } = answer;
if (fingerprint) console.log(`fingerprint ${fingerprint}`);
while (answer.status === "pending") {
  await pause(interval * 1000);
  answer = await call("GET", `${pairing}/requests/${pair_request_id}`, undefined, poll_token);
}
if (!answer.device_token) throw new Error(`not let in: ${answer.status}`);
keep({ key, scopes: answer.scopes });
console.log(`token ${answer.device_token}`);

/** One call, repeated while the service says "later" (429, 503); any other error ends the script. */
async function call(method, url, body, token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  const result = await response.json();
  if (response.ok) return result;
  const seconds = Number(response.headers.get("Retry-After"));
  if (!seconds) throw new Error(`${method} ${url}: ${response.status} ${result.code}`);
  await pause(seconds * 1000);
  return call(method, url, body, token);
}
