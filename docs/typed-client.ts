// A typed client at work: docs/getting-started.md says how to make `drawbridge.ts` from /openapi.json.
//
//   BASE=http://localhost:8787 KEY=drb_… node docs/typed-client.ts
//
// Each call answers `{ status, data, headers }`, and the status says what type `data` has. `ok` waits for
// a call and gives its data; it throws an HttpError if the call was refused.
import * as crypto from "node:crypto";
import { ok } from "@oazapfts/runtime";
import * as drawbridge from "./drawbridge.ts";

const { BASE = "http://localhost:8787", KEY } = process.env;
drawbridge.defaults.baseUrl = BASE;
drawbridge.defaults.headers = { Authorization: `Bearer ${KEY}` };

// A relay session, in Edgegap's format: made, listed, shown and ended.
const users = [{ ip: "198.51.100.1" }, { ip: "198.51.100.2" }];
const session = await ok(drawbridge.createRelaySession({ users, ttl_seconds: 600 }));
const { sessions } = await ok(drawbridge.listRelaySessions({ limit: 100 }));
const isListed = sessions.some(({ session_id }) => session_id === session.session_id);
console.log(`session is ${session.status}, and ${isListed ? "listed" : "not listed"}`);
const shown = await ok(drawbridge.getRelaySession(session.session_id));
console.log(`session has ${shown.session_users.length} users`);
await ok(drawbridge.deleteRelaySession(session.session_id));
const ended = await drawbridge.getRelaySession(session.session_id);
console.log(`session is answered ${ended.status} when it has ended`);

// The organisation and a user, in ricloud's format.
const organisation = await ok(drawbridge.getOwnOrganisation());
const user = await ok(drawbridge.createUser({ identifier: "customer-17" }));
const found = await ok(drawbridge.getUser(user.id));
console.log(`user is ${found.identifier}`);

// An API key, in Khomp's format. It is deleted at the end.
const body: drawbridge.CreateApiKeyBody = {
  name: "Game server",
  emails: [],
  permissions: ["relays:read"],
  organizationsIds: [organisation.id],
};
const apiKey = await ok(drawbridge.createApiKey(body));
console.log(`key is called ${apiKey.name}`);
await ok(drawbridge.deleteApiKey(apiKey.id));

// A connection, in WebConnect's format. A second one with the same id is refused.
const connectionId = `plant-${crypto.randomBytes(4).toString("hex")}`;
await ok(drawbridge.createConnection({ connectionId }));
const second = await drawbridge.createConnection({ connectionId });
if (second.status === 409) {
  // Among the answers of this call only a 409 has these codes: the compiler knows them.
  const { code } = second.data;
  console.log(code === "connection-exists" ? `second is refused: ${code}` : `try again: ${code}`);
}
await ok(drawbridge.deleteConnection(connectionId));

// A device pairs with an application, on our own paths. A setup code spares it the wait for an operator.
const application = await ok(drawbridge.createApplication({ name: "Gateway" }));
const role = "operator";
const scopes = ["operator.read"];
const { setup_code } = await ok(
  drawbridge.createSetupCode(application.id, { role, scopes, ttl_seconds: 60 }),
);
const challenge = await ok(drawbridge.createPairingChallenge(application.id));
const device = sign(challenge, setup_code);
const client = { id: "example", mode: "cli" };
const paired = await drawbridge.requestPairing(application.id, {
  device,
  client,
  role,
  scopes,
  setup_code,
});
switch (paired.status) {
  case 200: {
    const token = paired.data.device_token;
    const { code } = await ok(drawbridge.verifyDeviceToken({ token, scope: "operator.read" }));
    console.log(`device token is ${code}`);
    break;
  }
  case 202:
    console.log(`device waits for an operator: ${paired.data.fingerprint}`);
    break;
  default:
    console.log(`device is refused: ${paired.data.code}`);
}
const devices = await ok(drawbridge.listDevices(application.id));
console.log(`devices: ${devices.data.length}`);

/** What a device says of itself, with a new key, signed as docs/pairing.md says. */
function sign({ nonce, server_time }: drawbridge.PairingChallenge, setupCode: string) {
  const { privateKey, publicKey } = crypto.generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  const id = crypto.createHash("sha256").update(raw).digest("hex");
  const signed_at = Date.parse(server_time);
  const fields = ["v3", id, "example", "cli", role, scopes, signed_at, setupCode, nonce, "", ""];
  const signature = crypto.sign(null, Buffer.from(fields.join("|")), privateKey);
  return {
    id,
    public_key: raw.toString("base64url"),
    signed_at,
    nonce,
    signature: signature.toString("base64url"),
  };
}
