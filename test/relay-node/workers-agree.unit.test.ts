/**
 * What the processes of a node know of a user, whatever comes and however slowly they tell each other: at
 * the end all of them know the same, and that is where the newest datagram came from.
 */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { HeardUsers } from "../../relay-node/heard-users";
import { type NodeUser, SessionTable } from "../../relay-node/session-table";
import { changeOf, type UserChange } from "../../relay-node/worker-messages";
import { assignment } from "../support/forwarder";

const WORKERS = 3;
const PARENT = -2;

/** A process, with what was said to it and it has not read yet. */
class Process {
  readonly unread: UserChange[] = [];
  readonly user: NodeUser;
  readonly presence: HeardUsers;
  readonly #table = new SessionTable(1);

  constructor(me: number, say: (change: UserChange) => void) {
    const made = this.#table.assign(assignment("s1", 1, [100, 101]), 0);
    this.user = made?.session.user(1) as NodeUser;
    this.presence = new HeardUsers(
      { presenceChanged: () => {}, silent: () => {}, userChanged: (user) => say(changeOf(user)) },
      me,
    );
  }

  hear(port: number, now: number): void {
    this.presence.hear(this.user, { address: "192.0.2.1", port }, now);
  }

  tick(now: number): void {
    this.presence.tick(this.#table.all(), now);
  }

  get known() {
    const { connected, port, address, heardBy } = this.user;
    return { connected, port, address, heardBy };
  }
}

const worker = fc.nat(WORKERS - 1);
/** Time goes on by `after` before each step. Often it does not: all is in the same millisecond. */
const after = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(5), fc.constant(10_500));
const step = fc.oneof(
  fc.record({
    type: fc.constant("hear" as const),
    worker,
    port: fc.integer({ min: 1, max: 4 }),
    after,
  }),
  // `worker` reads what was said to it; or the parent what a worker has said.
  fc.record({ type: fc.constant("worker reads" as const), worker, after }),
  fc.record({ type: fc.constant("parent reads" as const), worker, after }),
  fc.record({ type: fc.constant("tick" as const), worker, after }),
);

test("they agree in the end, on where the newest datagram came from", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const said: UserChange[][] = Array.from({ length: WORKERS }, () => []);
      const workers = said.map((mine, me) => new Process(me, (change) => mine.push(change)));
      const parent = new Process(PARENT, () => {});
      const parentReads = (me: number): boolean => {
        const change = said[me]?.shift();
        if (!change) return false;
        if (!parent.presence.learn(parent.user, change)) return true;
        for (const [other, { unread }] of workers.entries()) if (other !== me) unread.push(change);
        return true;
      };
      const workerReads = (me: number): boolean => {
        const one = workers[me] as Process;
        const change = one.unread.shift();
        if (change) one.presence.learn(one.user, change);
        return change !== undefined;
      };
      const readAll = () => {
        for (let reads = true; reads; ) {
          reads = false;
          for (let me = 0; me < WORKERS; me++) {
            if (parentReads(me)) reads = true;
            if (workerReads(me)) reads = true;
          }
        }
      };
      let now = 1;
      let newest: { by: number; port: number; at: number } | null = null;
      for (const { type, worker: me, ...more } of steps) {
        now += more.after;
        const one = workers[me] as Process;
        if (type === "worker reads") workerReads(me);
        else if (type === "parent reads") parentReads(me);
        else if (type === "tick") one.tick(now);
        else if ("port" in more) {
          one.hear(more.port, now);
          newest = { by: me, port: more.port, at: now };
        }
      }
      readAll();
      const known = [parent, ...workers].map((one) => one.known);
      for (const one of known) expect(one).toEqual(known[0]);
      // One more datagram, later: all know it.
      now += 1;
      const last = workers[newest?.by ?? 0] as Process;
      last.hear(newest?.port ?? 1, now);
      readAll();
      for (const one of [parent, ...workers]) {
        expect(one.known).toEqual({
          connected: true,
          port: newest?.port ?? 1,
          address: "192.0.2.1",
          heardBy: newest?.by ?? 0,
        });
      }
      // Nobody hears it any more: the one that has heard it says so, and all know it.
      now += 10_500;
      for (const one of workers) one.tick(now);
      readAll();
      for (const one of [parent, ...workers]) expect(one.known.connected).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});

test("a session that another process hears is silent from its last datagram on, not from when that was said", () => {
  const silent: number[] = [];
  let now = 1_000;
  const table = new SessionTable(1);
  const idle = { idle_seconds: 20 };
  const user = table
    .assign(assignment("s1", 1, [100, 101], idle), now)
    ?.session.user(1) as NodeUser;
  const presence = new HeardUsers(
    { presenceChanged: () => {}, silent: () => silent.push(now) },
    PARENT,
  );
  const change = { id: "s1", n: 1, by: 0, address: "192.0.2.1", port: 1 };
  presence.learn(user, { ...change, at: 5_000, connected: true });
  // It goes on sending until 50,000. Nothing is said of that before it is gone.
  for (now = 5_000; now < 60_000; now += 1_000) presence.tick(table.all(), now);
  expect(silent).toEqual([]);
  presence.learn(user, { ...change, at: 50_000, connected: false });
  for (; now <= 70_000; now += 1_000) presence.tick(table.all(), now);
  expect(silent).toEqual([70_000]);
});
