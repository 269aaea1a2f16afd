/** Short codes for people to read aloud, compare and type: join codes, setup codes, fingerprints. Pure. */

/** Digits and capitals without the look-alikes 0 O, 1 I L, 2 Z, 5 S, 8 B. */
const ALPHABET = "34679ACDEFGHJKMNPQRTUVWXY";

/**
 * A code of `length` characters, 4.6 bits each.
 * @param bytes random bytes, or a digest, read as one number with the most significant byte first. Give at
 *   least 8 bits more than the code holds: then no code is noticeably more likely than another
 */
export function codeFrom(bytes: Uint8Array, length: number): string {
  let rest = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  let code = "";
  for (let i = 0; i < length; i++) {
    code += ALPHABET.charAt(Number(rest % BigInt(ALPHABET.length)));
    rest /= BigInt(ALPHABET.length);
  }
  return code;
}
