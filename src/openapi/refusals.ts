/**
 * The codes of every refusal of an operation, by status: its own, and those of the guard, the parsing and
 * idempotency, which follow from its declaration.
 */
import { takesIdempotencyKey } from "../http/mount";
import type { Operation, SecurityScheme } from "../http/operation";
import type { HttpRefusal, Surface } from "../http/request-context";

type Status = HttpRefusal["status"];

/** Codes by status, in the order in which they were added. */
class RefusalCodes {
  readonly #codes = new Map<Status, Set<string>>();

  add(status: Status, ...codes: readonly string[]): void {
    const known = this.#codes.get(status) ?? new Set();
    for (const code of codes) known.add(code);
    this.#codes.set(status, known);
  }

  /** By status, the lowest first. */
  entries(): [Status, string[]][] {
    return [...this.#codes]
      .sort(([a], [b]) => a - b)
      .map(([status, codes]) => [status, [...codes]]);
  }
}

/** The statuses and codes that callers of an operation of this surface see. */
export function shownRefusals(operation: Operation, surface: Surface): RefusalCodes {
  const shown = new RefusalCodes();
  for (const [status, codes] of refusalsOf(operation, surface).entries()) {
    for (const code of codes) {
      const seen = surface.errors.shown?.({ status, code }) ?? [{ status, code }];
      for (const error of seen) shown.add(error.status, error.code);
    }
  }
  return shown;
}

/** All refusals of an operation of this surface. */
function refusalsOf(operation: Operation, surface: Surface): RefusalCodes {
  const codes = new RefusalCodes();
  const schemes = securityOf(operation);
  // A handler that checks the credential itself says what it does with the query.
  const isParsed = operation.caller.by !== "handler";
  if (operation.query && isParsed) codes.add(400, "invalid-parameter");
  if (operation.body) addBodyRefusals(codes);
  if (schemes.includes("rootToken")) {
    codes.add(401, "unauthenticated");
    // Else it is the key that is not known.
    if (operation.caller.by !== "root-or-key") codes.add(401, "not-the-root-token");
    codes.add(429, "too-many-failures");
  }
  if (schemes.includes("relayNodeToken")) {
    codes.add(401, "unauthenticated");
    codes.add(429, "too-many-failures");
  }
  if (schemes.includes("apiKey") || schemes.includes("operatorToken")) {
    addKeyRefusals(codes, surface);
  }
  if (takesIdempotency(operation)) {
    // Of calls without a body too: with an Idempotency-Key it is read, to compare it with the first request's.
    addBodyRefusals(codes);
    codes.add(400, "invalid-idempotency-key");
    codes.add(409, "idempotency-key-running", "idempotent-answer-lost");
    codes.add(422, "idempotency-key-reused");
  }
  for (const [status, own] of Object.entries(operation.refusals ?? {})) {
    codes.add(Number(status) as Status, ...own);
  }
  if (operation.addsRows) codes.add(503, "database-full");
  codes.add(500, "internal-error");
  codes.add(503, "unavailable");
  // The few GETs that change something declare it themselves.
  if (operation.method !== "GET") codes.add(503, "changed-meanwhile");
  codes.add(503, "not-configured");
  return codes;
}

/** The credentials of an operation: any one of them will do. None: everybody may call. */
export function securityOf({ caller }: Operation): readonly SecurityScheme[] {
  if (caller.by === "key") return ["apiKey", "operatorToken"];
  if (caller.by === "root-or-key") return ["rootToken", "apiKey", "operatorToken"];
  return caller.by === "root" ? ["rootToken"] : caller.security;
}

/** Whether an Idempotency-Key has a meaning: the caller is known, and the method changes something. */
export function takesIdempotency(operation: Operation): boolean {
  const schemes = securityOf(operation);
  const isKnown = schemes.includes("apiKey") || schemes.includes("rootToken");
  return isKnown && takesIdempotencyKey(operation.method);
}

function addBodyRefusals(codes: RefusalCodes): void {
  codes.add(400, "invalid-body");
  codes.add(413, "body-too-large");
  codes.add(415, "unsupported-encoding");
}

function addKeyRefusals(codes: RefusalCodes, surface: Surface): void {
  codes.add(401, "unauthenticated", "session-ended");
  codes.add(surface.unknownKeyStatus, "unknown-key", "blocked-key", "expired-key");
  // Of calls that every key may make, too: publishable keys may not.
  codes.add(403, "address-refused", "missing-permission");
  codes.add(404, "organisation-not-found");
  codes.add(429, "too-many-failures", "too-many-requests");
}
