/** The command line of a relay node. */
import { describe, expect, test } from "vitest";
import { readCommandLine, UsageError } from "../../relay-node/options";
import { LINK_PROTOCOL, parseFromNode } from "../../src/relay-nodes/link-protocol";

const TOKEN = "drbn_secret";
const env = { RELAY_NODE_TOKEN: TOKEN };
const read = (...args: string[]) => readCommandLine(args, env);
const required = ["--url", "https://relay.example.com", "--host", "play.example.com"];

describe("the command line of a relay node", () => {
  test("needs a URL, a host and a token, and has defaults for the rest", () => {
    expect(read(...required)).toEqual({
      url: new URL("https://relay.example.com"),
      token: TOKEN,
      host: "play.example.com",
      bind: "0.0.0.0",
      serverPort: 31_000,
      clientPort: 31_001,
      capacity: null,
      drainMs: 1_800_000,
      workers: 1,
      metrics: null,
    });
  });

  test.each([
    ["localhost", "127.0.0.1"],
    ["127.0.0.1", "127.0.0.1"],
    ["127.1.2.3", "127.0.0.1"],
    ["::1", "::1"],
    ["192.0.2.1", "0.0.0.0"],
    ["2001:db8::1", "::"],
    ["localhost.example.com", "0.0.0.0"],
  ])("binds for the host %s the address %s, if --bind does not say another", (host, bind) => {
    const args = ["--url", "https://relay.example.com", "--host", host];
    expect(read(...args)?.bind).toBe(bind);
    expect(read(...args, "--bind", "192.0.2.7")?.bind).toBe("192.0.2.7");
  });

  test("takes the token of the option before that of the environment", () => {
    expect(read(...required, "--token", "drbn_other")?.token).toBe("drbn_other");
  });

  test("takes clear text to this machine only", () => {
    for (const url of ["http://localhost:8787", "http://127.0.0.1:8787", "http://[::1]:8787"]) {
      expect(read("--url", url, "--host", "localhost")?.url.href).toBe(`${url}/`);
    }
  });

  test("asks for help", () => {
    expect(readCommandLine(["--help"], {})).toBeNull();
  });

  test.each([
    [["--host", "localhost"], "--url"],
    [["--url", "https://relay.example.com"], "--host"],
    [["--url", "relay.example.com", "--host", "localhost"], "https://"],
    [["--url", "http://relay.example.com", "--host", "localhost"], "https://"],
    [["--url", "ftp://relay.example.com", "--host", "localhost"], "https://"],
    [[...required, "--host", "play.example.com:7000"], "--host"],
    [[...required, "--server-port", "65536"], "--server-port"],
    [[...required, "--client-port", "x"], "--client-port"],
    [[...required, "--bind", "eth0"], "--bind"],
    [[...required, "--capacity", "0"], "--capacity"],
    [[...required, "--capacity", "100001"], "from 1 to 100000"],
    [[...required, "--drain-minutes", "-1"], "--drain-minutes"],
    [[...required, "--workers", "0"], "--workers"],
    [[...required, "--workers", "9"], "from 1 to 8"],
    [[...required, "--metrics", "9464"], "--metrics"],
    [[...required, "--token", "drb_key"], "drbn_"],
    [[...required, "--no-such-option"], "--no-such-option"],
    [[...required, "more"], "more"],
  ])("refuses %j, and says what is wrong", (args, problem) => {
    expect(() => readCommandLine(args, env)).toThrow(UsageError);
    try {
      readCommandLine(args, env);
    } catch (error) {
      expect((error as Error).message).toContain(problem);
      expect((error as Error).message).not.toContain(TOKEN);
    }
  });

  test("takes no capacity that the node could not say to Drawbridge when it links again", () => {
    const capacity = 100_000;
    expect(readCommandLine([...required, "--capacity", `${capacity}`], env)).toMatchObject({
      capacity,
    });
    const hello = {
      type: "hello",
      protocol: LINK_PROTOCOL,
      version: "1.2.3",
      host: "localhost",
      ip: null,
      ports: { server: 31_000, client: 31_001 },
      capacity,
      draining: false,
      sessions: Array.from({ length: capacity }, (_, i) => `${100_000_000_000 + i}-S`),
    };
    expect(parseFromNode(JSON.stringify(hello))).toEqual(hello);
  });

  test("refuses to run without a token", () => {
    expect(() => readCommandLine(required, {})).toThrow("RELAY_NODE_TOKEN");
  });
});
