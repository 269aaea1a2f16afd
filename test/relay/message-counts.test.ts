/** A user who connects again is told how many messages there were, so that they see what they have lost. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { kill } from "../support/faults";
import { hubWith, openToAll, sized } from "../support/relay-hub";
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

test("A broadcast that closes a user who does not read is counted once for that user", async () => {
  const { join } = hubWith({ unheardBytes: 1_000 });
  const host = join(0);
  const deaf = join(1);
  host.sendBytes(sized([3], 2_000));
  expect((await deaf.closed).code).toBe(4429);
  const again = join(1);
  await again.settle();
  expect(again.controls[0]).toEqual({ ...READY, received: 0, sent: 1 });
});

describe("Counters that an earlier version has kept, without messages,", () => {
  const kept = { bytesIn: 5, bytesOut: 5, dropped: 0, latitude: null, longitude: null };
  const old = { ...kept, addresses: ["192.0.2.1"] };

  test("of a user who is away go on from 0", async () => {
    const relay = await newRelay(2);
    await runInDurableObject(relay.stub, (_, { storage }) => {
      storage.kv.put("traffic", new Map([[1, old]]));
    });
    await kill(relay.id);
    const host = await connect(relay, 0);
    host.send(...withId(1, 7));
    await host.settle();
    const client = await connect(relay, 1);
    expect(client.controls[0]).toEqual({ ...READY, received: 0, sent: 1 });
  });

  test("with an open socket go on from 0", async () => {
    const relay = await newRelay(2);
    const [host, client] = [await connect(relay, 0), await connect(relay, 1)];
    await runInDurableObject(relay.stub, (_, ctx) => {
      for (const ws of ctx.getWebSockets()) {
        const { n, since, closed } = ws.deserializeAttachment();
        ws.serializeAttachment({ n, since, closed, traffic: old });
      }
    });
    await evictDurableObject(relay.stub);
    client.send(...fromClient(1));
    host.send(...withId(1, 7));
    expect(await host.frame()).toEqual(withId(1, 1));
    expect(await client.frame()).toEqual(fromClient(7));
    const again = await connect(relay, 1);
    expect(again.controls[0]).toEqual({ ...READY, received: 1, sent: 1 });
  });
});
