/** The rules of the example game: whatever a client says, the host's world stays one that can be shown. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cleanName, FIELD, newWorld, place } from "../../examples/game/world.js";

describe("the world of the example game", () => {
  test("has everyone on the field, whatever they say", () => {
    fc.assert(
      fc.property(fc.anything(), fc.double(), fc.double(), (name, x, y) => {
        const world = newWorld(0);
        for (const said of [name, { name, x, y }]) place(world, 3, said);
        const text = JSON.stringify(world);
        expect(JSON.parse(text)).toEqual(world);
        for (const { x, y, name } of Object.values(world.players)) {
          expect(x >= 0 && x <= FIELD.width && y >= 0 && y <= FIELD.height).toBe(true);
          expect(name.length).toBeGreaterThan(0);
          expect(name.length).toBeLessThanOrEqual(16);
        }
      }),
    );
  });

  test("gives a point to whoever touches the star, and moves it", () => {
    const world = newWorld(0);
    const { star } = world;
    place(world, 1, { name: "Anna", x: star.x + 500, y: star.y });
    place(world, 2, { name: "Bruno", x: star.x - 500, y: star.y });
    expect(world.star).toBe(star);
    place(world, 2, { name: "Bruno", x: star.x + 10, y: star.y });
    expect(world.players[1]?.score).toBe(0);
    expect(world.players[2]?.score).toBe(1);
    expect(world.star).not.toBe(star);
  });

  test.each([
    ["  Anna   Maria ", "Anna Maria"],
    ["", "Player"],
    [null, "Player"],
    [{ toString: false }, "Player"],
    ["a".repeat(40), "a".repeat(16)],
  ])("shows the name %j as %j", (name, shown) => {
    expect(cleanName(name)).toBe(shown);
  });
});
