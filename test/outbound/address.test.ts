import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AddressRefusalCode,
  type AddressRules,
  judgeAddress,
} from "../../src/outbound/address";
import { addresses, DEPLOYED, HOSTILE } from "../support/hostile-addresses";

const LOCAL: AddressRules = { allowInsecure: true, ownHosts: ["localhost:8787"] };

const shown = (address: string) => JSON.stringify(address).slice(1, 60);
const verdict = (raw: string, rules: AddressRules) => {
  const judgement = judgeAddress(raw, rules);
  return judgement.ok ? "ok" : judgement.refusal.code;
};

const ACCEPTED = addresses(`
  https://example.com  https://example.com/  https://EXAMPLE.com/Hook?x=1&y=%20#part  HTTPS://example.com/
  https://example.com./hook  https://example.com:443/  https://example.com:80/  https://example.com:8080/
  https://example.com:8443/  https://a.b.c.d.example.co.uk/  https://münchen.example/  https://例え.jp/
  https://xn--mnchen-3ya.example/  https://under_score.example.com/  https://1.example.com/
  https://example.com/a@b  https://example.com/?to=http://10.0.0.1/  https://example.com/#@localhost
  https://fd.example.com/  https://fc00.example.com/  https://10.0.0.1.example.com/
  https://localhost.example.com/  https://notlocalhost.com/  https://mylocal.example/
  https://thelocal.com/  https://notinternal.com/  https://drawbridge.example.com.evil.example/
  https://other.drawbridge.example.com/  https://xdrawbridge.example.com/
  https://8.8.8.8/  https://1.1.1.1/  https://134744072/  https://9.255.255.255/  https://11.0.0.0/
  https://100.63.255.255/  https://100.128.0.0/  https://126.255.255.255/  https://128.0.0.1/
  https://169.253.255.255/  https://169.255.0.0/  https://172.15.255.255/  https://172.32.0.0/
  https://192.0.1.0/  https://192.0.3.0/  https://192.88.98.1/  https://192.167.255.255/
  https://192.169.0.0/  https://198.17.255.255/  https://198.20.0.0/  https://203.0.112.1/
  https://203.0.114.1/  https://223.255.255.255/
  https://[2606:4700:4700::1111]/  https://[2001:4860:4860::8888]:8443/  https://[2001:200::1]/
  https://[2001:db7:ffff::1]/  https://[2001:db9::1]/  https://[2003::1]/  https://[2a00:1450::1]/
  https://[3fff:1000::1]/
`);

describe("the judge of addresses of a deployment", () => {
  for (const [code, list] of Object.entries(HOSTILE)) {
    test.each(list.map((raw) => [shown(raw), raw]))(`refuses %s as ${code}`, (_, raw) => {
      expect(verdict(raw, DEPLOYED)).toBe(code);
    });
  }

  test("refuses at least 120 different hostile addresses, and says why in a sentence", () => {
    const all = new Set(Object.values(HOSTILE).flat());
    expect(all.size).toBeGreaterThanOrEqual(120);
    for (const raw of all) {
      const judgement = judgeAddress(raw, DEPLOYED);
      expect(judgement.ok ? "" : judgement.refusal.reason).toMatch(/^The .+; .+\.$/);
    }
  });

  test("names the network in its reason, with the address in plain spelling", () => {
    expect(judgeAddress("https://0xa000001/", DEPLOYED)).toMatchObject({
      refusal: {
        reason: expect.stringMatching(/10\.0\.0\.1 is in 10\.0\.0\.0\/8, which is private/),
      },
    });
  });

  test.each(ACCEPTED)("accepts %s, and returns it parsed", (raw) => {
    expect(judgeAddress(raw, DEPLOYED)).toEqual({ ok: true, url: new URL(raw) });
  });

  test("accepts an address of exactly 2,048 characters", () => {
    expect(verdict(`https://example.com/${"a".repeat(2028)}`, DEPLOYED)).toBe("ok");
  });

  test("accepts any public host when its own host is unknown", () => {
    const unknown = { ...DEPLOYED, ownHosts: [] };
    expect(verdict("https://drawbridge.example.com/", unknown)).toBe("ok");
    expect(verdict("https://localhost/", unknown)).toBe("address-loopback");
  });

  test.each([
    ["DrawBridge.Example.COM.", "https://drawbridge.example.com/"],
    ["drawbridge.example.com:8443", "https://drawbridge.example.com/"],
    ["bücke.example", "https://xn--bcke-0ra.example/"],
    ["8.8.8.8:8080", "https://0x08080808/"],
    ["[2606:4700:0:0::1]:8443", "https://[2606:4700::1]/"],
  ])("recognises its own host %s in the address %s", (ownHost, raw) => {
    expect(verdict(raw, { allowInsecure: false, ownHosts: [ownHost] })).toBe("address-own-host");
  });

  test.each(["https://drawbridge.example.com", "a/b", "user@host", "", "a b", "host:port"])(
    "throws when its own host is given as %j, which would guard nothing",
    (ownHost) => {
      const judge = () =>
        judgeAddress("https://example.com/", { allowInsecure: false, ownHosts: [ownHost] });
      expect(judge).toThrow("ownHost must be host or host:port");
    },
  );
});

describe("the judge of addresses, where insecure addresses are allowed,", () => {
  test.each(
    addresses(`
      http://example.com/  http://example.com:3000/  https://example.com:22/  https://example.com/
      http://localhost/  http://localhost:3000/  http://LOCALHOST.:3000/  http://a.localhost:3000/
      http://127.0.0.1:3000/  http://127.9.9.9:3000/  http://2130706433:3000/  http://[::1]:3000/
      https://localhost:8443/  http://localhost:8788/  http://127.0.0.1:80/
    `),
  )("accepts %s", (raw) => {
    expect(verdict(raw, LOCAL)).toBe("ok");
  });

  const stillRefused: [AddressRefusalCode, string[]][] = [
    ["address-characters", ["http://localhost:3000/ "]],
    ["address-malformed", addresses("localhost http://localhost..:3000/ http://[::1%25lo]:3000/")],
    ["address-scheme", addresses("ftp://localhost/ ws://localhost:3000/ localhost:3000")],
    ["address-credentials", addresses("http://user@localhost:3000/")],
    [
      "address-not-public",
      addresses(`
        http://0.0.0.0:3000/  http://10.0.0.1/  http://192.168.1.1/  http://169.254.169.254/
        http://172.17.0.1/  http://100.64.0.1/  http://[::]/  http://[::2]/  http://[::ffff:127.0.0.1]:3000/
        http://[::127.0.0.1]:3000/  http://[fe80::1]/  http://[fd00::1]/  http://[64:ff9b::7f00:1]/
        http://intranet:3000/  http://printer.local/  http://a.internal/  http://nas.home.arpa/
      `),
    ],
    [
      "address-own-host",
      addresses(`
        http://localhost:8787/  http://LOCALHOST:8787/  http://localhost.:8787/  https://localhost:8787/
        http://127.0.0.1:8787/  http://127.1:8787/  http://[::1]:8787/  http://a.localhost:8787/
      `),
    ],
  ];
  for (const [code, list] of stillRefused) {
    test.each(list)(`still refuses %s as ${code}`, (raw) => {
      expect(verdict(raw, LOCAL)).toBe(code);
    });
  }

  test("refuses its own public host on every port", () => {
    const rules = { allowInsecure: true, ownHosts: ["drawbridge.example.com:8443"] };
    expect(verdict("http://drawbridge.example.com:3000/", rules)).toBe("address-own-host");
    expect(verdict("http://localhost:8443/", rules)).toBe("ok");
  });

  test("refuses the default port of loopback when its own host has no port", () => {
    const rules = { allowInsecure: true, ownHosts: ["localhost"] };
    expect(verdict("http://localhost/", rules)).toBe("address-own-host");
    expect(verdict("https://127.0.0.1:443/", rules)).toBe("address-own-host");
    expect(verdict("http://localhost:3000/", rules)).toBe("ok");
  });
});

describe("the judge of addresses, whatever the spelling,", () => {
  /** Networks without any public address, as first address and prefix length. */
  const networks: [number, number][] = [
    [0x00000000, 8],
    [0x0a000000, 8],
    [0x64400000, 10],
    [0x7f000000, 8],
    [0xa9fe0000, 16],
    [0xac100000, 12],
    [0xc0000000, 24],
    [0xc0000200, 24],
    [0xc0586300, 24],
    [0xc0a80000, 16],
    [0xc6120000, 15],
    [0xc6336400, 24],
    [0xcb007100, 24],
    [0xe0000000, 4],
    [0xf0000000, 4],
  ];
  const privateAddress = fc
    .constantFrom(...networks)
    .chain(([first, prefix]) =>
      fc.integer({ min: 0, max: 2 ** (32 - prefix) - 1 }).map((offset) => first + offset),
    );
  const octets = (ip: number) => [24, 16, 8, 0].map((shift) => (ip >>> shift) & 255);
  const number = fc.constantFrom<(n: number) => string>(
    (n) => `${n}`,
    (n) => `0x${n.toString(16)}`,
    (n) => `0X${n.toString(16).toUpperCase()}`,
    (n) => `0${n.toString(8)}`,
    (n) => `000${n.toString(8)}`,
    (n) => (n < 10 ? `${n}` : [...`${n}`].map((digit) => `%3${digit}`).join("")),
  );
  const spelled = fc
    .record({ ip: privateAddress, parts: fc.integer({ min: 1, max: 4 }), dot: fc.boolean() })
    .chain(({ ip, parts, dot }) => {
      const leading = octets(ip).slice(0, parts - 1);
      const rest = ip % 2 ** (8 * (5 - parts));
      return fc
        .tuple(...[...leading, rest].map((n) => number.map((write) => write(n))))
        .map((written) => written.join(".") + (dot ? "." : ""));
    });
  const carried = fc
    .record({
      ip: privateAddress,
      prefix: fc.constantFrom("::", "::ffff:", "::FFFF:0:", "64:ff9b::", "0:0:0:0:0:ffff:"),
      dotted: fc.boolean(),
    })
    .map(({ ip, prefix, dotted }) => {
      const hex = `${(ip >>> 16).toString(16)}:${(ip & 0xffff).toString(16)}`;
      return `[${prefix}${dotted ? octets(ip).join(".") : hex}]`;
    });
  const port = fc.constantFrom("", ":443", ":8080", ":8443");

  test("refuses a private IPv4 address written in one to four decimal, hex or octal parts", () => {
    fc.assert(
      fc.property(spelled, port, (host, suffix) => {
        const code = verdict(`https://${host}${suffix}/`, DEPLOYED);
        expect(["address-not-public", "address-loopback"]).toContain(code);
      }),
      { numRuns: 1000 },
    );
  });

  test("refuses a private IPv4 address inside an IPv6 one", () => {
    fc.assert(
      fc.property(carried, port, (host, suffix) => {
        const code = verdict(`https://${host}${suffix}/`, DEPLOYED);
        expect(["address-not-public", "address-loopback"]).toContain(code);
      }),
      { numRuns: 1000 },
    );
  });

  test("allows a private IPv4 address under the insecure rules only if it is loopback", () => {
    fc.assert(
      fc.property(spelled, (host) => {
        const isLoopback = new URL(`http://${host}/`).hostname.startsWith("127.");
        const expected = isLoopback ? "ok" : "address-not-public";
        expect(verdict(`http://${host}:3000/`, LOCAL)).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test("never throws, and never accepts a scheme other than https, whatever text it is given", () => {
    const text = fc.oneof(
      fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
      fc.string().map((rest) => `https://${rest}`),
      fc.webUrl({ withQueryParameters: true }),
    );
    fc.assert(
      fc.property(text, (raw) => {
        const judgement = judgeAddress(raw, DEPLOYED);
        if (judgement.ok) expect(judgement.url.protocol).toBe("https:");
      }),
      { numRuns: 1000 },
    );
  });
});
