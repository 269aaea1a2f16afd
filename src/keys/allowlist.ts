/** The allowlist of a key: the CIDRs, IPv4 and IPv6, from which it may be used. Pure. */
import ipaddr from "ipaddr.js";
import { parseAddress } from "../platform/ip-address";

type Range = ReturnType<typeof ipaddr.parseCIDR>;

/**
 * A CIDR in its one canonical spelling, with the bits behind the prefix cleared. An address without a
 * prefix is the CIDR of that address alone. IPv4-mapped IPv6 becomes IPv4. Null: the text is neither.
 */
export function parseCidr(text: string): string | null {
  const [, spelt = "", bits] = /^([^/]+)(?:\/(0|[1-9][0-9]{0,2}))?$/.exec(text) ?? [];
  const parsed = parseAddress(spelt);
  if (parsed === null) return null;
  const most = spelt.includes(":") ? 128 : 32;
  const prefix = bits === undefined ? most : Number(bits);
  if (prefix > most) return null;
  if (parsed instanceof ipaddr.IPv4) {
    const ofIpv4 = prefix - (most - 32);
    if (ofIpv4 >= 0)
      return `${ipaddr.IPv4.networkAddressFromCIDR(`${parsed}/${ofIpv4}`)}/${ofIpv4}`;
  }
  // A prefix shorter than that of all IPv4-mapped addresses: this is a network of IPv6.
  const address = parsed instanceof ipaddr.IPv4 ? parsed.toIPv4MappedAddress() : parsed;
  const network = ipaddr.IPv6.networkAddressFromCIDR(`${address}/${prefix}`);
  return `${network.toRFC5952String()}/${prefix}`;
}

/** The ranges of a list, parsed once for as long as somebody has the list: the cache of keys has it. */
const rangesOf = new WeakMap<readonly string[], readonly Range[]>();

/** Whether an address is in one of the CIDRs. An empty list allows every address. */
export function isAllowedFrom(cidrs: readonly string[], ip: string): boolean {
  if (cidrs.length === 0) return true;
  const address = parseAddress(ip);
  if (address === null) return false;
  const ranges = rangesOf.get(cidrs) ?? cidrs.map((cidr) => ipaddr.parseCIDR(cidr));
  rangesOf.set(cidrs, ranges);
  return ranges.some((range) => matches(address, range));
}

/** Whether the allowlist `next` allows an address that `before` did not. */
export function isWiderAllowlist(next: readonly string[], before: readonly string[]): boolean {
  if (before.length === 0) return false;
  if (next.length === 0) return true;
  const old = before.map((cidr) => ipaddr.parseCIDR(cidr));
  return next.some((cidr) => {
    const [address, prefix] = ipaddr.parseCIDR(cidr);
    return !old.some((range) => prefix >= range[1] && matches(address, range));
  });
}

function matches(address: ipaddr.IPv4 | ipaddr.IPv6, range: Range): boolean {
  return address.kind() === range[0].kind() && address.match(range);
}
