/** An organisation that has one of everything that the console lists, with names that are markup, and long. */
import { expect } from "vitest";
import { AskingDevices, newApplication } from "./asking-devices";
import type { TestBrowser } from "./browser";
import { newOrganisation, type TestOrganisation } from "./console";
import { eventually } from "./eventually";

/** Markup, letters from right to left, and no place to break the line: 64 characters. */
export const NAME = `<img src=x onerror=alert(1)>\u05d0\u05d1${"W".repeat(34)}`;

/** Where nobody listens: what is sent there fails. */
const NOWHERE = "http://127.0.0.1:9/hook";

/** Makes it. The server must have `ALLOW_INSECURE_WEBHOOKS`. */
export async function newFullOrganisation(
  browser: TestBrowser,
  name = "Full",
): Promise<TestOrganisation> {
  const organisation = await newOrganisation(browser, name);
  // The endpoint comes first: it is owed all events of the others.
  await make(organisation, "/v1/webhooks/endpoints", { url: NOWHERE, description: NAME });
  const device = await makeDevices(browser, organisation);
  await makeRelaySession(organisation, device);
  await makeSourceSession(organisation);
  await make(organisation, "/v1/relay-nodes", { name: NAME });
  await make(organisation, "/api-keys", {
    name: NAME,
    emails: [],
    organizationsIds: [organisation.id],
    permissions: ["relays:read"],
  });
  await eventually(async () => {
    const { body } = await organisation.api.call("GET", "/v1/webhooks/deliveries");
    expect(body.data.length).toBeGreaterThan(0);
  });
  return organisation;
}

/** Calls the API; throws unless it answers 2xx. */
// biome-ignore lint/suspicious/noExplicitAny: a test asserts what it reads
async function make({ api }: TestOrganisation, path: string, body: object): Promise<any> {
  const made = await api.call("POST", path, body);
  if (made.status >= 300) throw new Error(`${path}: ${made.status} ${JSON.stringify(made.body)}`);
  return made.body;
}

/** A paired device, and a pairing request that waits; gives the device's id. */
async function makeDevices(browser: TestBrowser, organisation: TestOrganisation) {
  const application = await newApplication(organisation, NAME);
  const devices = new AskingDevices(browser);
  const client = { id: "cli", mode: "cli", displayName: NAME, platform: "<i>Linux</i>" };
  const approved = await devices.ask(application, { client });
  const requests = `/v1/applications/${application}/pairing/requests`;
  const { body } = await organisation.api.call("GET", `${requests}?status=pending`);
  await make(organisation, `${requests}/${body.data[0].pair_request_id}:approve`, {});
  await approved.token;
  await devices.ask(application, { client });
  devices.giveUp();
  return approved.deviceId;
}

async function makeRelaySession(organisation: TestOrganisation, device: string) {
  for (const connectionId of ["plant-a", "plant-b"]) {
    await make(organisation, "/connections/definition", { connectionId, memo: NAME });
  }
  for (const direction of ["send", "receive"]) {
    await make(organisation, "/relay/permission", {
      connectionId: "plant-a",
      remoteConnectionId: "plant-b",
      direction,
      memo: NAME,
    });
  }
  await make(organisation, "/v1/relays/sessions", {
    users: [
      { ip: "198.51.100.1", connection_id: "plant-a", device_id: device },
      { ip: "198.51.100.2", connection_id: "plant-b" },
    ],
    join_code: true,
    metadata: { note: NAME },
  });
}

async function makeSourceSession(organisation: TestOrganisation) {
  const { id } = await make(organisation, "/users", { identifier: NAME });
  await make(organisation, "/sessions", {
    source: { user: id, type: "mocks.mock", identifier: NAME },
    payload: { password: "abcd1234" },
  });
}
