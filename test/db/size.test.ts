/** D1 says its size with its answers, and Drawbridge hears it. */
import { env } from "cloudflare:workers";
import { sql } from "drizzle-orm";
import { describe, expect, test } from "vitest";
import { runBatch } from "../../src/db/batch";
import { openDatabase } from "../../src/db/open";
import { usedNonces } from "../../src/db/schema/once";
import { askSize, heardSize, spaceOf } from "../../src/db/size";

const db = openDatabase(env);

describe("the size of D1", () => {
  test("rises with rows, falls when they are removed, and is heard with every kind of statement", async () => {
    const before = await askSize(db);
    expect(before).toBeGreaterThan(0);
    expect(heardSize()).toBe(before);

    const claim = "x".repeat(900);
    const rows = Array.from({ length: 500 }, (_, i) => ({ i, claim }));
    await runBatch(db, {
      rows: db
        .insert(usedNonces)
        .select(
          sql`select 1, 'size', value ->> 'i', 1, value ->> 'claim' from json_each(${JSON.stringify(rows)})`,
        ),
    });
    const large = heardSize() ?? 0;
    expect(large).toBeGreaterThan(before + 400_000);
    await db.run(sql`delete from ${usedNonces} where owner = 'size'`);
    const after = heardSize() ?? 0;
    expect(after).toBeLessThan(large - 400_000);

    await env.DB.prepare("create table grown as select hex(randomblob(100000)) as text").run();
    await db.all(sql`select 1`);
    expect(heardSize()).toBeGreaterThan(after + 150_000);
    await env.DB.prepare("drop table grown").run();
    await db.get(sql`select 1`);
    expect(heardSize()).toBe(after);
  });
});

test.each([
  [0, 1_000, "enough"],
  [699, 1_000, "enough"],
  [700, 1_000, "filling"],
  [899, 1_000, "filling"],
  [900, 1_000, "full"],
  [2_000, 1_000, "full"],
  [9_000_000_000, 10_000_000_000, "full"],
  [9_000_000_000, 0, "unlimited"],
])("%i bytes of %i are %s", (bytes, limit, space) => {
  expect(spaceOf(bytes, limit)).toBe(space);
});
