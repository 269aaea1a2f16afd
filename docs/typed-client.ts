// The typed client at work: docs/client.md says how to get it.
//
//   BASE=http://localhost:8787 KEY=drb_… npx node docs/typed-client.ts
//
// Each call gives `{ data, error, response }`: `data` if it succeeded, `error` if it was refused. With
// `throwOnError: true` it throws the error instead, and `data` is always there.
import * as drawbridge from "drawbridge-client";
import { pairDevice } from "drawbridge-client/pairing";

const { BASE = "http://localhost:8787", KEY = "" } = process.env;
drawbridge.client.setConfig({ baseUrl: BASE, auth: KEY });
const throwOnError = true;

// A relay session, in Edgegap's format: made, listed, shown and ended.
const users = [{ ip: "198.51.100.1" }, { ip: "198.51.100.2" }];
const { data: session } = await drawbridge.createRelaySession({
  body: { users, ttl_seconds: 600 },
  throwOnError,
});
const { data: list } = await drawbridge.listRelaySessions({ query: { limit: 100 }, throwOnError });
const isListed = list.sessions.some(({ session_id }) => session_id === session.session_id);
console.log(`session is ${session.status}, and ${isListed ? "listed" : "not listed"}`);
const path = { id: session.session_id };
const { data: shown } = await drawbridge.getRelaySession({ path, throwOnError });
console.log(`session has ${shown.session_users.length} users`);
await drawbridge.deleteRelaySession({ path, throwOnError });
const ended = await drawbridge.getRelaySession({ path });
console.log(
  `session is answered ${ended.response?.status} when it has ended: ${ended.error?.code}`,
);

// The organisation and a user, in ricloud's format.
const { data: organisation } = await drawbridge.getOwnOrganisation({ throwOnError });
const { data: user } = await drawbridge.createUser({
  body: { identifier: "customer-17" },
  throwOnError,
});
const { data: found } = await drawbridge.getUser({ path: { id: user.id }, throwOnError });
console.log(`user is ${found.identifier}`);

// An API key, in Khomp's format. It is deleted at the end.
const body: drawbridge.CreateApiKeyBody = {
  name: "Game server",
  emails: [],
  permissions: ["relays:read"],
  organizationsIds: [organisation.id],
};
const { data: apiKey } = await drawbridge.createApiKey({ body, throwOnError });
console.log(`key is called ${apiKey.name}`);
await drawbridge.deleteApiKey({ path: { id: apiKey.id }, throwOnError });

// A connection, in WebConnect's format. A second one with the same id is refused.
const connectionId = `plant-${crypto.randomUUID().slice(0, 8)}`;
await drawbridge.createConnection({ body: { connectionId }, throwOnError });
const { error } = await drawbridge.createConnection({ body: { connectionId } });
switch (error?.code) {
  case "connection-exists":
    console.log(`second is refused: ${error.code}`);
    break;
  case "changed-meanwhile":
    console.log(`try again: ${error.detail}`);
}
await drawbridge.deleteConnection({ path: { connectionId }, throwOnError });

// A device pairs with an application. A setup code spares it the wait for an operator.
const { data: application } = await drawbridge.createApplication({
  body: { name: "Gateway" },
  throwOnError,
});
const role = "operator";
const scopes = ["operator.read"];
const { data: setup } = await drawbridge.createSetupCode({
  path: { application: application.id },
  body: { role, scopes, ttl_seconds: 60 },
  throwOnError,
});
const pairing = await pairDevice({
  url: BASE,
  application: application.id,
  role,
  scopes,
  setupCode: setup.setup_code,
  client: { id: "example", mode: "cli" },
  // A device keeps its key in a file (`keyFile`), or in its browser's IndexedDB. This one is made for once.
  keyPair: await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]),
});
const { data: verified } = await drawbridge.verifyDeviceToken({
  body: { token: await pairing.token, scope: "operator.read" },
  throwOnError,
});
console.log(`device token is ${verified.code}`);
const { data: devices } = await drawbridge.listDevices({
  path: { application: application.id },
  throwOnError,
});
console.log(`devices: ${devices.data.length}`);
