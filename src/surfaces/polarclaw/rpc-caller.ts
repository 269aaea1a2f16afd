/**
 * Finds the caller of an RPC action: by an API key in `Authorization`, or by one of the two signatures of
 * Alibaba's SDKs, made with the key's access key. Then the guard of all surfaces decides. Called by `rpc.ts`.
 */

import { requireKey, requireUsableKey } from "../../http/authenticate";
import { readBodyBytes } from "../../http/body";
import { describeClockDifference } from "../../http/clock-difference";
import { refuseAndCount } from "../../http/failed-attempts";
import { type Call, type Caller, Refused } from "../../http/request-context";
import { parseAccessKeyId, validAccessSecrets } from "../../keys/access-key";
import { findKeyById } from "../../keys/key-cache";
import type { Permission } from "../../keys/permissions";
import { useNonce } from "../../once/nonces";
import { hostOf, type OwnRpcCode, rpcRefusal } from "./errors";
import { type RpcParameters, requireParameter } from "./parameters";
import {
  ACS3,
  type Acs3Authorization,
  type Acs3Request,
  isAcs3SignedBy,
  isRpcSignedBy,
  parseAcs3,
} from "./signatures";

/** How far the time of a signature may be from the server's. */
const CLOCK_MS = 900_000;
const MAX_NONCE_LENGTH = 128;

/** Stands for a key that does not exist. Ids begin at 1, so nobody has the secret of this one. */
const NO_KEY = { id: 0, tokenVersion: 0, previousTokens: [] };

/** Headers of Drawbridge that change what a call does, or in which organisation. */
const MEANINGFUL_HEADERS = ["x-organisation-id", "idempotency-key"];

/** A signature of either kind, with what it says of itself. */
interface Signed {
  accessKeyId: string;
  /** When it was made: the text that was sent. */
  time: string;
  nonce: string;
  isSignedBy: (secret: string) => boolean;
}

/**
 * The caller of an action.
 * @param permission what the caller must hold
 * @throws Refused with this surface's codes
 */
export async function requireRpcCaller(
  c: Call,
  parameters: RpcParameters,
  permission: Permission,
): Promise<Caller> {
  const authorization = c.req.header("Authorization")?.trim() ?? "";
  if (authorization.startsWith("ACS3-")) {
    return requireSigned(c, await readAcs3(c, authorization), permission);
  }
  if (authorization !== "") return requireKey(c, permission);
  if (parameters.has("Signature") || parameters.has("AccessKeyId")) {
    return requireSigned(c, readRpcSignature(c, parameters), permission);
  }
  const now = Date.now();
  return refuseAndCount(
    c,
    now,
    rpcRefusal("IncompleteSignature", "The call is not signed and has no API key: do either."),
  );
}

async function requireSigned(c: Call, signed: Signed, permission: Permission): Promise<Caller> {
  const now = Date.now();
  requireRecent(signed.time, now);
  if (signed.nonce.length > MAX_NONCE_LENGTH) {
    throw refused("InvalidParameter", `The nonce is longer than ${MAX_NONCE_LENGTH} characters.`);
  }
  const id = parseAccessKeyId(signed.accessKeyId);
  const key = id === null ? null : await findKeyById(c.get("db"), id, now);
  // An access key that does not exist is checked and refused in the same way, so that nobody learns
  // which exist.
  const secrets = validAccessSecrets(c.get("config").secret, key ?? NO_KEY, now);
  const isSigned = secrets.some(signed.isSignedBy);
  if (!key || !isSigned) {
    return refuseAndCount(
      c,
      now,
      rpcRefusal(
        "SignatureDoesNotMatch",
        "The signature was not made from what arrived with the secret of this AccessKeyId. Check both halves of the access key, and what is signed.",
      ),
    );
  }
  const caller = await requireUsableKey(c, key, permission);
  // The nonce is used up only now: otherwise a stranger could use up the nonces of others.
  if (!(await useNonce(c.get("db"), `access-key/${key.id}`, signed.nonce, now))) {
    throw refused("SignatureNonceUsed", "This nonce was used within 30 minutes. Draw a new one.");
  }
  return caller;
}

async function readAcs3(c: Call, header: string): Promise<Signed> {
  if (!header.startsWith(`${ACS3} `)) {
    throw refused("InvalidParameter", `Signatures are taken as ${ACS3} only.`);
  }
  const authorization = parseAcs3(header);
  if (!authorization) {
    throw refused(
      "IncompleteSignature",
      `Authorization must be "${ACS3} Credential=…,SignedHeaders=…,Signature=…".`,
    );
  }
  requireAllSigned(c, authorization);
  const request: Acs3Request = {
    method: c.req.method,
    query: new URL(c.req.url).searchParams,
    header: (name) => (name === "host" ? hostOf(c) : c.req.header(name)),
    body: await readBodyBytes(c),
  };
  requireHeader(c, "x-acs-content-sha256");
  return {
    accessKeyId: authorization.accessKeyId,
    time: requireHeader(c, "x-acs-date"),
    nonce: requireHeader(c, "x-acs-signature-nonce"),
    isSignedBy: (secret) => isAcs3SignedBy(secret, request, authorization),
  };
}

/**
 * Refuses a signature that leaves out a header it has to cover: the host, every `x-acs-` header, and the
 * headers of Drawbridge. Somebody on the way could have added or changed it.
 */
function requireAllSigned(c: Call, { signedHeaders }: Acs3Authorization): void {
  const present = Object.keys(c.req.header()).filter(
    (name) => name.startsWith("x-acs-") || MEANINGFUL_HEADERS.includes(name),
  );
  const unsigned = ["host", ...present].find((name) => !signedHeaders.includes(name));
  if (unsigned !== undefined) {
    throw refused("IncompleteSignature", `The header ${unsigned} must be among the signed ones.`);
  }
  const absent = signedHeaders.find((name) => name !== "host" && c.req.header(name) === undefined);
  if (absent !== undefined) {
    throw refused("IncompleteSignature", `The header ${absent} was signed and did not arrive.`);
  }
}

function readRpcSignature(c: Call, parameters: RpcParameters): Signed {
  const unsigned = MEANINGFUL_HEADERS.find((name) => c.req.header(name) !== undefined);
  if (unsigned !== undefined) {
    throw refused(
      "IncompleteSignature",
      `This signature covers parameters only, not the header ${unsigned}: leave it out, or sign with ${ACS3}.`,
    );
  }
  // This signature covers no headers, so headers of the same meaning cannot stand for these parameters.
  for (const name of ["Action", "Version", "Signature"]) requireParameter(parameters, name);
  const methods = { SignatureMethod: "HMAC-SHA1", SignatureVersion: "1.0" };
  for (const [name, value] of Object.entries(methods)) {
    if (requireParameter(parameters, name) !== value) {
      throw refused("InvalidParameter", `${name} must be ${value}.`);
    }
  }
  return {
    accessKeyId: requireParameter(parameters, "AccessKeyId"),
    time: requireParameter(parameters, "Timestamp"),
    nonce: requireParameter(parameters, "SignatureNonce"),
    isSignedBy: (secret) => isRpcSignedBy(secret, c.req.method, parameters),
  };
}

function requireHeader(c: Call, name: string): string {
  const value = c.req.header(name);
  if (value) return value;
  throw refused("MissingParameter", `The header ${name} is missing: the signature needs it.`);
}

function requireRecent(time: string, now: number): void {
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(time) ? Date.parse(time) : Number.NaN;
  if (Number.isNaN(at)) {
    throw refused("InvalidTimeStamp.Format", "The time must be UTC, as 2026-01-31T23:59:59Z.");
  }
  if (Math.abs(now - at) > CLOCK_MS) {
    throw refused(
      "InvalidTimeStamp.Expired",
      `The time is ${describeClockDifference(at, now)}: at most 15 minutes are allowed. Set the clock and sign again.`,
    );
  }
}

function refused(code: OwnRpcCode, message: string): Refused {
  return new Refused(rpcRefusal(code, message));
}
