/** What the client finds wrong by itself, before any call is made: its options, and the runtime. */

import { pairDevice } from "drawbridge-client/pairing";
import { connectRelay, hostRelay, joinRelay, RelayError } from "drawbridge-client/relay";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const url = "https://relay.example.com";
const link = "wss://relay.example.com/v1/relays/sessions/000000000000-S/client";
const fetched = vi.fn();
const printed = vi.fn();

beforeEach(() => {
  fetched.mockReset().mockImplementation(async () => Response.json({}));
  printed.mockReset();
  vi.stubGlobal("fetch", fetched);
  for (const method of ["error", "warn", "log"] as const) {
    vi.spyOn(console, method).mockImplementation(printed);
  }
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** Each function of the relay part, with these options beside those that it needs. */
const connecting = (options: object) => [
  () => hostRelay({ url, key: "drb_key", ...options }),
  () => joinRelay({ url, code: "AAAA-AAAA", ...options }),
  () => connectRelay({ link, sessionToken: 1, userToken: 1, ...options }),
];

describe("nothing is called", () => {
  test("where there is no WebSocket, and the error says where there is one", async () => {
    vi.stubGlobal("WebSocket", undefined);
    for (const connect of connecting({})) {
      const error = await connect().catch((error) => error);
      expect(error).toBeInstanceOf(RelayError);
      expect(error.message).toBe("there is no WebSocket here: Node 22 or newer has one");
    }
    expect([fetched.mock.calls, printed.mock.calls]).toEqual([[], []]);
  });

  test.each([undefined, null, "", "relay.example.com", "wss://relay.example.com", "https://"])(
    "with the url %s",
    async (wrong) => {
      const options = { url: wrong as never };
      const device = { application: "pa-1", role: "operator", scopes: [], ...options };
      const [host, join] = connecting(options);
      const pair = () => pairDevice({ ...device, client: { id: "tool", mode: "cli" } });
      for (const call of [host, join, pair]) {
        const error = await call?.().catch((error) => error);
        expect(error).toBeInstanceOf(TypeError);
        expect(error.message).toMatch(/^url begins with https:/);
      }
      expect(fetched).not.toHaveBeenCalled();
    },
  );

  test.each([["msgpack"], [null], [{ encode: () => new Uint8Array() }]])(
    "with the codec %j",
    async (codec) => {
      for (const connect of connecting({ codec })) {
        const error = await connect().catch((error) => error);
        expect(error).toBeInstanceOf(TypeError);
        expect(error.message).toContain('codec is "json"');
      }
      expect(fetched).not.toHaveBeenCalled();
    },
  );
});

test("The message of a connection that took too long has the seconds rounded", async () => {
  class Silent extends EventTarget {
    readyState = 0;
    close() {}
  }
  vi.stubGlobal("WebSocket", Silent);
  const connecting = connectRelay({ link, sessionToken: 1, userToken: 1, timeoutMs: 123.4 });
  await expect(connecting).rejects.toThrow(/within 0\.1 s$/);
});
