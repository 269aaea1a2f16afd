/**
 * Checks the two signatures of Alibaba's SDKs: ACS3-HMAC-SHA256, and HMAC-SHA1 version 1.0. Called by
 * `rpc-caller.ts`. Pure: it computes from a request what its client has signed. Parameters are decoded and
 * encoded again for that, because the SDKs send a literal `*` and sign `%2A`.
 *
 * @see Alibaba Cloud, "V3 request structure and signature"; "RPC request structure and signature"
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** The parts of a request that an ACS3 signature covers. */
export interface Acs3Request {
  method: string;
  /** Decoded names and values. */
  query: Iterable<readonly [string, string]>;
  /** A header's value, by its lower-case name. */
  header(name: string): string | undefined;
  body: Uint8Array;
}

/** The parts of an ACS3 `Authorization` header. */
export interface Acs3Authorization {
  accessKeyId: string;
  /** Lower-case names, in the order sent. */
  signedHeaders: readonly string[];
  /** Lower-case hex. */
  signature: string;
}

export const ACS3 = "ACS3-HMAC-SHA256";

// The names are tokens (RFC 9110, 5.6.2): asking for a header of another name would throw.
const ACS3_SHAPE =
  /^ACS3-HMAC-SHA256\s+Credential=([^,\s]+),\s*SignedHeaders=([\w!#$%&'*+.^`|~;-]+),\s*Signature=([0-9a-f]{64})$/;

/** Reads the header; null: it is not of this form. */
export function parseAcs3(header: string): Acs3Authorization | null {
  const [, accessKeyId, names, signature] = ACS3_SHAPE.exec(header) ?? [];
  if (!accessKeyId || !names || !signature) return null;
  const signedHeaders = names.split(";");
  const isPlain =
    new Set(signedHeaders).size === signedHeaders.length && !signedHeaders.includes("");
  return isPlain ? { accessKeyId, signedHeaders, signature } : null;
}

/** Whether this secret signed this request, with its body. */
export function isAcs3SignedBy(
  secret: string,
  request: Acs3Request,
  { signedHeaders, signature }: Acs3Authorization,
): boolean {
  const bodyHash = createHash("sha256").update(request.body).digest("hex");
  if (!isSame(request.header("x-acs-content-sha256") ?? "", bodyHash)) return false;
  const canonical = [
    request.method,
    "/",
    canonicalQuery(request.query),
    ...signedHeaders.map((name) => `${name}:${(request.header(name) ?? "").trim()}`),
    "",
    signedHeaders.join(";"),
    bodyHash,
  ].join("\n");
  const toSign = `${ACS3}\n${createHash("sha256").update(canonical).digest("hex")}`;
  return isSame(signature, createHmac("sha256", secret).update(toSign).digest("hex"));
}

/** Whether this secret signed these parameters (those of query and body together) with HMAC-SHA1. */
export function isRpcSignedBy(
  secret: string,
  method: string,
  parameters: ReadonlyMap<string, string>,
): boolean {
  const signed = [...parameters].filter(([name]) => name !== "Signature");
  const toSign = `${method}&${percentEncode("/")}&${percentEncode(canonicalQuery(signed))}`;
  const right = createHmac("sha1", `${secret}&`).update(toSign).digest("base64");
  return isSame(parameters.get("Signature") ?? "", right);
}

/** RFC 3986, in UTF-8: everything but letters, digits, `-`, `_`, `.` and `~` is escaped. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Sorted by name as the SDKs sort, by UTF-16 code units. */
function canonicalQuery(parameters: Iterable<readonly [string, string]>): string {
  return [...parameters]
    .sort(([a], [b]) => (a < b ? -1 : Number(a > b)))
    .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
    .join("&");
}

function isSame(given: string, right: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(right);
  return a.length === b.length && timingSafeEqual(a, b);
}
