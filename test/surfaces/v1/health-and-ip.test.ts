/** What anyone may ask of the service itself: is it healthy, and what is my address. */
import { describe, expect, test } from "vitest";
import packageJson from "../../../package.json";
import { call } from "../../support/client";
import { withD1 } from "../../support/d1";

describe("the health of the service", () => {
  test("needs no key, and names the version and the time of one read", async () => {
    const statements: string[] = [];
    const { status, body } = await withD1(
      (sql) => {
        statements.push(sql);
      },
      () => call("GET", "/v1/health"),
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: "ok", version: packageJson.version });
    expect(body.d1.status).toBe("ok");
    expect(Number.isInteger(body.d1.read_ms)).toBe(true);
    expect(statements).toHaveLength(1);
  });

  test("is answered with any credential", async () => {
    expect((await call("GET", "/v1/health", { key: "nonsense" })).status).toBe(200);
  });
});

describe("the caller's address", () => {
  test.each(["203.0.113.9", "2001:db8::9"])("is %s as Cloudflare saw it", async (ip) => {
    const { status, body } = await call("GET", "/v1/ip", { ip });
    expect(status).toBe(200);
    expect(body).toEqual({ public_ip: ip });
  });

  test("is the loopback address where Cloudflare is not in front", async () => {
    expect((await call("GET", "/v1/ip")).body).toEqual({ public_ip: "127.0.0.1" });
  });

  test("is not taken from a header that anyone can send", async () => {
    const headers = { "X-Forwarded-For": "203.0.113.66", "X-Real-IP": "203.0.113.66" };
    const { body } = await call("GET", "/v1/ip", { ip: "203.0.113.9", headers });
    expect(body).toEqual({ public_ip: "203.0.113.9" });
  });
});
