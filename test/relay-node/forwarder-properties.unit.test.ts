/** Whatever comes and in whatever order: nothing of one session reaches another. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { roleOf } from "../../relay-node/datagram";
import { assignment, testForwarder } from "../support/forwarder";
import { clientData, hostData, ping } from "../support/relay-datagrams";

/** Few tokens, so that sessions share tokens of sessions and of users, and whole pairs. */
const token = fc.integer({ min: 1, max: 6 });

const users = fc.uniqueArray(token, { minLength: 1, maxLength: 4 });
const step = fc.oneof(
  fc.record({ type: fc.constant("assign" as const), id: fc.nat(3), session: token, users }),
  fc.record({ type: fc.constant("end" as const), id: fc.nat(3) }),
  fc.record({
    type: fc.constantFrom("ping" as const, "data" as const),
    role: fc.constantFrom("server" as const, "client" as const),
    session: token,
    user: token,
    to: fc.integer({ min: -1, max: 4 }),
    // Each UDP port of the test is one program of one user: two users never share one.
    port: fc.integer({ min: 1, max: 12 }),
  }),
);

/** A session as the test knows it: its token, and its users' tokens by their ordinals. */
interface Known {
  session: number;
  users: readonly number[];
}

test("a datagram reaches users of its sender's session only, at the address that they used last", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const node = testForwarder();
      const sessions = new Map<number, Known>();
      /** Where each user was heard last: `id/n`, by session. */
      const heardAt = new Map<string, number>();
      const owner = (session: number, user: number, except = -1) =>
        [...sessions].find(
          ([id, known]) => id !== except && known.session === session && known.users.includes(user),
        );
      for (const [now, step] of steps.entries()) {
        if (step.type === "assign") {
          const taken = step.users.some((user) => owner(step.session, user, step.id));
          const before = sessions.get(step.id);
          const done = node.forwarder.assign(
            assignment(`s${step.id}`, step.session, step.users),
            now + 1,
          );
          expect(done).toBe(!taken);
          if (!done) continue;
          sessions.set(step.id, step);
          for (let n = 0; n < 4; n++) {
            const stays =
              before?.session === step.session &&
              before.users[n] !== undefined &&
              before.users[n] === step.users[n];
            if (!stays) heardAt.delete(`${step.id}/${n}`);
          }
        } else if (step.type === "end") {
          node.forwarder.end(`s${step.id}`);
          sessions.delete(step.id);
          for (let n = 0; n < 4; n++) heardAt.delete(`${step.id}/${n}`);
        } else {
          const { role, session, user, to, port } = step;
          const payload = "x";
          const data =
            role === "server"
              ? hostData(user, session, { to, payload })
              : clientData(user, session, payload);
          const bytes = step.type === "ping" ? ping(user, session) : data;
          const sent = node.receive(role, bytes, port, now + 1);
          const found = owner(session, user);
          const n = found?.[1].users.indexOf(user) ?? -1;
          if (!found || roleOf(n) !== role) {
            // At most the two bytes of an invalid pong, to the sender.
            for (const one of sent) {
              expect([...one.bytes]).toEqual([1, 3]);
              expect(one.port).toBe(port);
            }
            continue;
          }
          const [id] = found;
          heardAt.set(`${id}/${n}`, port);
          if (step.type === "ping") {
            expect(sent.map((one) => one.port)).toEqual([port]);
            continue;
          }
          const receiver = n === 0 ? to : 0;
          const expected = receiver === n ? undefined : heardAt.get(`${id}/${receiver}`);
          expect(sent.map((one) => one.port)).toEqual(expected === undefined ? [] : [expected]);
          for (const one of sent) expect(one.role).toBe(roleOf(receiver));
        }
      }
      const count = [...sessions.values()].reduce((sum, known) => sum + known.users.length, 0);
      expect(node.forwarder.table.userCount).toBe(count);
      expect(node.forwarder.table.sessionCount).toBe(sessions.size);
    }),
    { numRuns: 2_000 },
  );
});

test("random bytes are never answered with more than they have, and never make the node remember more", () => {
  const node = testForwarder();
  node.forwarder.assign(assignment("s1", 5, [1, 2, 3]), 0);
  fc.assert(
    fc.property(
      fc.constantFrom("server" as const, "client" as const),
      fc.uint8Array({ maxLength: 40 }),
      (role, bytes) => {
        for (const one of node.receive(role, Buffer.from(bytes), 7_000)) {
          expect(one.bytes.length).toBeLessThan(bytes.length);
          expect(one.port).toBe(7_000);
        }
      },
    ),
    { numRuns: 2_000 },
  );
  expect(node.forwarder.table.userCount).toBe(3);
});
