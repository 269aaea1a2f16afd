/** What a relay node does with a datagram. The clock is the test's, and there is no socket. */
import { beforeEach, describe, expect, test } from "vitest";
import type { TrunkEnd } from "../../relay-node/session-table";
import { assignment, LIMITS, type TestForwarder, testForwarder } from "../support/forwarder";
import { clientData, hostData, ping, pong, toClient, toHost } from "../support/relay-datagrams";

const SESSION = 500;
const HOST = 100;
const ANNA = 101;
const BEN = 102;
const HOST_PORT = 9_000;
const ANNA_PORT = 9_001;
const BEN_PORT = 9_002;

let node: TestForwarder;

beforeEach(() => {
  node = testForwarder();
  node.forwarder.assign(assignment("s1", SESSION, [HOST, ANNA, BEN]), 0);
});

const dropped = () => node.forwarder.counts.dropped;
const userOf = (n: number) => node.forwarder.table.get("s1")?.user(n);
/** The host and Anna have been heard. */
function connect(now = 1) {
  node.receive("server", ping(HOST, SESSION), HOST_PORT, now);
  node.receive("client", ping(ANNA, SESSION), ANNA_PORT, now);
}
const fromAnna = (payload: string | Buffer, now = 1) =>
  node.receive("client", clientData(ANNA, SESSION, payload), ANNA_PORT, now);
const fromHost = (to: number, payload: string | Buffer, now = 1) =>
  node.receive("server", hostData(HOST, SESSION, { to, payload }), HOST_PORT, now);

describe("a datagram", () => {
  test("of a client goes to the host, with the client's connection id", () => {
    connect();
    expect(fromAnna("hello")).toEqual([
      { role: "server", bytes: toHost(1, "hello"), port: HOST_PORT },
    ]);
  });

  test("of the host goes to the client with the connection id that it names", () => {
    connect();
    node.receive("client", ping(BEN, SESSION), BEN_PORT);
    expect(fromHost(2, "hello")).toEqual([
      { role: "client", bytes: toClient("hello"), port: BEN_PORT },
    ]);
  });

  test("keeps every byte of its payload, from none to 1,500 and more", () => {
    connect();
    for (const size of [0, 1, 1_200, 1_500, 65_000]) {
      const payload = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7) % 256));
      expect(fromAnna(payload)[0]?.bytes).toEqual(toHost(1, payload));
      expect(fromHost(1, payload)[0]?.bytes).toEqual(toClient(payload));
    }
  });

  test("of data connects its sender as well as a ping does", () => {
    node.receive("server", ping(HOST, SESSION), HOST_PORT);
    expect(fromAnna("first")).toHaveLength(1);
    expect(fromHost(1, "answer")).toEqual([
      { role: "client", bytes: toClient("answer"), port: ANNA_PORT },
    ]);
  });

  test("comes to the address of its receiver's newest datagram", () => {
    connect();
    node.receive("client", ping(ANNA, SESSION), 9_999);
    expect(fromHost(1, "hello")[0]?.port).toBe(9_999);
  });

  test.each([
    ["the host itself", 0],
    ["a user who is not connected", 2],
    ["nobody", 7],
    ["a negative number", -1],
  ])("of the host for %s is dropped and counted", (_whom, to) => {
    connect();
    expect(fromHost(to, "hello")).toEqual([]);
    expect(dropped()["no-receiver"]).toBe(1);
    expect(userOf(0)?.dropped).toBe(1);
  });

  test("is dropped and counted when the socket does not take it", () => {
    connect();
    node.takes = false;
    fromAnna("hello");
    expect(dropped()["socket-full"]).toBe(1);
    expect(userOf(1)?.dropped).toBe(1);
    expect(userOf(0)?.bytesOut).toBe(0);
  });

  test("counts for the one who sent it and for the one who got it", () => {
    connect();
    fromAnna("12345");
    fromHost(1, "123");
    expect(userOf(1)).toMatchObject({ bytesIn: 5, bytesOut: 3, dropped: 0 });
    expect(userOf(0)).toMatchObject({ bytesIn: 3, bytesOut: 5, dropped: 0 });
  });
});

test("datagrams and their bytes are counted as they come and as they go, whatever becomes of them", () => {
  connect();
  const { counts } = node.forwarder;
  // Two pings of nine bytes, and two pongs of two.
  expect(counts).toMatchObject({ datagramsIn: 2, bytesIn: 18, datagramsOut: 2, bytesOut: 4 });
  fromAnna("12345");
  expect(counts).toMatchObject({ datagramsIn: 3, bytesIn: 32, datagramsOut: 3, bytesOut: 14 });
  node.receive("client", Buffer.from("nonsense"), ANNA_PORT);
  expect(counts).toMatchObject({ datagramsIn: 4, bytesIn: 40, datagramsOut: 3, bytesOut: 14 });
});

describe("what is no datagram of this protocol", () => {
  test.each([
    ["nothing", Buffer.alloc(0)],
    ["the tokens alone", ping(ANNA, SESSION).subarray(0, 8)],
    ["another type", Buffer.concat([ping(ANNA, SESSION).subarray(0, 8), Buffer.of(3)])],
    ["a ping with more behind it", Buffer.concat([ping(ANNA, SESSION), Buffer.of(0)])],
    ["text", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ])("gets no answer: %s", (_what, bytes) => {
    connect();
    expect(node.receive("client", bytes, ANNA_PORT)).toEqual([]);
    expect(node.receive("server", bytes, HOST_PORT)).toEqual([]);
    expect(dropped().malformed).toBe(2);
  });

  test.each([
    ["a valid ping", ping(ANNA, SESSION)],
    ["data", clientData(ANNA, SESSION, "x")],
    ["a ping with wrong tokens", ping(ANNA, SESSION + 1)],
  ])(
    "gets no answer, and moves nobody: %s from port 0, to which nothing can be sent",
    (_what, bytes) => {
      connect();
      expect(node.receive("client", bytes, 0)).toEqual([]);
      expect(dropped().malformed).toBe(1);
      expect(fromHost(1, "hello")[0]?.port).toBe(ANNA_PORT);
    },
  );

  test("gets no answer: data of a host without a whole connection id", () => {
    connect();
    const bytes = hostData(HOST, SESSION, { to: 1, payload: "" }).subarray(0, 12);
    expect(node.receive("server", bytes, HOST_PORT)).toEqual([]);
    expect(dropped().malformed).toBe(1);
  });
});

describe("the answer to a ping", () => {
  test("is 2, from the port to which the ping came", () => {
    expect(node.receive("server", ping(HOST, SESSION), HOST_PORT)).toEqual([
      { role: "server", bytes: pong(2), port: HOST_PORT },
    ]);
    expect(node.receive("client", ping(ANNA, SESSION), ANNA_PORT)).toEqual([
      { role: "client", bytes: pong(2), port: ANNA_PORT },
    ]);
  });

  test("is 2 for a client while the host was never heard", () => {
    expect(node.receive("client", ping(ANNA, SESSION), ANNA_PORT)[0]?.bytes).toEqual(pong(2));
  });

  test("is 3 where the tokens are wrong, or are for the other port", () => {
    connect();
    for (const [role, bytes] of [
      ["client", ping(HOST, SESSION)],
      ["server", ping(ANNA, SESSION)],
      ["client", ping(ANNA, SESSION + 1)],
      ["client", ping(ANNA + 900, SESSION)],
      ["client", ping(SESSION, ANNA)],
      ["client", ping(0xffff_ffff, 0xffff_ffff)],
    ] as const) {
      expect(node.receive(role, bytes, 7_000)).toEqual([{ role, bytes: pong(3), port: 7_000 }]);
    }
    expect(dropped()["invalid-tokens"]).toBe(6);
  });

  test("is 4 once the host was heard and is gone, and 2 when it is back", () => {
    connect(1);
    const pingOfAnna = (now: number) =>
      node.receive("client", ping(ANNA, SESSION), ANNA_PORT, now)[0]?.bytes;
    node.forwarder.tick(9_999);
    expect(pingOfAnna(9_999)).toEqual(pong(2));
    node.forwarder.tick(10_001);
    expect(pingOfAnna(10_001)).toEqual(pong(4));
    node.receive("server", ping(HOST, SESSION), HOST_PORT, 10_002);
    expect(pingOfAnna(10_003)).toEqual(pong(2));
  });

  test("is 1 while nothing passes, because Drawbridge was not heard", () => {
    connect(1);
    node.forwarder.passUntil = 100;
    expect(node.receive("client", ping(ANNA, SESSION), ANNA_PORT, 100)[0]?.bytes).toEqual(pong(2));
    expect(node.receive("client", ping(ANNA, SESSION), ANNA_PORT, 101)[0]?.bytes).toEqual(pong(1));
  });

  test("does not come at all for unknown tokens before Drawbridge has said all sessions", () => {
    node.forwarder.knowsAllSessions = false;
    expect(node.receive("client", ping(999, SESSION), 7_000)).toEqual([]);
    node.forwarder.knowsAllSessions = true;
    expect(node.receive("client", ping(999, SESSION), 7_000)).toHaveLength(1);
  });
});

describe("data with invalid tokens", () => {
  test("is answered with 3 once a second, so that a client learns that it was revoked", () => {
    const send = (now: number) =>
      node.receive("client", clientData(999, SESSION, "hello"), 7_000, now);
    expect(send(1)).toEqual([{ role: "client", bytes: pong(3), port: 7_000 }]);
    expect(send(1_000)).toEqual([]);
    expect(send(1_001)).toHaveLength(1);
  });
});

describe("a user", () => {
  test("who is revoked is let go before the assignment is done, and gets an invalid pong", () => {
    connect();
    node.forwarder.assign(
      assignment("s1", SESSION, [], {
        users: [
          { n: 0, token: HOST, gated: false },
          { n: 2, token: BEN, gated: false },
        ],
      }),
      2,
    );
    expect(fromHost(1, "hello")).toEqual([]);
    expect(node.receive("client", ping(ANNA, SESSION), ANNA_PORT, 2)[0]?.bytes).toEqual(pong(3));
    expect(node.forwarder.presence.connectedUsers).toBe(1);
  });

  test("who stays in the session keeps address and counters when it is assigned again", () => {
    connect();
    fromAnna("12345");
    node.forwarder.assign(assignment("s1", SESSION, [HOST, ANNA, BEN, 103]), 2);
    expect(userOf(1)).toMatchObject({ connected: true, bytesIn: 5 });
    expect(fromHost(1, "hello")[0]?.port).toBe(ANNA_PORT);
  });

  test("who is not heard for ten seconds is disconnected, and nothing is sent to it any more", () => {
    connect(1);
    node.receive("server", ping(HOST, SESSION), HOST_PORT, 9_000);
    node.forwarder.tick(10_001);
    expect(fromHost(1, "hello", 10_002)).toEqual([]);
    expect(userOf(1)?.connected).toBe(false);
    expect(userOf(0)?.connected).toBe(true);
  });

  test("of a session that has ended is nobody", () => {
    connect();
    node.forwarder.end("s1");
    expect(fromAnna("hello")[0]?.bytes).toEqual(pong(3));
    expect(node.forwarder.table.sessionCount).toBe(0);
    expect(node.forwarder.table.userCount).toBe(0);
    expect(node.forwarder.presence.connectedUsers).toBe(0);
  });
});

describe("somebody who guesses user tokens with the right session token", () => {
  const GUESSER = "198.51.100.1";
  const guess = (token: number, now: number, address = GUESSER) =>
    node.receive("client", ping(token, SESSION), 5_000, now, address)[0]?.bytes;

  test("does not learn which one is right after sixty different wrong ones in a minute", () => {
    node.receive("server", ping(HOST, SESSION), HOST_PORT, 1);
    for (let i = 0; i < 60; i++) guess(1_000 + i, 1_000 * i);
    expect(guess(ANNA, 59_001)).toEqual(pong(3));
    expect(userOf(1)?.connected).toBe(false);
    expect(guess(ANNA, 61_000)).toEqual(pong(2));
  });

  test("locks out nobody who plays, not even a user who connects from a player's address", () => {
    connect(1);
    for (let i = 0; i < 100; i++) guess(1_000 + i, 2);
    expect(fromAnna("x", 3)).toHaveLength(1);
    expect(node.receive("client", ping(BEN, SESSION), BEN_PORT, 3)[0]?.bytes).toEqual(pong(2));
  });

  test("is not somebody who sends one wrong token again and again", () => {
    for (let i = 0; i < 1_000; i++) guess(999, 1);
    expect(guess(ANNA, 2)).toEqual(pong(2));
  });

  test("does not harm another session", () => {
    node.forwarder.assign(assignment("s2", SESSION + 1, [HOST, ANNA]), 1);
    for (let i = 0; i < 100; i++) guess(1_000 + i, 2);
    const sent = node.receive("client", ping(ANNA, SESSION + 1), 5_000, 3, GUESSER);
    expect(sent[0]?.bytes).toEqual(pong(2));
  });

  describe("and plays from the same address", () => {
    const ANNAS = 5_000;
    const pingFrom = (token: number, port: number, now: number, address = GUESSER) =>
      node.receive("client", ping(token, SESSION), port, now, address)[0]?.bytes;
    const wrongTokens = (count: number, now: number, address = GUESSER) => {
      for (let i = 0; i < count; i++) guess(1_000 + i, now, address);
    };

    beforeEach(() => {
      node.receive("server", ping(HOST, SESSION), HOST_PORT, 1);
      pingFrom(ANNA, ANNAS, 1);
    });

    test("does not learn which one is right after ten different wrong ones, and moves nobody", () => {
      node.receive("client", ping(BEN, SESSION), BEN_PORT, 1);
      wrongTokens(10, 2);
      expect(pingFrom(BEN, ANNAS, 2_000)).toEqual(pong(3));
      expect(pingFrom(BEN, ANNAS + 1, 2_000)).toEqual(pong(3));
      expect(fromHost(2, "hello", 2_000)[0]?.port).toBe(BEN_PORT);
      // It goes on for as long as more wrong ones come.
      wrongTokens(10, 60_002);
      expect(pingFrom(BEN, ANNAS, 62_000)).toEqual(pong(3));
      expect(pingFrom(BEN, ANNAS, 120_002)).toEqual(pong(2));
    });

    test("may send nine", () => {
      wrongTokens(9, 2);
      expect(pingFrom(BEN, ANNAS + 1, 2_000)).toEqual(pong(2));
    });

    test("goes on playing, but not from another port before the minute is over", () => {
      wrongTokens(10, 2);
      expect(pingFrom(ANNA, ANNAS, 2_000)).toEqual(pong(2));
      expect(pingFrom(ANNA, ANNAS + 1, 2_000)).toEqual(pong(3));
      expect(fromHost(1, "hello", 2_000)[0]?.port).toBe(ANNAS);
      expect(pingFrom(ANNA, ANNAS + 1, 60_002)).toEqual(pong(2));
    });

    test("gets no new tries by moving while the session's sixty are used up", () => {
      wrongTokens(100, 2);
      expect(pingFrom(ANNA, ANNAS, 2_000, "198.51.100.2")).toEqual(pong(3));
      expect(pingFrom(BEN, ANNAS, 2_000, "198.51.100.2")).toEqual(pong(3));
    });

    test.each([9, 10])(
      "gets no new tries by having been heard from a thousand addresses, with %i wrong ones from each",
      (each) => {
        node.forwarder.assign(assignment("s1", SESSION, [HOST, ANNA, BEN, 103]), 1);
        for (let i = 0; i < 1_000; i++) {
          const address = `203.0.${i >> 8}.${i & 255}`;
          pingFrom(ANNA, ANNAS, 2, address);
          wrongTokens(each, 2, address);
        }
        const places = [
          [ANNA, "198.51.100.2"],
          [BEN, "198.51.100.3"],
        ] as const;
        for (const [token, address] of places) pingFrom(token, ANNAS, 3, address);
        for (let i = 0; i < 10; i++) {
          for (const [token, address] of places) guess(token * 1_000 + i, 3, address);
        }
        for (const [, address] of places) pingFrom(103, ANNAS, 4, address);
        expect(userOf(3)?.connected).toBe(false);
      },
    );

    test("makes the node remember nothing for addresses from which nobody was heard", () => {
      for (let i = 0; i < 20; i++) guess(1_000 + i, 2, "198.51.100.2");
      // Somebody who sent as many from an address of a user would be locked.
      expect(pingFrom(BEN, BEN_PORT, 2_000, "198.51.100.2")).toEqual(pong(2));
    });
  });

  test("and forges a player's address stops nobody who is where the node heard them last", () => {
    connect(1);
    node.receive("client", ping(BEN, SESSION), BEN_PORT, 1);
    for (let i = 0; i < 100; i++) guess(1_000 + i, 2, "192.0.2.1");
    expect(node.receive("client", clientData(BEN, SESSION, "x"), BEN_PORT, 3)).toHaveLength(1);
    expect(node.receive("client", ping(BEN, SESSION), BEN_PORT, 3)[0]?.bytes).toEqual(pong(2));
    expect(fromAnna("x", 3)).toHaveLength(1);
    expect(fromHost(2, "x", 3)[0]?.port).toBe(BEN_PORT);
  });

  test("over IPv6 is counted with the whole /64, and players of a known /64 come in", () => {
    const home = (host: number) => `2001:db8:1:1::${host}`;
    node.receive("client", ping(ANNA, SESSION), ANNA_PORT, 1, home(1));
    for (let i = 0; i < 100; i++) guess(1_000 + i, 2, "2001:db8:2:2::1");
    const pingOfBen = (address: string, now: number) =>
      node.receive("client", ping(BEN, SESSION), BEN_PORT, now, address)[0]?.bytes;
    expect(pingOfBen("2001:db8:3:3::1", 3)).toEqual(pong(3));
    expect(pingOfBen(home(2), 3)).toEqual(pong(2));
    for (let i = 0; i < 10; i++) guess(2_000 + i, 4, home(3 + i));
    expect(pingOfBen(home(3), 2_000)).toEqual(pong(3));
    expect(pingOfBen(home(2), 2_000)).toEqual(pong(2));
  });
});

test("worker processes share the ten wrong tokens of an address, but one never locks it", () => {
  for (const [of, least] of [
    [1, 10],
    [2, 5],
    [8, 2],
  ] as const) {
    node = testForwarder(LIMITS, { me: 0, of });
    node.forwarder.assign(assignment("s1", SESSION, [HOST, ANNA, BEN]), 0);
    connect(1);
    const pingOfBen = (port: number) =>
      node.receive("client", ping(BEN, SESSION), port, 2)[0]?.bytes;
    for (let i = 1; i < least; i++) node.receive("client", ping(999 + i, SESSION), 7_000, 2);
    expect(pingOfBen(BEN_PORT)).toEqual(pong(2));
    node.receive("client", ping(2_000, SESSION), 7_000, 2);
    node.receive("client", ping(BEN, SESSION), BEN_PORT + 1, 2);
    expect(userOf(2)?.port).toBe(BEN_PORT);
  }
});

describe("limits", () => {
  const limits = { ...LIMITS, messagesPerSecond: 10, burstMessages: 20 };

  beforeEach(() => {
    node = testForwarder(limits);
    node.forwarder.assign(assignment("s1", SESSION, [HOST, ANNA, BEN]), 0);
  });

  test("drop and count what is over them, and disconnect nobody", () => {
    connect(1);
    const passed = Array.from({ length: 30 }, () => fromAnna("x", 1)).filter((sent) => sent.length);
    expect(passed).toHaveLength(19);
    expect(dropped()["over-limit"]).toBe(11);
    expect(userOf(1)).toMatchObject({ connected: true, dropped: 11 });
    expect(fromAnna("x", 101)).toHaveLength(1);
  });

  test("of a host are multiplied by its connected clients", () => {
    connect(1);
    node.receive("client", ping(BEN, SESSION), BEN_PORT, 1);
    const count = (now: number) =>
      Array.from({ length: 100 }, () => fromHost(1, "x", now)).filter((sent) => sent.length).length;
    // With two clients, two seconds fill twice as much as for one, up to twice the burst.
    count(1);
    expect(count(1_001)).toBe(20);
    expect(count(11_001)).toBe(40);
  });

  test("count bytes as they count messages", () => {
    node = testForwarder({ ...LIMITS, bytesPerSecond: 1_000, burstBytes: 1_000 });
    node.forwarder.assign(assignment("s1", SESSION, [HOST, ANNA, BEN]), 0);
    connect(1);
    // The type byte counts, the tokens do not; the ping has cost one.
    expect(fromAnna(Buffer.alloc(998), 1)).toHaveLength(1);
    expect(fromAnna("", 1)).toEqual([]);
    expect(fromAnna(Buffer.alloc(499), 501)).toHaveLength(1);
  });

  test("are switched off by a rate of 0", () => {
    node = testForwarder({ ...LIMITS, messagesPerSecond: 0, burstMessages: 0 });
    node.forwarder.assign(assignment("s1", SESSION, [HOST, ANNA, BEN]), 0);
    connect(1);
    expect(fromAnna("x")).toHaveLength(1);
  });
});

describe("relay permissions", () => {
  const gated = (permissions: { to_clients: number[]; to_host: number[]; age_ms: number } | null) =>
    assignment("s1", SESSION, [], {
      users: [
        { n: 0, token: HOST, gated: true },
        { n: 1, token: ANNA, gated: true },
        { n: 2, token: BEN, gated: false },
      ],
      permissions,
    });

  test("hold in each direction by itself", () => {
    node.forwarder.assign(gated({ to_clients: [1], to_host: [], age_ms: 0 }), 1);
    connect(1);
    expect(fromHost(1, "x")).toHaveLength(1);
    expect(fromAnna("x")).toEqual([]);
    expect(dropped()["not-permitted"]).toBe(1);
    expect(userOf(1)?.dropped).toBe(1);
  });

  test("do not hold where one of the two has no connection id", () => {
    node.forwarder.assign(gated({ to_clients: [], to_host: [], age_ms: 0 }), 1);
    connect(1);
    expect(node.receive("client", clientData(BEN, SESSION, "x"), BEN_PORT)).toHaveLength(1);
    expect(fromHost(2, "x")).toHaveLength(1);
    expect(node.asked).toEqual([]);
  });

  test("are asked for again from 20 seconds on, once a second, and are void after 30", () => {
    node.forwarder.assign(gated({ to_clients: [1], to_host: [1], age_ms: 5_000 }), 10_000);
    connect(10_000);
    fromAnna("x", 25_000);
    expect(node.asked).toEqual([]);
    expect(fromAnna("x", 25_001)).toHaveLength(1);
    fromAnna("x", 25_002);
    expect(node.asked).toEqual(["s1"]);
    expect(fromAnna("x", 35_000)).toHaveLength(1);
    expect(fromAnna("x", 35_001)).toEqual([]);
    expect(node.asked).toEqual(["s1", "s1"]);
    node.forwarder.setPermissions("s1", { to_clients: [], to_host: [1], age_ms: 0 }, 36_000);
    node.receive("server", ping(HOST, SESSION), HOST_PORT, 36_000);
    expect(fromAnna("x", 36_001)).toHaveLength(1);
  });

  test("that are not known let nothing pass", () => {
    node.forwarder.assign(gated(null), 1);
    connect(1);
    expect(fromAnna("x")).toEqual([]);
    expect(node.asked).toEqual(["s1"]);
  });
});

describe("without word from Drawbridge", () => {
  test("nothing passes after the time that it gave", () => {
    connect(1);
    node.forwarder.passUntil = 100;
    expect(fromAnna("x", 100)).toHaveLength(1);
    expect(fromAnna("x", 101)).toEqual([]);
    expect(dropped()["link-down"]).toBe(1);
  });

  test("on a new link, a session passes no longer than before until it is assigned again", () => {
    connect(1);
    node.forwarder.passUntil = 100;
    node.forwarder.newLink(1_000);
    expect(fromAnna("x", 100)).toHaveLength(1);
    expect(fromAnna("x", 101)).toEqual([]);
    node.forwarder.assign(assignment("s1", SESSION, [HOST, ANNA, BEN]), 102);
    expect(fromAnna("x", 103)).toHaveLength(1);
  });
});

describe("a silent session", () => {
  test("is reported after its idle time, and again every quarter of it", () => {
    connect(1_000);
    node.forwarder.tick(300_999);
    expect(node.silent).toEqual([]);
    node.forwarder.tick(301_000);
    node.forwarder.tick(302_000);
    expect(node.silent).toEqual(["s1"]);
    node.forwarder.tick(376_000);
    expect(node.silent).toEqual(["s1", "s1"]);
    connect(377_000);
    node.forwarder.tick(378_000);
    expect(node.silent).toHaveLength(2);
  });

  test("is one in which nobody was ever heard, too", () => {
    node.forwarder.tick(300_000);
    expect(node.silent).toEqual(["s1"]);
  });
});

describe("a session with users on websockets", () => {
  const frames: unknown[] = [];
  const session = () => node.forwarder.table.get("s1") as NonNullable<ReturnType<typeof get>>;
  const get = () => node.forwarder.table.get("s1");

  function openTrunk(users: number[]) {
    frames.length = 0;
    const trunk: TrunkEnd = {
      users: new Set(users),
      send: (from, to, payload) => frames.push({ from, to, payload: String(payload) }) > 0,
    };
    session().trunk = trunk;
    node.forwarder.presence.usersOnWebsockets(session(), new Set(), trunk.users, 2);
  }

  test("passes a native client's data to a host on a websocket, and the answer back", () => {
    openTrunk([0]);
    expect(fromAnna("hello")).toEqual([]);
    expect(frames).toEqual([{ from: 1, to: 0, payload: "hello" }]);
    const before = node.forwarder.counts.datagramsOut;
    node.forwarder.receiveFromTrunk(session(), { from: 0, to: 1, payload: Buffer.from("x") }, 1);
    expect(node.forwarder.counts.datagramsOut).toBe(before + 1);
    expect(userOf(1)?.bytesOut).toBe(1);
  });

  test("drops and counts a payload that is too large for a datagram", () => {
    openTrunk([1]);
    node.receive("server", ping(HOST, SESSION), HOST_PORT);
    const send = (size: number) =>
      node.forwarder.receiveFromTrunk(
        session(),
        { from: 1, to: 0, payload: Buffer.alloc(size) },
        1,
      );
    send(1_467);
    expect(dropped()["too-large"]).toBe(0);
    send(1_468);
    expect(dropped()["too-large"]).toBe(1);
    expect(userOf(0)?.bytesOut).toBe(1_467);
  });

  test("passes no frame of a client to a client", () => {
    openTrunk([1]);
    node.receive("client", ping(BEN, SESSION), BEN_PORT);
    node.forwarder.receiveFromTrunk(session(), { from: 1, to: 2, payload: Buffer.from("x") }, 1);
    expect(userOf(2)?.bytesOut).toBe(0);
    expect(dropped()["no-receiver"]).toBe(1);
  });

  test("reaches a user where it was heard last", () => {
    connect();
    openTrunk([1]);
    expect(fromHost(1, "x")).toEqual([]);
    expect(frames).toHaveLength(1);
    node.receive("client", ping(ANNA, SESSION), ANNA_PORT);
    expect(fromHost(1, "x")[0]?.port).toBe(ANNA_PORT);
    expect(frames).toHaveLength(1);
  });

  test("has a host while one is on a websocket, and then has none any more", () => {
    openTrunk([0]);
    const state = () => node.receive("client", ping(ANNA, SESSION), ANNA_PORT)[0]?.bytes;
    expect(state()).toEqual(pong(2));
    session().trunk = null;
    expect(state()).toEqual(pong(4));
  });
});
