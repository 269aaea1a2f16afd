/**
 * A removal or revocation also ends the device's pending request, in the same batch: otherwise an
 * approval of that request would let the device back in.
 */
import { afterEach, describe, expect, test, vi } from "vitest";
import { call } from "../support/client";
import { overtaken } from "../support/d1";
import { whileD1Refuses } from "../support/d1-refuses";
import {
  ask,
  decide,
  deviceEvents,
  findRequest,
  newApplication,
  newDevice,
  pair,
  poll,
  request,
  type TestApplication,
  type TestDevice,
} from "../support/devices";

/** The statements that write a changed device, a request, and an ending. */
const WRITE = /update "devices" set "(removed|version)"/;
const ASK = /insert into "used_nonces"/;
const ENDING = /^update "pairing_requests"/;

afterEach(() => {
  vi.useRealTimers();
});

const rpc = (at: TestApplication, action: string, parameters: Record<string, string>) =>
  call(
    "POST",
    `/?${new URLSearchParams({ Action: action, Version: "2017-08-01", ApplicationId: at.application, ...parameters })}`,
    { key: at.key },
  );

const ends: Record<string, (at: TestApplication, device: TestDevice) => ReturnType<typeof call>> = {
  "device-removed": (at, { id }) => call("DELETE", `${at.path}/devices/${id}`, { key: at.key }),
  "device-removed over RPC": (at, { id }) => rpc(at, "RemovePolarClawDevicePair", { DeviceId: id }),
  "token-revoked": (at, { id }) =>
    call("POST", `${at.path}/devices/${id}/tokens:revoke`, {
      key: at.key,
      body: { role: "operator" },
    }),
};

/** A paired device that requests more. */
async function askingForMore() {
  const at = await newApplication();
  const device = await newDevice();
  await pair(at, device);
  const asked = await request(at, device, { scopes: ["operator.admin"] });
  return { at, device, asked };
}

const endings = async (at: TestApplication) =>
  (await deviceEvents(at)).filter((type) => !/requested|approved/.test(type));

describe.each(Object.entries(ends))(
  "a pending request of a device that was put out (%s)",
  (name, end) => {
    const isRemoval = name !== "token-revoked";
    const [reason] = name.split(" ");
    const event = isRemoval ? "device.removed" : "device.token.revoked";

    test("is rejected by the operator who did that, with its event, and a poll says so", async () => {
      const { at, device, asked } = await askingForMore();
      expect((await end(at, device)).status).toBeLessThan(300);
      const found = await findRequest(at, asked.id);
      expect(found).toMatchObject({ status: "rejected", reason, granted: null });
      expect(found.decided_by).toEqual(expect.any(Number));
      expect(await endings(at)).toEqual(["device.pair.rejected", event].toSorted());
      expect((await poll(at, asked)).body).toEqual({ status: "rejected" });
    });

    test("cannot be approved any more, on v1 and over RPC", async () => {
      const { at, device, asked } = await askingForMore();
      await end(at, device);
      const late = await decide(at, asked.id, "approve");
      expect([late.status, late.body.code]).toEqual([409, "request-rejected"]);
      const overRpc = await rpc(at, "ApprovePolarClawDevicePair", { PairRequestId: asked.id });
      expect([overRpc.status, overRpc.body.Code]).toEqual([409, "PairRequest.AlreadyDecided"]);
      // What it requests from now on is another request.
      const next = await request(at, device);
      expect(next.id).not.toBe(asked.id);
      expect((await decide(at, next.id, "approve")).status).toBe(200);
    });

    test("is expired if its time was over, and stays expired", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
      const { at, device, asked } = await askingForMore();
      vi.setSystemTime(Date.now() + 300_000);
      await end(at, device);
      expect((await findRequest(at, asked.id)).status).toBe("expired");
      expect(await endings(at)).toEqual(["device.pair.expired", event].toSorted());
    });

    test("ends together with the device or not at all", async () => {
      const { at, device, asked } = await askingForMore();
      for (const half of [WRITE, ENDING]) {
        await whileD1Refuses(half, () => end(at, device));
        expect((await findRequest(at, asked.id)).status).toBe("pending");
        const found = await call("GET", `${at.path}/devices/${device.id}`, { key: at.key });
        expect(found.body.tokens[0].status).toBe("active");
      }
      expect(await endings(at)).toEqual([]);
    });

    test("leaves the requests of other devices alone", async () => {
      const { at, device } = await askingForMore();
      const other = await request(at, await newDevice());
      await end(at, device);
      expect((await findRequest(at, other.id)).status).toBe("pending");
    });

    test("is ended as well when it was made at the same moment", async () => {
      const at = await newApplication();
      const device = await newDevice();
      await pair(at, device);
      const [ended, asked] = await overtaken(
        WRITE,
        () => end(at, device),
        () => request(at, device, { scopes: ["operator.admin"] }),
      );
      expect(ended.status).toBeLessThan(300);
      expect((await findRequest(at, asked.id)).status).toBe("rejected");
    });

    test("is ended as well when it had superseded another at the same moment", async () => {
      const { at, device, asked } = await askingForMore();
      const [ended, next] = await overtaken(
        WRITE,
        () => end(at, device),
        () => request(at, device, { scopes: ["operator.admin"], displayName: "Other" }),
      );
      expect(ended.status).toBeLessThan(300);
      expect((await findRequest(at, asked.id)).status).toBe("superseded");
      expect((await findRequest(at, next.id)).status).toBe("rejected");
    });

    test("is approved if the approval came first, and the device is out all the same", async () => {
      const { at, device, asked } = await askingForMore();
      const [ended, approved] = await overtaken(
        WRITE,
        () => end(at, device),
        () => decide(at, asked.id, "approve"),
      );
      expect([approved.status, ended.status < 300]).toEqual([200, true]);
      expect((await findRequest(at, asked.id)).status).toBe("approved");
      expect((await poll(at, asked)).body).toEqual({ status: "approved" });
      const path = `${at.path}/devices/${device.id}`;
      const found = await call("GET", path, { key: at.key });
      expect(found.body.tokens?.[0].status ?? found.status).toBe(isRemoval ? 404 : "revoked");
    });

    test("is another request if the device refreshed it meanwhile", async () => {
      const { at, device, asked } = await askingForMore();
      const [late] = await overtaken(
        ASK,
        () => ask(at, device, { scopes: ["operator.admin"] }),
        () => end(at, device),
      );
      expect(late.status).toBe(202);
      expect(late.body.pair_request_id).not.toBe(asked.id);
      expect((await findRequest(at, asked.id)).status).toBe("rejected");
    });
  },
);
