/** How many digests the tokens of relay sessions cost: most of what a list computes. */
import * as nodeCrypto from "node:crypto";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { sessionTokens } from "../../src/session/relay-tokens";
import { toRelaySessionPage } from "../../src/surfaces/relay-sessions/wire";
import { after, creation } from "../support/session-state";

vi.mock("node:crypto", async (original) => {
  const real = await original<typeof nodeCrypto>();
  return { ...real, createHmac: vi.fn(real.createHmac), hkdfSync: vi.fn(real.hkdfSync) };
});

const SECRET = "a-secret-of-this-test-0123456789";
const cost = () => ({
  hmacs: vi.mocked(nodeCrypto.createHmac).mock.calls.length,
  hkdfs: vi.mocked(nodeCrypto.hkdfSync).mock.calls.length,
});

beforeEach(() => {
  // The deployment's key is remembered from here on.
  void sessionTokens(SECRET, "ffffffffffff-S").session;
  vi.clearAllMocks();
});

describe("the tokens of a relay session cost", () => {
  test("nothing before one is asked for", () => {
    sessionTokens(SECRET, "000000000001-S");
    expect(cost()).toEqual({ hmacs: 0, hkdfs: 0 });
  });

  test.each([
    [0, 1],
    [2, 1],
    [4, 1],
    [5, 2],
    [64, 13],
  ])("with %i users %i digests, however often they are asked for", (users, hmacs) => {
    for (let times = 0; times < 3; times++) {
      const tokens = sessionTokens(SECRET, `${String(users).padStart(12, "1")}-S`);
      void tokens.session;
      for (let n = 0; n < users; n++) tokens.user({ n, draw: 0 });
    }
    expect(cost()).toEqual({ hmacs, hkdfs: 0 });
  });

  test("one digest for each session of a page", () => {
    const listed = Array.from({ length: 30 }, (_, i) => ({
      session: after(creation({ id: `${String(i).padStart(12, "0")}-S`, users: 2 })),
      traffic: null,
    }));
    const at = { origin: "https://relay.example.com", secret: SECRET };
    const page = toRelaySessionPage({ listed, total: 30 }, { page: 1, limit: 30 }, at);
    expect(page.sessions).toHaveLength(30);
    expect(cost()).toEqual({ hmacs: 30, hkdfs: 0 });
    expect(toRelaySessionPage({ listed, total: 30 }, { page: 1, limit: 30 }, at)).toEqual(page);
    expect(cost()).toEqual({ hmacs: 30, hkdfs: 0 });
  });

  test("a digest again with another secret of the deployment, and again with the first", () => {
    const tokenWith = (secret: string) => sessionTokens(secret, "aaaaaaaaaaaa-S").session;
    const first = tokenWith(SECRET);
    expect(tokenWith("another-secret-of-this-test-0123456789")).not.toBe(first);
    expect(tokenWith(SECRET)).toBe(first);
    expect(cost()).toEqual({ hmacs: 3, hkdfs: 2 });
  });

  test("a digest again for a session that 10,000 others have pushed out", () => {
    const tokenOf = (i: number) =>
      sessionTokens(SECRET, `9${String(i).padStart(11, "0")}-S`).session;
    const first = tokenOf(0);
    for (let i = 1; i <= 10_000; i++) tokenOf(i);
    expect(tokenOf(0)).toBe(first);
    expect(cost()).toEqual({ hmacs: 10_002, hkdfs: 0 });
  });
});
