/** Which relay nodes a session may have, and in which order they are asked. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseNodes } from "../../src/relay-nodes/choose-nodes";
import { MAX_NODE_SESSIONS } from "../../src/relay-nodes/link-protocol";
import { capacityOf, type RelayNode } from "../../src/relay-nodes/node";
import { kilometresBetween, placeOfRegion } from "../../src/relay-nodes/places";

const PLACES = {
  frankfurt: { latitude: 50.1, longitude: 8.7 },
  paris: { latitude: 48.9, longitude: 2.4 },
  newYork: { latitude: 40.7, longitude: -74 },
  sydney: { latitude: -33.9, longitude: 151.2 },
};

function nodeAt(name: string, changes: Partial<RelayNode> = {}): RelayNode {
  return {
    organisationId: 7,
    id: name,
    name,
    region: null,
    capacity: null,
    drained: false,
    createdAt: 0,
    status: "online",
    seenAt: 0,
    facts: null,
    latitude: null,
    longitude: null,
    fill: 0,
    load: null,
    ...changes,
  };
}

/** The names of the chosen nodes, for a caller at this place. */
function chosen(nodes: RelayNode[], place: { latitude: number; longitude: number } | null) {
  return chooseNodes(nodes, { place, random: () => 0.5 }).map(({ name }) => name);
}

describe("the nodes for a session", () => {
  test("are the online ones that do not drain", () => {
    const nodes = [
      nodeAt("a"),
      nodeAt("b", { status: "draining" }),
      nodeAt("c", { status: "lost" }),
      nodeAt("d", { status: "offline" }),
      nodeAt("e", { status: "never-connected" }),
      nodeAt("f", { drained: true }),
    ];
    expect(chosen(nodes, null)).toEqual(["a"]);
  });

  test("are the nearest first, and one without a place last", () => {
    const nodes = [
      nodeAt("nowhere"),
      nodeAt("sydney", PLACES.sydney),
      nodeAt("frankfurt", PLACES.frankfurt),
      nodeAt("new york", PLACES.newYork),
    ];
    expect(chosen(nodes, PLACES.paris)).toEqual(["frankfurt", "new york", "sydney", "nowhere"]);
    expect(chosen(nodes, PLACES.newYork)[0]).toBe("new york");
  });

  test("are the least loaded first among those that are about as near", () => {
    const nodes = [
      nodeAt("paris", { ...PLACES.paris, fill: 0.5 }),
      nodeAt("frankfurt", { ...PLACES.frankfurt, fill: 0.25 }),
      nodeAt("new york", PLACES.newYork),
    ];
    expect(chosen(nodes, PLACES.paris)).toEqual(["frankfurt", "paris", "new york"]);
  });

  test("are those of the organisation before shared ones, and full ones after all others", () => {
    const nodes = [
      nodeAt("shared near", { organisationId: 0, ...PLACES.paris }),
      nodeAt("own far", PLACES.sydney),
      nodeAt("own full", { ...PLACES.paris, fill: 1 }),
    ];
    expect(chosen(nodes, PLACES.paris)).toEqual(["own far", "shared near", "own full"]);
  });

  test("are where their owner says, whatever Cloudflare sees", () => {
    const nodes = [
      nodeAt("said to be in Oceania", { region: "oc", ...PLACES.paris }),
      nodeAt("in New York", PLACES.newYork),
    ];
    expect(chosen(nodes, PLACES.paris)).toEqual(["in New York", "said to be in Oceania"]);
  });

  test("are each there once, whatever is known of them, and all that may take a session are among them", () => {
    const any = fc.record({
      organisationId: fc.constantFrom(0, 7),
      status: fc.constantFrom("online", "draining", "lost"),
      drained: fc.boolean(),
      region: fc.constantFrom(null, "weur", "oc"),
      latitude: fc.option(fc.double({ min: -90, max: 90, noNaN: true })),
      longitude: fc.option(fc.double({ min: -180, max: 180, noNaN: true })),
      fill: fc.double({ min: 0, max: 2, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(any, { maxLength: 12 }),
        fc.option(fc.constant(PLACES.paris)),
        (all, place) => {
          const nodes = all.map((each, i) => nodeAt(String(i), each as Partial<RelayNode>));
          const names = chooseNodes(nodes, { place, random: Math.random }).map(({ name }) => name);
          const open = nodes.filter(({ status, drained }) => status === "online" && !drained);
          expect([...names].sort()).toEqual(open.map(({ name }) => name).sort());
        },
      ),
    );
  });
});

describe("a distance", () => {
  test.each([
    ["Frankfurt", "Paris", PLACES.frankfurt, PLACES.paris, 478],
    ["Paris", "New York", PLACES.paris, PLACES.newYork, 5_840],
    ["New York", "Sydney", PLACES.newYork, PLACES.sydney, 15_990],
  ])("from %s to %s is that of the map", (_from, _to, a, b, kilometres) => {
    expect(kilometresBetween(a, b)).toBeGreaterThan(kilometres * 0.98);
    expect(kilometresBetween(a, b)).toBeLessThan(kilometres * 1.02);
    expect(kilometresBetween(b, a)).toBeCloseTo(kilometresBetween(a, b));
  });

  test("is known of every region, and of nothing else", () => {
    for (const region of ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"]) {
      expect(placeOfRegion(region)).not.toBeNull();
    }
    expect(placeOfRegion("moon")).toBeNull();
  });
});

test.each([
  [null, null, 1_000],
  [null, 40, 40],
  [30, 40, 30],
  [50, 40, 40],
  // It could not name them all when it links again.
  [null, 1_000_000, MAX_NODE_SESSIONS],
])("a node whose owner says %s sessions, and which says %s itself, takes %i", (said, own, most) => {
  const facts = { version: "1", host: "a", ip: null, serverPort: 1, clientPort: 2, capacity: own };
  expect(capacityOf({ capacity: said, facts })).toBe(most);
});
