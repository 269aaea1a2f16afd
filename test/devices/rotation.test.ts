/**
 * Rotating a device token that a thief has too. Only a caller who shows a token that works gets
 * another one, and once an operator has rotated the token, no thief holds one that works.
 */
import { describe, expect, test } from "vitest";
import { call } from "../support/client";
import { overtaken } from "../support/d1";
import {
  ask,
  deviceEvents,
  newApplication,
  newDevice,
  pair,
  type TestApplication,
  verify,
} from "../support/devices";

/** The statement that writes a changed device. */
const WRITE = /update "devices" set "version"/;
const ROUNDS = Array.from({ length: 20 }, (_, round) => round);

/** A paired device, and a thief who has its token. */
async function stolen() {
  const at = await newApplication();
  const device = await newDevice();
  const { token } = await pair(at, device);
  const path = `${at.path}/devices/${device.id}/tokens`;
  const rotate = (by: string) =>
    call("POST", `${path}:rotate`, {
      headers: { Authorization: `Bearer ${by}` },
      body: { role: "operator" },
    });
  const revoke = () => call("POST", `${path}:revoke`, { key: at.key, body: { role: "operator" } });
  return { at, device, token, revoke, operator: () => rotate(at.key), thief: () => rotate(token) };
}

/** Asserts that no token works which the thief had or was given. */
async function expectNothingWorks(at: TestApplication, tokens: (string | undefined)[]) {
  for (const token of tokens) {
    if (token !== undefined) expect(await verify(at, token)).toMatchObject({ valid: false });
  }
}

describe("an operator's rotation of a token at the same moment as a thief's", () => {
  test("gives the thief nothing when the operator's rotation is written first", async () => {
    const { at, token, operator, thief } = await stolen();
    const [late, first] = await overtaken(WRITE, thief, operator);
    expect(first.status).toBe(200);
    expect([late.status, late.body.code]).toEqual([401, "wrong-device-token"]);
    expect(late.text).not.toContain("drbd_");
    await expectNothingWorks(at, [token]);
    expect((await deviceEvents(at)).filter((type) => type === "device.token.rotated")).toHaveLength(
      1,
    );
  });

  test("stops the thief's new token when the thief's rotation is written first", async () => {
    const { at, token, operator, thief } = await stolen();
    const [late, first] = await overtaken(WRITE, operator, thief);
    expect([late.status, first.status]).toEqual([200, 200]);
    await expectNothingWorks(at, [token, first.body.device_token]);
  });

  test("never leaves the thief with a token that works, in twenty rounds side by side", async () => {
    for (const round of ROUNDS) {
      const { at, device, token, operator, thief } = await stolen();
      const both = round % 2 === 0 ? [operator(), thief()] : [thief(), operator()];
      const answers = await Promise.all(both);
      const mine = answers[round % 2];
      expect(mine?.status).toBe(200);
      await expectNothingWorks(at, [token, ...answers.map(({ body }) => body.device_token)]);
      // The device itself collects another token.
      const collected = await ask(at, device);
      expect(await verify(at, collected.body.device_token)).toMatchObject({ valid: true });
    }
  });
});

test("a thief's rotation gives nothing when a revocation is written first", async () => {
  const { at, token, revoke, thief } = await stolen();
  const [late, first] = await overtaken(WRITE, thief, revoke);
  expect([late.status, first.status]).toEqual([401, 200]);
  await expectNothingWorks(at, [token]);
});

test("only one of two callers who rotate the same token at the same moment gets another", async () => {
  const { at, thief } = await stolen();
  const [late, first] = await overtaken(WRITE, thief, thief);
  expect([late.status, first.status]).toEqual([401, 200]);
  expect(await verify(at, first.body.device_token)).toMatchObject({ valid: true });
});
