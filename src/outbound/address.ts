/**
 * Judges whether Drawbridge may send to an address that somebody gave us. Routes call it when an address
 * is set or tested, and `signed-post.ts` before each request. Pure.
 *
 * It judges the address as it is written. A public name may resolve to a private address later. A Worker
 * cannot prevent that, since it cannot pin a resolution to a request; the README says so.
 */
import ipaddr from "ipaddr.js";
import { type Config, parseHost } from "../platform/config";
import { parseAddress } from "../platform/ip-address";

/** What may be wrong with an address. */
export const ADDRESS_REFUSALS = [
  "address-too-long",
  "address-characters",
  "address-malformed",
  "address-scheme",
  "address-credentials",
  "address-loopback",
  "address-not-public",
  "address-own-host",
  "address-port",
] as const;

export type AddressRefusalCode = (typeof ADDRESS_REFUSALS)[number];

/** Why we will not send there. `reason` is a sentence for the person who gave the address. */
export type AddressRefusal = { code: AddressRefusalCode; reason: string };

export interface AddressRules {
  /** Allows `http`, any port, and loopback, for local development. Nothing else becomes allowed. */
  allowInsecure: boolean;
  /** Hosts of this deployment, each with its port if it has one (`localhost:8787`). */
  ownHosts: readonly string[];
}

/** The vars that say where this deployment sends. */
export type SendingConfig = Pick<Config, "allowInsecureWebhooks" | "ownHostnames">;

/**
 * The rules for an address that somebody gave us.
 * @param origin where the API was called when the address was set, such as `https://relay.example.com`.
 *   A deployment whose configuration does not name its hostnames knows at least this one.
 */
export function addressRules(config: SendingConfig, origin: string): AddressRules {
  return {
    allowInsecure: config.allowInsecureWebhooks,
    ownHosts: [new URL(origin).host, ...config.ownHostnames],
  };
}

/** `url` is where to send: the parsed form that was judged, so that no other parser reads it differently. */
export type AddressJudgement = { ok: true; url: URL } | { ok: false; refusal: AddressRefusal };

/** In characters, as written and as sent. Common proxies and servers refuse longer ones. */
const LONGEST_URL = 2048;

/** The ports on which web servers are usually found; others could be anything that is not one. */
const WEB_PORTS: ReadonlySet<number> = new Set([80, 443, 8080, 8443]);

/**
 * Control and invisible characters, whitespace, lone surrogates and the backslash. URL parsers drop or
 * rewrite them silently, each in its own way, so a person would read another address than is requested.
 */
const UNSAFE_CHARACTERS = /[\p{Cc}\p{Cf}\p{Cs}\p{Z}\\]/u;

/** Suffixes that only a local network resolves (RFC 6762, RFC 8375, ICANN's `.internal`). */
const LOCAL_SUFFIXES = [".local", ".internal", ".home.arpa"];

/** IANA's IPv4 special-purpose registry, with multicast and the reserved class E. */
const NOT_PUBLIC_IPV4 = networks({
  "0.0.0.0/8": "this network",
  "10.0.0.0/8": "private",
  "100.64.0.0/10": "shared by carriers",
  "127.0.0.0/8": "loopback",
  "169.254.0.0/16": "link-local",
  "172.16.0.0/12": "private",
  "192.0.0.0/24": "for protocol assignments",
  "192.0.2.0/24": "for documentation",
  "192.88.99.0/24": "for 6to4 relays",
  "192.168.0.0/16": "private",
  "198.18.0.0/15": "for benchmarks",
  "198.51.100.0/24": "for documentation",
  "203.0.113.0/24": "for documentation",
  "224.0.0.0/4": "multicast",
  "240.0.0.0/4": "reserved",
});

/**
 * Only 2000::/3 is global unicast, without the networks below. Networks whose addresses contain an IPv4
 * address are refused, whatever that address is: nobody needs to write a public address that way.
 */
const GLOBAL_UNICAST_IPV6 = ipaddr.IPv6.parseCIDR("2000::/3");
const NOT_PUBLIC_IPV6 = networks({
  // Teredo is 2001::/32, ORCHID 2001:10::/28 and 2001:20::/28, benchmarks 2001:2::/48.
  "2001::/23": "for protocol assignments, such as Teredo and ORCHID",
  "2001:db8::/32": "for documentation",
  "2002::/16": "6to4",
  "3fff::/20": "for documentation",
});

/**
 * Judges whether we may send to `raw`. The refusal names the first rule it breaks, in this order:
 * length, characters, form, scheme, credentials, host, own host, port.
 *
 * @throws Error when one of `rules.ownHosts` is not `host` or `host:port`: that is a mistake in the configuration.
 */
export function judgeAddress(raw: string, rules: AddressRules): AddressJudgement {
  if (raw.length > LONGEST_URL) return tooLong();
  if (UNSAFE_CHARACTERS.test(raw)) {
    return refuse(
      "address-characters",
      "The address contains whitespace, a backslash, or a control or invisible character; percent-encode it or take it out.",
    );
  }
  const url = URL.parse(raw);
  if (url === null) {
    return refuse(
      "address-malformed",
      "The address is not a complete URL; write it like https://example.com/path.",
    );
  }
  const schemes = rules.allowInsecure ? ["https:", "http:"] : ["https:"];
  if (!schemes.includes(url.protocol)) {
    return refuse(
      "address-scheme",
      `The address begins with ${url.protocol} where only ${schemes.join(" and ")} can be used; begin it with https://.`,
    );
  }
  // Encoding to ASCII makes it longer: up to nine characters for one.
  if (url.href.length > LONGEST_URL) return tooLong();
  if (url.username !== "" || url.password !== "") {
    return refuse(
      "address-credentials",
      "The address contains a user name or password; take it out, and check the signature to know the request is ours.",
    );
  }

  return judgeHost(url, rules);
}

/** The second half of `judgeAddress`: the host and the port of an address whose form is right. */
function judgeHost(url: URL, rules: AddressRules): AddressJudgement {
  const host = classifyHost(url.hostname);
  if (host.kind === "malformed") {
    return refuse(
      "address-malformed",
      `The host ${url.hostname} has an empty label; write it without the superfluous dot.`,
    );
  }
  if (host.kind === "not-public") {
    return refuse(
      "address-not-public",
      `The host ${url.hostname} ${host.why}; use one that can be reached from the internet.`,
    );
  }
  if (host.kind === "loopback" && !rules.allowInsecure) {
    return refuse(
      "address-loopback",
      `The host ${url.hostname} means this machine itself; use one that can be reached from the internet.`,
    );
  }
  if (rules.ownHosts.some((ownHost) => isOwnHost(url, host, ownHost))) {
    return refuse(
      "address-own-host",
      `The host ${url.hostname} is this deployment itself, which would answer its own requests; use another.`,
    );
  }
  if (!rules.allowInsecure && !WEB_PORTS.has(portOf(url))) {
    return refuse(
      "address-port",
      `The address uses port ${portOf(url)}; use one of ${[...WEB_PORTS].join(", ")}.`,
    );
  }
  return { ok: true, url };
}

type Host =
  | { kind: "public" }
  | { kind: "loopback" }
  | { kind: "not-public"; why: string }
  | { kind: "malformed" };

/**
 * Takes the hostname of a parsed `http:` or `https:` URL. Its parser (WHATWG) has already turned
 * every spelling of an IPv4 address into four decimals, lower-cased and percent-decoded names, made
 * them ASCII, and failed on zone ids and on names that end in a number without being an address.
 */
function classifyHost(hostname: string): Host {
  // Not by `parseAddress`: an IPv4-mapped address is refused here, and not read as the IPv4 address.
  if (hostname.startsWith("[")) return classifyIpv6(ipaddr.IPv6.parse(hostname.slice(1, -1)));
  const address = parseAddress(hostname);
  if (address instanceof ipaddr.IPv4) return classifyIpv4(address);
  return classifyName(withoutTrailingDot(hostname));
}

function classifyIpv4(address: ipaddr.IPv4): Host {
  const network = NOT_PUBLIC_IPV4.find(({ range }) => address.match(range));
  if (network?.use === "loopback") return { kind: "loopback" };
  return unlessSpecial(address, network);
}

function classifyIpv6(address: ipaddr.IPv6): Host {
  if (address.range() === "loopback") return { kind: "loopback" };
  if (!address.match(GLOBAL_UNICAST_IPV6)) {
    return { kind: "not-public", why: "is outside 2000::/3, the public part of IPv6" };
  }
  return unlessSpecial(
    address,
    NOT_PUBLIC_IPV6.find(({ range }) => address.match(range)),
  );
}

/** The library is asked as well: it may know of a special network that the lists above do not have. */
function unlessSpecial(address: ipaddr.IPv4 | ipaddr.IPv6, network: Network | undefined): Host {
  if (network) return { kind: "not-public", why: `is in ${network.cidr}, which is ${network.use}` };
  if (address.range() === "unicast") return { kind: "public" };
  return { kind: "not-public", why: "is in a network with a special purpose" };
}

function classifyName(name: string): Host {
  const labels = name.split(".");
  if (labels.includes("")) return { kind: "malformed" };
  // RFC 6761: `localhost` and all names below it resolve to loopback.
  if (labels.at(-1) === "localhost") return { kind: "loopback" };
  if (labels.length === 1) {
    return { kind: "not-public", why: "is a name that only a local network resolves" };
  }
  const suffix = LOCAL_SUFFIXES.find((local) => `.${name}`.endsWith(local));
  if (suffix)
    return { kind: "not-public", why: `ends in ${suffix}, which only a local network has` };
  return { kind: "public" };
}

/**
 * A public host is ours on any port. Loopback is ours only on our own port: a developer can then run a
 * receiver on another port of the same machine. All spellings of loopback are one host.
 */
function isOwnHost(url: URL, host: Host, ownHost: string): boolean {
  const own = parseOwnHost(ownHost);
  if (host.kind !== "loopback") {
    return withoutTrailingDot(url.hostname) === withoutTrailingDot(own.hostname);
  }
  if (classifyHost(own.hostname).kind !== "loopback") return false;
  // Without a port, it is the default port of a scheme that is not known here.
  return own.port === "" ? url.port === "" : Number(own.port) === portOf(url);
}

function parseOwnHost(ownHost: string): URL {
  // Parsed as a URL so that both hosts went through the same normalisation.
  const url = parseHost(ownHost);
  if (url === null) throw new Error(`ownHost must be host or host:port, not ${ownHost}`);
  return url;
}

function portOf(url: URL): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}

function withoutTrailingDot(hostname: string): string {
  return hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
}

interface Network {
  cidr: string;
  range: [ipaddr.IPv4 | ipaddr.IPv6, number];
  use: string;
}

function networks(uses: Record<string, string>): Network[] {
  return Object.entries(uses).map(([cidr, use]) => ({ cidr, range: ipaddr.parseCIDR(cidr), use }));
}

function tooLong(): AddressJudgement {
  return refuse(
    "address-too-long",
    `The address is longer than ${LONGEST_URL} characters; use a shorter one.`,
  );
}

function refuse(code: AddressRefusalCode, reason: string): AddressJudgement {
  return { ok: false, refusal: { code, reason } };
}
