/** Requests about applications, devices and pairing. */
import type { Tenant } from "../client";
import { newApplication, newDevice, newNonce, pair, request, signedBody } from "../devices";
import type { RequestRows } from "./all";

const onApplication = async (tenant: Tenant) => ({
  params: { application: (await newApplication(tenant)).application },
});

/** On a pairing request without scopes, so that its approver needs to hold none. */
async function onRequest(tenant: Tenant) {
  const at = await newApplication(tenant);
  const { id } = await request(at, await newDevice(), { scopes: [] });
  return { params: { application: at.application, id }, body: {} };
}

async function onDevice(tenant: Tenant) {
  const at = await newApplication(tenant);
  const device = await newDevice();
  await pair(at, device, { scopes: [] });
  return { params: { application: at.application, device: device.id } };
}

export const deviceRequests: RequestRows = {
  // Each action asks for its own permission, of a key or a signature: test/surfaces/polarclaw.
  callRpcWithGet: () => ({ status: 400 }),
  callRpc: () => ({ status: 400 }),
  createPairingChallenge: onApplication,
  requestPairing: async (tenant) => {
    const at = await newApplication(tenant);
    const body = await signedBody(await newDevice(), {}, await newNonce(at));
    return { params: { application: at.application }, body, status: 202 };
  },
  // Without its poll token.
  pollPairingRequest: async (tenant) => {
    const { application } = (await onApplication(tenant)).params;
    return { params: { application, id: "pr-none" }, status: 401 };
  },
  getApplication: onApplication,
  listPairingRequests: onApplication,
  approvePairingRequest: onRequest,
  rejectPairingRequest: onRequest,
  createSetupCode: async (tenant) => ({
    ...(await onApplication(tenant)),
    body: { role: "operator", scopes: [], ttl_seconds: 60 },
  }),
  listDevices: onApplication,
  getDevice: onDevice,
  labelDevice: onDevice,
  removeDevice: onDevice,
  rotateDeviceToken: onDevice,
  revokeDeviceToken: onDevice,
};
