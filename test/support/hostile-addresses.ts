/** Addresses to which Drawbridge must never send, as somebody might write them. */
import type { AddressRefusalCode, AddressRules } from "../../src/outbound/address";

/** Further hostnames of the deployment, under which the tests do not call it. */
export const OTHER_HOSTNAMES = "Relay.Example.NET., drawbridge.acme.workers.dev:8443,bücke.example";

/** The rules of a deployment at https://drawbridge.example.com and at those other hostnames. */
export const DEPLOYED: AddressRules = {
  allowInsecure: false,
  ownHosts: [
    "drawbridge.example.com",
    "relay.example.net.",
    "drawbridge.acme.workers.dev:8443",
    "bücke.example",
  ],
};

/** The addresses of a block of text: separated by whitespace, which none of them contains. */
export const addresses = (text: string) => text.trim().split(/\s+/);

/** Hostile addresses, by the rule that each breaks first. */
export const HOSTILE: Record<AddressRefusalCode, string[]> = {
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
    https://relay.example.net/hooks  https://RELAY.example.net.:8443/  https://bücke.example/
    https://drawbridge.acme.workers.dev/v1/health  https://xn--bcke-0ra.example/
  `),
  "address-port": addresses(`
    https://example.com:0/  https://example.com:1/  https://example.com:22/  https://example.com:25/
    https://example.com:81/  https://example.com:444/  https://example.com:3000/
    https://example.com:6379/  https://example.com:8081/  https://example.com:65535/
    https://8.8.8.8:53/  https://[2606:4700::1111]:5432/
  `),
};

/**
 * Spellings of a receiver's own address with which a careless judge would let a request through.
 */
export function spellingsOf(receiverUrl: string): string[] {
  const { port, pathname } = new URL(receiverUrl);
  const hosts = addresses(`
    127.0.0.1  127.0.0.1.  127.1  2130706433  0x7f000001  0177.0.0.1  %31%32%37.0.0.1  localhost
    LOCALHOST.  a.localhost  0.0.0.0  0  [::1]  [::]  [::ffff:127.0.0.1]  [::ffff:7f00:1]
    user@127.0.0.1  example.com@127.0.0.1
  `);
  return ["http", "https"].flatMap((scheme) =>
    hosts.map((host) => `${scheme}://${host}:${port}${pathname}`),
  );
}
