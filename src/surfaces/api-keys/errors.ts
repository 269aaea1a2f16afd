/** How the surface of API keys says what is wrong: RFC 9457, as `/v1` does. */
import { unknownOrganisation } from "../../http/guard-refusals";
import { problemSurface } from "../../http/problem-details";
import { type HttpRefusal, pathsUnder } from "../../http/request-context";
import { MAX_GRACES } from "../../keys/grace";
import type { KeyChangeRefusal, KeyExcess, KeyLimit } from "../../keys/who-may-change";

/** The surface of API keys. */
export const keySurface = problemSurface("api-keys", pathsUnder("/api-keys"));

/** Why a key was not made, changed or deleted, as an HTTP error. */
export function toKeyRefusal(refusal: KeyChangeRefusal): HttpRefusal {
  switch (refusal.code) {
    case "not-found":
      return keyNotFound;
    case "unknown-organisation":
      return unknownOrganisation;
    case "permission-not-held":
      return {
        status: 403,
        code: "permission-not-held",
        message: `You cannot give ${refusal.permission}: your own API key does not hold it.`,
      };
    case "limit-not-held":
      return {
        status: 403,
        code: "limit-not-held",
        message: `${ownLimits[refusal.limit]} What you make or change must stay within it: send ${refusal.limit} accordingly.`,
      };
    case "key-holds-more":
      return {
        status: 403,
        code: "key-holds-more",
        message: `${describeExcess(refusal.excess)} You may block, narrow or delete it, but not refresh it, give it more, or change who may use it and where it acts.`,
      };
    case "own-limits":
      return {
        status: 403,
        code: "own-limits",
        message:
          "An API key cannot lift its own block, end or allowlist. Use another key to do it.",
      };
    case "shared-key":
      return {
        status: 403,
        code: "shared-key",
        message:
          "This API key also acts elsewhere, so only a key with all of its organisations may change it. Deleting it takes it out of yours.",
      };
    case "dns-name-taken":
      return {
        status: 409,
        lasts: true,
        code: "dns-name-taken",
        message: `dnsName ${refusal.dnsName} is taken. Choose another.`,
      };
    case "too-many-graces":
      return {
        status: 409,
        lasts: false,
        code: "too-many-graces",
        message: `This API key has ${MAX_GRACES} older tokens that still work. Wait until one of them ends, or refresh without a grace, which ends all of them.`,
      };
  }
}

const ownLimits: Readonly<Record<KeyLimit, string>> = {
  expiresAt: "Your own API key, or its token that was refreshed, has an end.",
  ipAllowlist: "Your own API key has an allowlist.",
};

function describeExcess(excess: KeyExcess): string {
  if ("permission" in excess) {
    return `This API key holds ${excess.permission}, which yours does not.`;
  }
  return excess.limit === "expiresAt"
    ? "This API key works longer than yours, or than your token that was refreshed."
    : "This API key works from addresses from which yours does not.";
}

/** No such key, or none that the caller may know of. */
export const keyNotFound: HttpRefusal = {
  status: 404,
  code: "api-key-not-found",
  message: "There is no such API key.",
};
