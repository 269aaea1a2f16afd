/** A call of the API whose path lacks a parameter is not made. */
import * as api from "drawbridge-client";
import { beforeEach, describe, expect, test, vi } from "vitest";

const url = "https://relay.example.com";
const fetched = vi.fn();

beforeEach(() => {
  fetched.mockReset().mockImplementation(async () => Response.json({}));
});

describe("a call of the API", () => {
  const settings = { baseUrl: url, fetch: fetched };

  test.each([
    ["is missing", {}, "There is nothing in path."],
    ["has another name", { session: "1" }, "There is session in path."],
    ["has no value", { id: undefined }, "There is id in path."],
    ["is empty", { id: "" }, "There is id in path."],
  ])("throws if a parameter of its path %s", async (_what, path, given) => {
    const client = api.createClient(api.createConfig(settings));
    for (const options of [settings, { client }]) {
      const error = await api
        .getRelaySession({ path: path as never, ...options })
        .catch((error) => error);
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toBe(`/v1/relays/sessions/{id} needs path: { id }. ${given}`);
    }
    await expect(api.getRelaySession({ ...settings } as never)).rejects.toThrow(TypeError);
    expect(fetched).not.toHaveBeenCalled();
  });

  test.each([".", ".."])("throws if a parameter is %s, a step in the path", async (id) => {
    const error = await api.getRelaySession({ path: { id }, ...settings }).catch((error) => error);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(`id is "${id}"`);
    expect(fetched).not.toHaveBeenCalled();
  });

  test("goes out if its path has them all, and gives other errors back as before", async () => {
    await api.getRelaySession({ path: { id: "a/b" }, ...settings });
    expect(fetched.mock.calls[0]?.[0].url).toBe(`${url}/v1/relays/sessions/a%2Fb`);
    fetched.mockRejectedValue(new TypeError("no network"));
    const { error } = await api.getRelaySession({ path: { id: "1" }, ...settings });
    expect(error).toEqual(new TypeError("no network"));
  });
});
