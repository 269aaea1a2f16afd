import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AddressRefusalCode,
  type AddressRules,
  judgeAddress,
} from "../../src/webhooks/address";

const DEPLOYED: AddressRules = { allowInsecure: false, ownHost: "drawbridge.example.com" };
const LOCAL: AddressRules = { allowInsecure: true, ownHost: "localhost:8787" };

/** The addresses of a block of text: separated by whitespace, which none of them contains. */
const addresses = (text: string) => text.trim().split(/\s+/);
const shown = (address: string) => JSON.stringify(address).slice(1, 60);
const verdict = (raw: string, rules: AddressRules) => {
  const judgement = judgeAddress(raw, rules);
  return judgement.ok ? "ok" : judgement.refusal.code;
};

const REFUSED: Record<AddressRefusalCode, string[]> = {
  "address-too-long": [
    `https://example.com/${"a".repeat(2029)}`,
    // Too long as written, short once its path is resolved.
    `https://example.com/${"a/../".repeat(410)}`,
    // Short enough as written, too long once encoded.
    `https://example.com/${"ä".repeat(400)}`,
    `https://example.com/?${"é".repeat(1500)}`,
  ],
  "address-characters": [
    " https://example.com/",
    "https://example.com/ ",
    "https://example.com/a b",
    "https://exam\tple.com/",
    "https://exam\nple.com/",
    "https://example.com/\r\nX-Injected: 1",
    "https://example.com/\u0000",
    "\u0001https://example.com/",
    "https://example.com/\u007f",
    "https://example.com/\u0085",
    "https://example.com/\u00a0",
    "https://example.com/\u2028",
    "https://exam\u200bple.com/",
    "https://exam\u00adple.com/",
    "https://\u202emoc.elpmaxe/",
    "https://example.com/\ufeff",
    "https://example.com/\ud800",
    "https:\\\\example.com\\",
    "https://example.com\\@10.0.0.1/",
    "https://10.0.0.1\\.example.com/",
  ],
  "address-malformed": [
    "",
    ...addresses(`
      example.com  //example.com/  /hook  https://  https:///  https://#  https://?x  hook
      https://example.com:port/  https://example.com:65536/  https://example.com:-1/
      https://exa%00mple.com/  https://exa<mple.com/  https://exa%mple.com/  https://[example.com]/
      https://example..com/  https://.example.com/  https://example.com../  https://./  https://../
      https://localhost../  https://127.0.0.1../  https://10..0.1/
      https://256.256.256.256/  https://1.2.3.4.5/  https://4294967296/  https://0x100000000/
      https://10.0.0.08/  https://example.1/  https://a.b.0x7f/
      https://[::1/  https://::1/  https://[::1%25lo]/  https://[fe80::1%eth0]/  https://[fe80::1%25eth0]/
      https://[::ffff:999.1.1.1]/  https://[1::2::3]/  https://[::10.0.0.01]/
    `),
  ],
  "address-scheme": addresses(`
    http://example.com/  http://10.0.0.1/  HTTP://example.com/  ftp://example.com/  file:///etc/passwd
    gopher://10.0.0.1:6379/_x  ws://example.com/  wss://example.com/  data:text/plain,x
    javascript:alert(1)  blob:https://example.com/1  mailto:a@example.com  example.com:443/hook
    localhost:8787  httpss://example.com/  dict://127.0.0.1:11211/
  `),
  "address-credentials": addresses(`
    https://user@example.com/  https://user:word@example.com/  https://:word@example.com/
    https://example.com@10.0.0.1/  https://example.com:443@10.0.0.1/  https://a%40b@example.com/
    https://example.com%2f@127.0.0.1/
  `),
  "address-loopback": addresses(`
    https://localhost/  https://LOCALHOST/  https://localhost./  https://a.localhost/
    https://a.b.localhost./  https://%6cocalhost/  https://ｌｏｃａｌｈｏｓｔ/  https://localhost:8443/
    https://127.0.0.1/  https://127.0.0.1./  https://127.255.255.254/  https://127.1/  https://127.0.1/
    https://2130706433/  https://0x7f000001/  https://0x7F.1/  https://0177.0.0.1/  https://017700000001/
    https://0x7f.0x0.0x0.0x1/  https://0x7f.0.0.01/  https://127。0。0。1/  https://１２７.0.0.1/
    https://①②⑦.0.0.1/  https://%31%32%37.0.0.1/  https:127.0.0.1  https:/127.0.0.1/  https:////127.0.0.1/
    https://127.0.0.1:22/  https://[::1]/  https://[0:0:0:0:0:0:0:1]/  https://[0000::0001]/
    https://[::0.0.0.1]/  https://[::1]:8443/
  `),
  "address-not-public": addresses(`
    https://0.0.0.0/  https://0/  https://0.255.255.255/  https://10.0.0.0/  https://10.255.255.255/
    https://012.0.0.1/  https://167772161/  https://0xa000001/  https://10.1/  https://10.0.0.1:8080/
    https://100.64.0.0/  https://100.127.255.255/  https://169.254.0.1/  https://169.254.169.254/
    https://2852039166/  https://0xa9fea9fe/  https://0251.0376.0251.0376/  https://169.254.43518/
    https://172.16.0.0/  https://172.31.255.255/  https://192.0.0.0/  https://192.0.0.192/
    https://192.0.2.1/  https://192.88.99.1/  https://192.168.0.0/  https://192.168.255.255/
    https://198.18.0.0/  https://198.19.255.255/  https://198.51.100.1/  https://203.0.113.255/
    https://224.0.0.1/  https://239.255.255.255/  https://240.0.0.1/  https://255.255.255.255/
    https://4294967295/  https://192.31.196.1/  https://192.175.48.1/  https://192.52.193.1/
    https://[::]/  https://[::2]/  https://[::10.0.0.1]/  https://[::8.8.8.8]/  https://[::ffff:10.0.0.1]/
    https://[::ffff:a00:1]/  https://[::ffff:7f00:1]/  https://[::ffff:8.8.8.8]/  https://[::ffff:0:10.0.0.1]/
    https://[0:0:0:0:0:FFFF:169.254.169.254]/  https://[64:ff9b::10.0.0.1]/  https://[64:ff9b::8.8.8.8]/
    https://[64:ff9b:1::1]/  https://[64:ff9b:1:ffff::1]/  https://[100::1]/  https://[100:0:0:1::1]/
    https://[1fff:ffff::1]/  https://[2001::1]/  https://[2001:0:4136:e378::1]/  https://[2001:2::1]/
    https://[2001:3::1]/  https://[2001:4:112::1]/  https://[2001:10::1]/  https://[2001:20::1]/
    https://[2001:30::1]/  https://[2001:1ff:ffff::1]/  https://[2001:db8::1]/
    https://[2001:db8:ffff:ffff::1]/  https://[2002::1]/  https://[2002:a00:1::]/  https://[2002:808:808::1]/
    https://[2620:4f:8000::1]/  https://[3fff::1]/  https://[3fff:fff:ffff::1]/  https://[4000::1]/
    https://[5f00::1]/  https://[fc00::1]/  https://[fd00:ec2::254]/  https://[fdff:ffff::1]/
    https://[fe80::1]/  https://[febf:ffff::1]/  https://[fec0::1]/  https://[ff02::1]/  https://[ffff::1]/
    https://intranet/  https://intranet./  https://INTRANET/  https://router:8443/  https://com/
    https://local/  https://internal/  https://printer.local/  https://printer.local./
    https://PRINTER.LOCAL/  https://printer%2elocal/  https://printer。local/  https://a.b.internal/
    https://metadata.google.internal/  https://metadata.google.internal./  https://home.arpa/
    https://home.arpa./  https://nas.home.arpa/  https://NAS.Home.Arpa./
  `),
  "address-own-host": addresses(`
    https://drawbridge.example.com/  https://drawbridge.example.com./  https://DRAWBRIDGE.example.COM/v1
    https://drawbridge.example.com:443/  https://drawbridge.example.com:8443/
    https://drawbridge.example.com:22/  https://drawbridge%2eexample.com/
    https://ｄrawbridge.example.com/  https://drawbridge。example。com。/
  `),
  "address-port": addresses(`
    https://example.com:0/  https://example.com:1/  https://example.com:22/  https://example.com:25/
    https://example.com:81/  https://example.com:444/  https://example.com:3000/
    https://example.com:6379/  https://example.com:8081/  https://example.com:65535/
    https://8.8.8.8:53/  https://[2606:4700::1111]:5432/
  `),
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

describe("of a deployment", () => {
  for (const [code, list] of Object.entries(REFUSED)) {
    test.each(list.map((raw) => [shown(raw), raw]))(`refuses %s as ${code}`, (_, raw) => {
      expect(verdict(raw, DEPLOYED)).toBe(code);
    });
  }

  test("refuses at least 120 different hostile addresses, and says why in a sentence", () => {
    const all = new Set(Object.values(REFUSED).flat());
    expect(all.size).toBeGreaterThanOrEqual(120);
    for (const raw of all) {
      const judgement = judgeAddress(raw, DEPLOYED);
      expect(judgement.ok ? "" : judgement.refusal.reason).toMatch(/^The .+; .+\.$/);
    }
  });

  test("names the network in the reason, with the address that the spelling came down to", () => {
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
    const unknown = { ...DEPLOYED, ownHost: null };
    expect(verdict("https://drawbridge.example.com/", unknown)).toBe("ok");
    expect(verdict("https://localhost/", unknown)).toBe("address-loopback");
  });

  test.each([
    ["DrawBridge.Example.COM.", "https://drawbridge.example.com/"],
    ["drawbridge.example.com:8443", "https://drawbridge.example.com/"],
    ["bücke.example", "https://xn--bcke-0ra.example/"],
    ["8.8.8.8:8080", "https://0x08080808/"],
    ["[2606:4700:0:0::1]:8443", "https://[2606:4700::1]/"],
  ])("knows itself as %s in the address %s", (ownHost, raw) => {
    expect(verdict(raw, { allowInsecure: false, ownHost })).toBe("address-own-host");
  });

  test.each(["https://drawbridge.example.com", "a/b", "user@host", "", "a b", "host:port"])(
    "throws when it is told that its own host is %j, since that guards nothing",
    (ownHost) => {
      const judge = () => judgeAddress("https://example.com/", { allowInsecure: false, ownHost });
      expect(judge).toThrow("ownHost must be host or host:port");
    },
  );
});

describe("where insecure addresses are allowed", () => {
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
    const rules = { allowInsecure: true, ownHost: "drawbridge.example.com:8443" };
    expect(verdict("http://drawbridge.example.com:3000/", rules)).toBe("address-own-host");
    expect(verdict("http://localhost:8443/", rules)).toBe("ok");
  });

  test("refuses the default port of loopback when its own host has no port", () => {
    const rules = { allowInsecure: true, ownHost: "localhost" };
    expect(verdict("http://localhost/", rules)).toBe("address-own-host");
    expect(verdict("https://127.0.0.1:443/", rules)).toBe("address-own-host");
    expect(verdict("http://localhost:3000/", rules)).toBe("ok");
  });
});

describe("whatever the spelling", () => {
  /** Networks that nothing public is in, as first address and prefix length. */
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

  test("refuses a private IPv4 address carried in an IPv6 one", () => {
    fc.assert(
      fc.property(carried, port, (host, suffix) => {
        const code = verdict(`https://${host}${suffix}/`, DEPLOYED);
        expect(["address-not-public", "address-loopback"]).toContain(code);
      }),
      { numRuns: 1000 },
    );
  });

  test("allows a private IPv4 address with insecure rules only if it is loopback", () => {
    fc.assert(
      fc.property(spelled, (host) => {
        const isLoopback = new URL(`http://${host}/`).hostname.startsWith("127.");
        const expected = isLoopback ? "ok" : "address-not-public";
        expect(verdict(`http://${host}:3000/`, LOCAL)).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test("never throws, and never accepts another scheme than https, whatever text it is given", () => {
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
