import type { HttpRefusal } from "../../http/context";
import { unknownOrganisation } from "../../http/guard-refusals";
import type { ManageRefusal } from "../../keys/change";

/** The one table from the refusals of managing keys to this surface's errors. */
export function toHttpRefusal(refusal: ManageRefusal): HttpRefusal {
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
    case "key-holds-more":
      return {
        status: 403,
        code: "key-holds-more",
        message: `This API key holds ${refusal.permission}, which yours does not. You may block, narrow or delete it, but not refresh it or give it more.`,
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
        code: "dns-name-taken",
        message: `dnsName ${refusal.dnsName} is taken. Choose another.`,
      };
  }
}

/** No such key, or none that the caller may know of. */
export const keyNotFound: HttpRefusal = {
  status: 404,
  code: "api-key-not-found",
  message: "There is no such API key.",
};
