/**
 * The outbox: no event is lost, skipped or marked as recorded too early, whichever call of whichever
 * port fails.
 */
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { DomainEvent } from "../../src/events/event";
import { withTimeout } from "../../src/platform/wait";
import type { SessionCommand } from "../../src/session/machine";
import type { Session } from "../../src/session/session";
import {
  type OutboxPorts,
  replay,
  type SessionJournal,
  SessionOutbox,
} from "../../src/session/session-outbox";
import { asSessionEvent } from "../support/session-event";
import { BORN_AT, creation, eventsOf, userAt } from "../support/session-state";

afterEach(() => {
  vi.useRealTimers();
});

/** How a call of a port goes. `lost`: it was done, but its answer never came. */
type Outcome = "done" | "failed" | "lost" | "command-meanwhile";
type Port = keyof OutboxPorts;

const EMPTY: SessionJournal = { v: 1, base: null, events: [], retry: null };

/**
 * A session's object around its outbox, with a journal and a row in D1 that do what a test
 * tells them.
 */
class World {
  /** What is left after an eviction. */
  journal: SessionJournal;
  outbox: SessionOutbox;
  readonly recorded: DomainEvent[] = [];
  row: { version: number; announced: number; state: Session } | null = null;
  /** Each call of a port, in order. */
  readonly calls: Port[] = [];
  readonly #outcomes: Outcome[];
  #nextEvent = 1;

  constructor(outcomes: readonly Outcome[] = []) {
    this.#outcomes = [...outcomes];
    this.journal = { ...EMPTY, events: [this.#store(null, creation({ maxUsers: 64 }))] };
    this.outbox = new SessionOutbox(this.#ports(), 0);
  }

  get session(): Session {
    const session = replay(this.journal);
    if (!session) throw new Error("the journal holds no session");
    return session;
  }

  get isDrained(): boolean {
    return this.outbox.isDrained(this.session);
  }

  command(command: SessionCommand = { type: "authorize-user", user: userAt(1) }): void {
    this.journal = this.outbox.append(this.journal, [this.#store(this.session, command)]);
  }

  evict(): void {
    this.outbox = new SessionOutbox(this.#ports(), null);
  }

  /**
   * Drains as the object does: until nothing is left, or something fails. True if all went well.
   */
  async drain(reproject = false): Promise<boolean> {
    try {
      for (let again = reproject; again || !this.isDrained; again = false) {
        await this.outbox.drain(this.journal, { reproject: again });
      }
      return true;
    } catch {
      return false;
    }
  }

  versionsRecorded(): number[] {
    return this.recorded.map((event) => asSessionEvent(event).data.session.version);
  }

  #store(state: Session | null, command: SessionCommand) {
    const [event] = eventsOf(state, command, BORN_AT + this.#nextEvent);
    if (!event) throw new Error("no event was made");
    return { id: `event-${this.#nextEvent++}`, event };
  }

  #ports(): OutboxPorts {
    return {
      findAnnounced: () => this.#call("findAnnounced", () => this.row?.announced ?? null),
      record: (events) => this.#call("record", () => void this.recorded.push(...events)),
      project: (state, announced) =>
        this.#call("project", () => {
          const { row } = this;
          const isNewer =
            row === null ||
            state.version > row.version ||
            (state.version === row.version && announced > row.announced);
          if (isNewer) this.row = { version: state.version, announced, state };
        }),
    };
  }

  async #call<T>(port: Port, effect: () => T): Promise<T> {
    this.calls.push(port);
    const outcome = this.#outcomes.shift() ?? "done";
    await Promise.resolve();
    if (outcome === "failed") throw new Error(`${port} failed`);
    const answer = effect();
    if (outcome === "command-meanwhile" && this.session.users.length < 60) this.command();
    await Promise.resolve();
    if (outcome === "lost") throw new Error(`the answer of ${port} was lost`);
    return answer;
  }
}

/** What must be true at every moment. */
function expectHonest(world: World): void {
  const recorded = new Set(world.versionsRecorded());
  for (let version = 1; version <= (world.row?.announced ?? 0); version++) {
    expect(recorded.has(version), `version ${version} is marked as announced`).toBe(true);
  }
  expect(world.session.version).toBe(
    (world.journal.base?.version ?? 0) + world.journal.events.length,
  );
}

const authorize: SessionCommand = { type: "authorize-user", user: userAt(1) };

describe("draining the outbox", () => {
  test("has the events recorded, then shows the state and marks them as recorded", async () => {
    const world = new World();
    world.command(authorize);
    await world.drain();
    expect(world.calls).toEqual(["record", "project"]);
    expect(world.versionsRecorded()).toEqual([1, 2]);
    expect(world.row).toEqual({ version: 2, announced: 2, state: world.session });
    expect(world.isDrained).toBe(true);
  });

  test("gives each event the state right after it, its own time and id", async () => {
    const world = new World();
    const born = world.session;
    world.command(authorize);
    await world.drain();
    expect(world.recorded).toEqual([
      {
        id: "event-1",
        organisationId: 7,
        type: "session.active",
        at: BORN_AT + 1,
        data: { session: born },
      },
      {
        id: "event-2",
        organisationId: 7,
        type: "session.user_authorized",
        at: BORN_AT + 2,
        data: { session: world.session },
      },
    ]);
  });

  test("calls nothing when everything was drained", async () => {
    const world = new World();
    await world.drain();
    const before = world.calls.length;
    await world.outbox.drain(world.journal, { reproject: false });
    expect(world.calls.length).toBe(before);
  });

  test("shows the state again when asked to, though everything was drained", async () => {
    const world = new World();
    await world.drain();
    world.row = null;
    await world.drain(true);
    expect(world.row).toEqual({ version: 1, announced: 1, state: world.session });
    expect(world.versionsRecorded()).toEqual([1]);
  });

  test("shows the new state also when the journal refuses, and that its event is owed", async () => {
    const world = new World(["done", "done", "failed"]);
    await world.drain();
    world.command(authorize);
    expect(await world.drain()).toBe(false);
    expect(world.row).toEqual({ version: 2, announced: 1, state: world.session });
    expect(world.isDrained).toBe(false);
    await world.drain();
    expect(world.versionsRecorded()).toEqual([1, 2]);
    expect(world.row).toMatchObject({ version: 2, announced: 2 });
  });

  test("does not tell the journal of the events again when D1 fails", async () => {
    const world = new World(["done", "failed"]);
    expect(await world.drain()).toBe(false);
    expect(world.isDrained).toBe(false);
    expect(await world.drain()).toBe(true);
    expect(world.calls).toEqual(["record", "project", "project"]);
  });

  test("asks D1 after an eviction how far it got, and records only what comes after that", async () => {
    const world = new World();
    await world.drain();
    world.evict();
    world.command(authorize);
    await world.drain();
    expect(world.calls).toEqual(["record", "project", "findAnnounced", "record", "project"]);
    expect(world.versionsRecorded()).toEqual([1, 2]);
  });

  test("records everything after an eviction before anything was recorded", async () => {
    const world = new World();
    world.command(authorize);
    world.evict();
    await world.drain();
    expect(world.versionsRecorded()).toEqual([1, 2]);
  });

  test("records what is beyond the base after an eviction without a row in D1", async () => {
    const world = new World();
    await world.drain();
    world.command(authorize);
    expect(world.journal.base?.version).toBe(1);
    world.row = null;
    world.evict();
    await world.drain();
    expect(world.versionsRecorded()).toEqual([1, 2]);
  });

  test("records nothing while D1 does not say how far it got", async () => {
    const world = new World(["done", "done", "failed"]);
    await world.drain();
    world.evict();
    expect(await world.drain()).toBe(false);
    expect(world.versionsRecorded()).toEqual([1]);
  });
});

describe("the journal of events", () => {
  test("folds announced events into its base, and keeps the others", async () => {
    const world = new World(["done", "done", "failed", "done", "failed"]);
    await world.drain();
    world.command(authorize);
    expect(world.journal.events.map(({ event }) => event.version)).toEqual([2]);
    await world.drain();
    world.command(authorize);
    expect(world.journal.base?.version).toBe(1);
    expect(world.journal.events.map(({ event }) => event.version)).toEqual([2, 3]);
  });

  test("folds nothing that it does not know to be announced", async () => {
    const world = new World();
    await world.drain();
    world.evict();
    world.command(authorize);
    expect(world.journal.base).toBeNull();
    expect(world.journal.events.map(({ event }) => event.version)).toEqual([1, 2]);
  });

  test("stands for no session without events and base, and drains to nothing", async () => {
    const world = new World();
    expect(replay(EMPTY)).toBeNull();
    await world.outbox.drain(EMPTY, { reproject: false });
    expect(world.calls).toEqual([]);
  });
});

describe("a port that never answers", () => {
  const stuck = () => new Promise<never>(() => undefined);

  test.each<[Port, number | null]>([
    ["findAnnounced", null],
    ["record", 0],
    ["project", 0],
  ])("counts as failed in %s after ten seconds", async (port, announced) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const ports: OutboxPorts = {
      findAnnounced: async () => null,
      record: async () => undefined,
      project: async () => undefined,
      [port]: stuck,
    };
    const world = new World();
    const drained = new SessionOutbox(ports, announced)
      .drain(world.journal, { reproject: false })
      .then(
        () => "drained",
        (error: Error) => error.message,
      );
    await vi.advanceTimersByTimeAsync(9_999);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(await drained).toBe("no answer in time");
  });

  test("leaves no timer behind when it did answer, or failed", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    expect(await withTimeout(50, Promise.resolve("here"))).toBe("here");
    await expect(withTimeout(50, Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    expect(vi.getTimerCount()).toBe(0);
  });
});

type Step = "command" | "drain" | "reproject" | "evict";

describe("the outbox, whatever fails and whichever commands come in between,", () => {
  const outcomes = fc.array(
    fc.constantFrom<Outcome>("done", "done", "failed", "lost", "command-meanwhile"),
    { maxLength: 40 },
  );
  const steps = fc.array(
    fc.constantFrom<Step>("command", "command", "drain", "drain", "drain", "reproject", "evict"),
    { maxLength: 30 },
  );

  async function play(story: Step[], script: Outcome[]): Promise<World> {
    const world = new World(script);
    for (const step of story) {
      if (step === "command") world.command();
      else if (step === "evict") world.evict();
      else await world.drain(step === "reproject");
      expectHonest(world);
    }
    return world;
  }

  test("records each event in order, and has D1 show the last state as announced", async () => {
    await fc.assert(
      fc.asyncProperty(steps, outcomes, async (story, script) => {
        const world = await play([...story, "command"], script);
        // The failures come to an end: as many tries as there may be failures left.
        for (let i = 0; !world.isDrained && i <= script.length; i++) await world.drain();
        expect(world.isDrained).toBe(true);
        const { version } = world.session;
        const firsts = [...new Set(world.versionsRecorded())];
        expect(firsts).toEqual(Array.from({ length: version }, (_, i) => i + 1));
        expect(world.row).toEqual({ version, announced: version, state: world.session });
      }),
      { numRuns: 1_000 },
    );
  });

  test("gives an event that is told again the same id and content", async () => {
    await fc.assert(
      fc.asyncProperty(steps, outcomes, async (story, script) => {
        const world = await play(story, script);
        const byVersion = new Map<number, DomainEvent>();
        for (const event of world.recorded) {
          const { version } = asSessionEvent(event).data.session;
          expect(event).toEqual(byVersion.get(version) ?? event);
          byVersion.set(version, event);
        }
        expect(new Set([...byVersion.values()].map(({ id }) => id)).size).toBe(byVersion.size);
      }),
      { numRuns: 500 },
    );
  });

  test("records each event once without a failure or an eviction", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (story) => {
        const world = await play(
          story.filter((step) => step !== "evict"),
          [],
        );
        await world.drain();
        const { version } = world.session;
        expect(world.versionsRecorded()).toEqual(Array.from({ length: version }, (_, i) => i + 1));
      }),
    );
  });
});
