/** What is known of relay permissions says nothing of another host: after a change of the host it is read again. */
import { expect, test } from "vitest";
import { PermissionGate } from "../../src/relay/permission-gate";
import type { PermissionState } from "../../src/relay-permissions/permission";

const USERS = [
  { n: 0, connectionId: "a" },
  { n: 1, connectionId: "b" },
  { n: 2, connectionId: "c" },
];

/** The permissions with which one connection may send to another. */
const letting = (from: string, to: string): PermissionState[] => [
  { connectionId: from, remoteConnectionId: to, direction: "send", enabled: true },
  { connectionId: to, remoteConnectionId: from, direction: "receive", enabled: true },
];
/** The first host and both others may send to each other. The others may not. */
const AROUND_A = [
  ...letting("a", "b"),
  ...letting("b", "a"),
  ...letting("a", "c"),
  ...letting("c", "a"),
];

function gateOf(permissions: PermissionState[]) {
  const session = { host: 0 };
  /** Lets the reading go on that has begun. */
  let goOn = () => {};
  const gate = new PermissionGate({
    users: () => USERS,
    host: () => session.host,
    load: (host, clients) => {
      const among = (id: string) => id === host || clients.includes(id);
      const found = permissions.filter(
        ({ connectionId, remoteConnectionId }) =>
          among(connectionId) &&
          among(remoteConnectionId) &&
          [connectionId, remoteConnectionId].includes(host ?? ""),
      );
      return new Promise((resolve) => {
        goOn = () => resolve({ permissions: found, deletedConnections: [] });
      });
    },
    permissionsRead: () => {},
  });
  const read = async () => {
    const reading = gate.refresh();
    goOn();
    expect(await reading).toBe(true);
  };
  return { gate, session, read, finish: () => goOn() };
}

test("no frame passes by the permissions of the host before, and it waits for those of the new one", async () => {
  const { gate, session, read } = gateOf(AROUND_A);
  await read();
  const now = Date.now();
  expect(gate.mayPass(2, 0, now)).toBe(true);
  expect(gate.whenFresh(2, now)).toBeNull();
  session.host = 1;
  // By what was read, client 2 may send to the host, and the host to client 2.
  expect(gate.mayPass(2, 1, now)).toBe(false);
  expect(gate.mayPass(1, 2, now)).toBe(false);
  expect(gate.snapshot(now)).toBeNull();
  expect(gate.whenFresh(2, now)).toBeInstanceOf(Promise);
});

test("a reading that began before the host changed is void when it ends after that", async () => {
  const { gate, session, finish } = gateOf([...AROUND_A, ...letting("b", "c")]);
  const reading = gate.refresh();
  session.host = 1;
  finish();
  await reading;
  expect(gate.mayPass(2, 1, Date.now())).toBe(false);
});

test("a frame that comes while such a reading runs waits for the next one", async () => {
  const { gate, session, finish } = gateOf([...AROUND_A, ...letting("b", "c")]);
  const first = gate.refresh();
  session.host = 1;
  const fresh = gate.whenFresh(1, Date.now());
  finish();
  await first;
  // The next one has begun by now.
  await Promise.resolve();
  finish();
  await fresh;
  expect(gate.mayPass(1, 2, Date.now())).toBe(true);
});

test("what was read after the change applies", async () => {
  const { gate, session, read } = gateOf([...AROUND_A, ...letting("b", "c")]);
  await read();
  session.host = 1;
  await read();
  const now = Date.now();
  expect(gate.mayPass(1, 2, now)).toBe(true);
  expect(gate.mayPass(2, 1, now)).toBe(false);
  expect(gate.mayPass(1, 0, now)).toBe(true);
});
