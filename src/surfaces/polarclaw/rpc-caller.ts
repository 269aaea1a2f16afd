/**
 * Who calls an RPC action: an API key in `Authorization`, or the key's access key pair in one of the
 * two signatures of Alibaba's SDKs. Either way the guard behind it is the one of all surfaces.
 */

import { requireKey, requireUsable } from "../../http/authenticate";
import { readBodyBytes } from "../../http/body";
import { fail } from "../../http/failed-attempts";
import { type Call, type Caller, Refused } from "../../http/request-context";
import { parseAccessKeyId, validAccessSecrets } from "../../keys/access-key";
import { findKeyById } from "../../keys/key-cache";
import type { Permission } from "../../keys/permissions";
import { useNonce } from "../../once/nonces";
import { describeDifference } from "../shared/wire-time";
import { hostOf, type OwnRpcCode, rpcRefusal } from "./errors";
import { type Parameters, requireParameter } from "./parameters";
import {
  ACS3,
  type Acs3Authorization,
  type Acs3Request,
  isAcs3SignedBy,
  isRpcSignedBy,
  parseAcs3,
} from "./signatures";

/** A signature's time may be off by so much. */
const CLOCK_MS = 900_000;
const MOST_NONCE_LENGTH = 128;

/** Ids of keys begin with 1: nobody has the secret of this one. */
const NO_KEY = { id: 0, tokenVersion: 0, previousTokens: [] };

/** Headers beside Alibaba's own that change what a call does, or for whom. */
const MEANINGFUL_HEADERS = ["x-organisation-id", "idempotency-key"];

/** What a signature says of itself, however it was sent. */
interface Signed {
  accessKeyId: string;
  /** When it was made, as it was sent. */
  time: string;
  nonce: string;
  isSignedBy: (secret: string) => boolean;
}

/**
 * The caller, who holds `permission`.
 * @throws Refused with this surface's codes
 */
export async function requireRpcCaller(
  c: Call,
  parameters: Parameters,
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
  return fail(
    c,
    now,
    rpcRefusal("IncompleteSignature", "The call is not signed and has no API key: do either."),
  );
}

async function requireSigned(c: Call, signed: Signed, permission: Permission): Promise<Caller> {
  const now = Date.now();
  requireRecent(signed.time, now);
  if (signed.nonce.length > MOST_NONCE_LENGTH) {
    throw refused("InvalidParameter", `The nonce is longer than ${MOST_NONCE_LENGTH} characters.`);
  }
  const id = parseAccessKeyId(signed.accessKeyId);
  const key = id === null ? null : await findKeyById(c.var.db, id, now);
  // Whether an access key exists is told to nobody: one that does not is checked and refused alike.
  const secrets = validAccessSecrets(c.var.config.secret, key ?? NO_KEY, now);
  const isSigned = secrets.some(signed.isSignedBy);
  if (!key || !isSigned) {
    return fail(
      c,
      now,
      rpcRefusal(
        "SignatureDoesNotMatch",
        "The signature was not made from what arrived with the secret of this AccessKeyId. Check both halves of the access key, and what is signed.",
      ),
    );
  }
  const caller = await requireUsable(c, key, permission);
  // Only now: otherwise a stranger could use up the nonces of others.
  if (!(await useNonce(c.var.db, `access-key/${key.id}`, signed.nonce, now))) {
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
 * What is not signed could have been added on the way: the host, all `x-acs-` headers and those that
 * change what the call does must be.
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

function readRpcSignature(c: Call, parameters: Parameters): Signed {
  const unsigned = MEANINGFUL_HEADERS.find((name) => c.req.header(name) !== undefined);
  if (unsigned !== undefined) {
    throw refused(
      "IncompleteSignature",
      `This signature covers parameters only, not the header ${unsigned}: leave it out, or sign with ${ACS3}.`,
    );
  }
  // The header of the same meaning is not signed here, so these must be parameters.
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
      `The time is ${describeDifference(at, now)}: at most 15 minutes are allowed. Set the clock and sign again.`,
    );
  }
}

function refused(code: OwnRpcCode, message: string): Refused {
  return new Refused(rpcRefusal(code, message));
}
