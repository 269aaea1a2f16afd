/** What finding a key costs: a token that is in the cache is not looked at again, and nothing else is kept. */
import v8 from "node:v8";
import vm from "node:vm";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Database } from "../../src/db/open";
import type { CallerKey } from "../../src/keys/key";
import { findKeyById, findKeyByToken, forgetKey, KEY_CACHE_MS } from "../../src/keys/key-cache";
import { readKeyById, readKeyByTokenDigest } from "../../src/keys/key-store";
import { isWellFormedToken, newToken, tokenDigest } from "../../src/keys/key-token";

vi.mock("../../src/keys/key-store", () => ({
  readKeyById: vi.fn(),
  readKeyByTokenDigest: vi.fn(),
}));
vi.mock("../../src/keys/key-token", { spy: true });

/** D1 without copies: the primary answers. */
const DB = {
  $client: { withSession: () => ({ getBookmark: () => null }) },
} as unknown as Database;
const NOW = 1_790_000_000_000;
let id = 0;
let stored: Map<string, CallerKey>;

/** A key that D1 has, and its token. */
function newKey(): { key: CallerKey; token: string } {
  id += 1;
  const token = newToken();
  const key = { id } as CallerKey;
  stored.set(tokenDigest(token), key);
  return { key, token };
}

/** How often the checksum and the digest were computed, and D1 was asked. */
function work() {
  return [isWellFormedToken, tokenDigest, readKeyByTokenDigest, readKeyById].map(
    (each) => vi.mocked(each).mock.calls.length,
  );
}

beforeEach(() => {
  stored = new Map();
  vi.mocked(readKeyByTokenDigest).mockImplementation(
    async (_, digest) => stored.get(digest) ?? null,
  );
  vi.mocked(readKeyById).mockImplementation(
    async (_, wanted) => [...stored.values()].find((key) => key.id === wanted) ?? null,
  );
});

describe("a key that is looked for by its token", () => {
  test("is read once, and then found at once, without checksum, digest or promise", async () => {
    const { key, token } = newKey();
    vi.clearAllMocks();
    expect(await findKeyByToken(DB, token, NOW)).toBe(key);
    expect(work()).toEqual([1, 1, 1, 0]);
    for (let i = 0; i < 50; i++) expect(findKeyByToken(DB, token, NOW + i)).toBe(key);
    expect(work()).toEqual([1, 1, 1, 0]);
  });

  test("is read again when it is as old as the bound, when the clock went back, and for a fresh answer", async () => {
    const { key, token } = newKey();
    await findKeyByToken(DB, token, NOW);
    for (const [at, freshness] of [
      [NOW + KEY_CACHE_MS, "cached"],
      [NOW - 1, "cached"],
      [NOW, "fresh"],
    ] as const) {
      vi.clearAllMocks();
      expect(await findKeyByToken(DB, token, at, freshness)).toBe(key);
      expect(work()).toEqual([1, 1, 1, 0]);
    }
  });

  test("is read again once it was forgotten, also if it was being read meanwhile", async () => {
    const { key, token } = newKey();
    const reading = findKeyByToken(DB, token, NOW);
    forgetKey(key.id);
    expect(await reading).toBe(key);
    vi.clearAllMocks();
    await findKeyByToken(DB, token, NOW);
    forgetKey(key.id);
    await findKeyByToken(DB, token, NOW);
    expect(vi.mocked(readKeyByTokenDigest)).toHaveBeenCalledTimes(2);
  });
});

test("a key that is kept does not keep the header from which its token was cut", async () => {
  v8.setFlagsFromString("--expose-gc");
  const collectGarbage = vm.runInNewContext("gc") as () => void;
  const heap = () => {
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  for (let i = 0; i < 300; i++) {
    // Joined by Buffer, for a text that JavaScript joins is in pieces.
    const header = Buffer.from(`token ${" ".repeat(100_000)}${newKey().token}`).toString();
    const token = /\S+$/.exec(header)?.[0] ?? "";
    expect(await findKeyByToken(DB, token, NOW)).not.toBeNull();
  }
  vi.clearAllMocks();
  // The headers have 30 MB together.
  expect(heap() - before).toBeLessThan(10_000_000);
});

describe("what is no key of ours", () => {
  test("is not kept: a token that nobody has is looked for each time", async () => {
    const token = newToken();
    vi.clearAllMocks();
    for (let i = 0; i < 3; i++) expect(await findKeyByToken(DB, token, NOW)).toBeNull();
    expect(work()).toEqual([3, 3, 3, 0]);
  });

  test("is never looked for where it is no token, also not where it names a key that is in the cache", async () => {
    const { key } = newKey();
    expect(await findKeyById(DB, key.id, NOW)).toBe(key);
    expect(findKeyById(DB, key.id, NOW)).toBe(key);
    vi.clearAllMocks();
    for (const text of ["", "nonsense", `#${key.id}`, String(key.id), "__proto__"]) {
      expect(findKeyByToken(DB, text, NOW)).toBe("malformed");
    }
    expect(work().slice(1)).toEqual([0, 0, 0]);
  });
});
