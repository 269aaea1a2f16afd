/** Which addresses may still try when a session took too many wrong tokens, and very many addresses are locked. */
import { afterEach, expect, test, vi } from "vitest";
import type { LoadedSession } from "../../src/session-object/loaded-session";
import type { UpgradeRequest } from "../../src/session-object/upgrade-request";
import { WrongTokens } from "../../src/session-object/wrong-tokens";

const NOW = 1_790_000_000_000;
const KNOWN = "192.0.2.7";

/** A session with one user, who was connected from `KNOWN`. */
const loaded = {
  tokens: { session: 1 },
  session: { users: [{ n: 0 }] },
  hub: { hasConnectedFrom: (_: number, address: string) => address === KNOWN },
} as unknown as LoadedSession;

function guess(address: string, token: number, sessionToken = 1): UpgradeRequest {
  return {
    origin: { address, latitude: null, longitude: null },
    side: null,
    deviceToken: null,
    sessionToken,
    userToken: token,
    credential: `${sessionToken}/${token}`,
  };
}

afterEach(() => {
  vi.useRealTimers();
});

test("a known address has the session's sixty tries while a thousand others are locked, and not more", () => {
  vi.useFakeTimers();
  const wrong = new WrongTokens();
  // With wrong session tokens: they lock their address, and cost the session none of its tries.
  for (let i = 0; i < 1_000; i++) {
    for (let token = 0; token < 10; token++)
      wrong.count(guess(`address ${i}`, token, 2), loaded, NOW);
  }
  let tries = 0;
  while (tries < 1_000 && wrong.lockedRefusal(guess(KNOWN, tries), loaded, NOW) === null) {
    wrong.count(guess(KNOWN, tries), loaded, NOW);
    tries += 1;
  }
  expect(tries).toBe(60);
  expect(wrong.lockedRefusal(guess(KNOWN, 0), loaded, NOW)).toMatchObject({ by: "session" });
  expect(wrong.lockedRefusal(guess(KNOWN, 0), loaded, NOW + 60_000)).toBeNull();
});

test("a known address has ten tries of its own when the session's are used up", () => {
  vi.useFakeTimers();
  const wrong = new WrongTokens();
  for (let i = 0; i < 60; i++) wrong.count(guess(`address ${i}`, i), loaded, NOW);
  expect(wrong.lockedRefusal(guess("elsewhere", 60), loaded, NOW)).toMatchObject({ by: "session" });
  for (let token = 100; token < 110; token++) {
    expect(wrong.lockedRefusal(guess(KNOWN, token), loaded, NOW)).toBeNull();
    wrong.count(guess(KNOWN, token), loaded, NOW);
  }
  expect(wrong.lockedRefusal(guess(KNOWN, 0), loaded, NOW)).toMatchObject({ by: "address" });
});
