/** Parses IP addresses, and says which addresses count as one client for limits. Pure. */
import ipaddr from "ipaddr.js";

/**
 * An IPv4 or IPv6 address as people write them, without a zone. An IPv4-mapped IPv6 address, in any
 * spelling (`::ffff:1.2.3.4`, `0:0:0:0:0:ffff:102:304`), is the IPv4 address in it. Null: the text is neither.
 */
export function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  // ipaddr.js takes octal, hex and short forms of IPv4 as the tail of IPv6, and `::1.2.3.4` for mapped.
  const groups = text.replace(/[^:]+$/, (tail) =>
    ipaddr.IPv4.isValidFourPartDecimal(tail) ? toGroups(tail) : tail,
  );
  if (/[^0-9a-f:]/i.test(groups) || !ipaddr.IPv6.isValid(groups)) return null;
  return ipaddr.process(groups);
}

/** An IPv4 address as the last two groups of an IPv6 address. */
function toGroups(ipv4: string): string {
  const { parts } = ipaddr.IPv4.parse(ipv4).toIPv4MappedAddress();
  return parts
    .slice(6)
    .map((part) => part.toString(16))
    .join(":");
}

/** An address in its one canonical spelling: IPv4 with dots, IPv6 as in RFC 5952. Null: it is neither. */
export function spellAddress(text: string): string | null {
  const address = parseAddress(text);
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : (address?.toString() ?? null);
}

/**
 * The name under which every limit counts an address: an IPv4 address as it is, and the /64 of an IPv6
 * address, because one client can use every address of its /64. Text that is no address stays as it is.
 */
export function addressBucket(text: string): string {
  const address = parseAddress(text);
  if (address === null) return text;
  if (address instanceof ipaddr.IPv4) return address.toString();
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${address}/64`).toRFC5952String()}/64`;
}
