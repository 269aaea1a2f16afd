/** A user who connects again is told how many messages there were, so that they see what they have lost. */
import { expect, test } from "vitest";
import { hubWith, openToAll } from "../support/relay-hub";
import { connect, fromClient, newRelay, withId } from "../support/socket";

const READY = { type: "ready", connection_id: 1, role: "client" };
/** As the host sends to all. */
const toAll = (...bytes: number[]) => [3, ...bytes];

test("A user who connects for the first time is told no counts", async () => {
  const relay = await newRelay(2);
  expect((await connect(relay, 1)).controls[0]).toEqual(READY);
});

test("What a user has sent and what was for them is counted, also while they are away", async () => {
  const relay = await newRelay(3);
  const host = await connect(relay, 0);
  const client = await connect(relay, 1);
  for (let i = 0; i < 3; i++) client.send(...fromClient(i));
  // An empty message counts, a ping does not.
  client.send(...fromClient());
  client.send(1);
  host.send(...withId(1, 7));
  host.send(...withId(2, 7));
  host.send(...toAll(8));
  await client.settle();
  await host.settle();
  client.close(1000);
  await host.control("peer_left");
  host.send(...withId(1, 9));
  host.send(...toAll(10));
  await host.settle();
  const again = await connect(relay, 1);
  expect(again.controls[0]).toEqual({ ...READY, received: 4, sent: 4 });
  const hostAgain = await connect(relay, 0);
  expect(hostAgain.controls[0]).toMatchObject({ received: 5, sent: 4 });
});

test("What permissions keep from a user was not for them, whether they are there or away", async () => {
  const gate = { ...openToAll, mayPass: () => false };
  const { join } = hubWith({ gate });
  const host = join(0);
  join(1);
  host.send(...withId(1, 7));
  host.send(...toAll(8));
  await host.settle();
  const client = join(1);
  await client.settle();
  expect(client.controls[0]).toEqual({ ...READY, received: 0, sent: 0 });
  client.close(1000);
  host.send(...withId(1, 7));
  await host.settle();
  const again = join(1);
  await again.settle();
  expect(again.controls[0]).toEqual({ ...READY, received: 0, sent: 0 });
});
