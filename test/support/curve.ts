/**
 * As much of Ed25519's curve as an attacker would need: its points of small order in all of their
 * spellings (RFC 8032, section 5.1), and forgeries for them.
 */
import { createHash } from "node:crypto";

const P = 2n ** 255n - 19n;
/** The order of the base point's group. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * inverse(121666n));

type Point = readonly [bigint, bigint];
const IDENTITY: Point = [0n, 1n];

/** All spellings in 32 bytes of the eight points whose order divides 8. */
export function smallOrderKeys(): { name: string; bytes: Uint8Array; order: bigint }[] {
  const seen = new Map<string, { name: string; bytes: Uint8Array; order: bigint }>();
  for (const point of smallOrderPoints()) {
    const [x, y] = point;
    const signs = x === 0n ? [0n, 1n] : [x & 1n];
    for (const sign of signs) {
      for (const spelled of y + P < 2n ** 255n ? [y, y + P] : [y]) {
        const bytes = littleEndian(spelled | (sign << 255n));
        const plain = spelled === y && sign === (x & 1n);
        const hex = Buffer.from(bytes).toString("hex");
        const name = `${plain ? "canonical" : "non-canonical"} ${hex}`;
        seen.set(hex, { name, bytes, order: orderOf(point) });
      }
    }
  }
  return [...seen.values()];
}

/**
 * A signature that is valid for this key of small order and this message, or null: it exists for
 * about one message in as many as the order of the key.
 */
export function forge(key: Uint8Array, order: bigint, message: string): Uint8Array | null {
  const r = littleEndian(1n);
  const hash = createHash("sha512").update(r).update(key).update(message).digest().reverse();
  const k = BigInt(`0x${hash.toString("hex")}`) % L;
  return k % order === 0n ? Uint8Array.from([...r, ...new Uint8Array(32)]) : null;
}

/** A number in 32 bytes, the lowest byte first. */
export function littleEndian(value: bigint): Uint8Array {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse());
}

function smallOrderPoints(): Point[] {
  for (let y = 2n; ; y++) {
    const x = squareRoot(mod((y * y - 1n) * inverse(D * y * y + 1n)));
    if (x === null) continue;
    const point = multiply([x, y], L);
    if (orderOf(point) === 8n)
      return Array.from({ length: 8 }, (_, i) => multiply(point, BigInt(i)));
  }
}

function orderOf(point: Point): bigint {
  let sum = point;
  for (let order = 1n; ; order++) {
    if (sum[0] === 0n && sum[1] === 1n) return order;
    sum = add(sum, point);
  }
}

function multiply(point: Point, times: bigint): Point {
  let [sum, double] = [IDENTITY, point];
  for (let rest = times; rest > 0n; rest >>= 1n) {
    if (rest & 1n) sum = add(sum, double);
    double = add(double, double);
  }
  return sum;
}

function add([x1, y1]: Point, [x2, y2]: Point): Point {
  const product = mod(D * x1 * x2 * y1 * y2);
  return [
    mod((x1 * y2 + x2 * y1) * inverse(1n + product)),
    mod((y1 * y2 + x1 * x2) * inverse(1n - product)),
  ];
}

function squareRoot(square: bigint): bigint | null {
  const root = power(square, (P + 3n) / 8n);
  for (const candidate of [root, mod(root * power(2n, (P - 1n) / 4n))]) {
    if (mod(candidate * candidate) === square) return candidate;
  }
  return null;
}

function inverse(value: bigint): bigint {
  return power(mod(value), P - 2n);
}

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, mod(base)];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

function mod(value: bigint): bigint {
  return ((value % P) + P) % P;
}
