/** From which addresses a key may be used: CIDRs of IPv4 and IPv6. Pure. */
import ipaddr from "ipaddr.js";

type Range = ReturnType<typeof ipaddr.parseCIDR>;

/** Whether this is an IPv4 or IPv6 address as people write them, without a zone. */
export function isAddress(text: string): boolean {
  // ipaddr.js also takes octal, hex and short forms of IPv4, and those as the tail of IPv6.
  const [, mapped] = /^::ffff:([^:]+\..*)$/i.exec(text) ?? [];
  if (mapped !== undefined) return ipaddr.IPv4.isValidFourPartDecimal(mapped);
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return true;
  return !/[%.]/.test(text) && ipaddr.IPv6.isValid(text);
}

/**
 * A CIDR in one spelling, the bits behind the prefix cleared; a bare address stands for itself alone.
 * IPv4-mapped IPv6 is IPv4. Null when it is neither.
 */
export function parseCidr(text: string): string | null {
  const [, spelt = "", bits] = /^([^/]+)(?:\/([0-9]{1,3}))?$/.exec(text) ?? [];
  if (!isAddress(spelt)) return null;
  let address = ipaddr.parse(spelt);
  const most = address.kind() === "ipv4" ? 32 : 128;
  let prefix = bits === undefined ? most : Number(bits);
  if (prefix > most) return null;
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && prefix >= 96) {
    address = address.toIPv4Address();
    prefix -= 96;
  }
  return address instanceof ipaddr.IPv6
    ? `${ipaddr.IPv6.networkAddressFromCIDR(`${address}/${prefix}`).toRFC5952String()}/${prefix}`
    : `${ipaddr.IPv4.networkAddressFromCIDR(`${address}/${prefix}`)}/${prefix}`;
}

/** Whether an address is within one of the CIDRs; of none at all, every address is. */
export function isAllowedFrom(cidrs: readonly string[], ip: string): boolean {
  if (cidrs.length === 0) return true;
  if (!ipaddr.isValid(ip)) return false;
  // An IPv4 caller may show up as IPv4-mapped IPv6; both spellings are the same address.
  const address = ipaddr.process(ip);
  return cidrs.some((cidr) => matches(address, ipaddr.parseCIDR(cidr)));
}

/** Whether `next` lets anyone in whom `before` did not. */
export function isLooser(next: readonly string[], before: readonly string[]): boolean {
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
