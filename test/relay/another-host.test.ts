/** A backend makes another user the host while everyone is connected: what happens on the real websockets. */
import { evictDurableObject } from "cloudflare:test";
import { expect, test } from "vitest";
import { allowBoth, newConnectedRelay, passes } from "../support/permissions";
import { assignHost } from "../support/sessions";
import { connect, fromClient, newRelay, type Relay, v1, withId } from "../support/socket";

async function makeHost(relay: Relay, n: number): Promise<void> {
  const answer = await assignHost(relay.key, relay.id, relay.userTokens[n]);
  if (answer.status !== 200) throw new Error(`not made the host: ${answer.status} ${answer.text}`);
}

test("the new host goes on in place, also through evictions before and after its answer, and the old one comes back on the same link as a client", async () => {
  const relay = await newRelay(3);
  const old = await connect(relay, 0, v1(relay, 0));
  const one = await connect(relay, 1, v1(relay, 1));
  const two = await connect(relay, 2, v1(relay, 2));
  await makeHost(relay, 1);
  expect((await old.closed).code).toBe(4503);
  await one.control("promoted");
  expect(await two.control("host_changed")).toEqual({ type: "host_changed", connection_id: 1 });
  await evictDurableObject(relay.stub);
  // It was under way, in a client's format.
  one.send(...withId(2, 66));
  two.send(...fromClient(5));
  expect(await one.frame()).toEqual(withId(2, 5));
  one.sendText("promoted");
  expect(await one.settle()).toEqual([]);
  expect(await two.settle()).toEqual([]);
  await evictDurableObject(relay.stub);
  const back = await connect(relay, 0, v1(relay, 0));
  expect(back.controls[0]).toMatchObject({ type: "ready", connection_id: 0, role: "client" });
  one.send(3, 9);
  expect(await two.frame()).toEqual(fromClient(9));
  expect(await back.frame()).toEqual(fromClient(9));
  back.send(...fromClient(4));
  expect(await one.frame()).toEqual(withId(0, 4));
});

test("no frame passes by the permissions of the host before, and those of the new one apply", async () => {
  const relay = await newConnectedRelay("a", "b", "c");
  await allowBoth(relay.key, "a", "b");
  await allowBoth(relay.key, "a", "c");
  const old = await connect(relay, 0);
  const one = await connect(relay, 1);
  const two = await connect(relay, 2);
  expect(await passes(two, old, fromClient(1))).toBe(true);
  await makeHost(relay, 1);
  await old.closed;
  await one.control("promoted");
  one.sendText("promoted");
  expect(await passes(two, one, fromClient(1))).toBe(false);
  expect(await passes(one, two, withId(2, 1))).toBe(false);
  const back = await connect(relay, 0, { side: "client" });
  expect(await passes(back, one, fromClient(1))).toBe(true);
  await allowBoth(relay.key, "b", "c");
  expect(await passes(two, one, fromClient(1))).toBe(true);
  expect(await passes(one, two, withId(2, 1))).toBe(true);
});
