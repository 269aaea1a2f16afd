/** How relay permissions say what is wrong: RFC 9457, as `/v1` does, since HULFT's format is not public. */
import { MOST_SKIPPED_ROWS } from "../../db/numbered-pages";
import { problemSurface } from "../../http/problem-details";
import { type HttpRefusal, pathsUnder, Refused } from "../../http/request-context";
import type {
  PermissionRefusal,
  PermissionResult,
} from "../../relay-permissions/manage-permissions";

/** The surface of relay permissions and connections. */
export const permissionSurface = problemSurface(
  "relay-permissions",
  pathsUnder("/api/v2", "/relay", "/connections"),
);

/**
 * The permission or connection after a change.
 * @throws Refused if nothing was changed
 */
export function requireDone<T>(result: PermissionResult<T>): T {
  if (!result.ok) throw refused(result.refusal);
  return result.value;
}

/** What is thrown where a permission or connection is not read or changed. */
export function refused(refusal: PermissionRefusal | { code: "page-too-deep" }): Refused {
  return new Refused(toHttpRefusal(refusal));
}

function toHttpRefusal(refusal: PermissionRefusal | { code: "page-too-deep" }): HttpRefusal {
  switch (refusal.code) {
    case "page-too-deep": {
      const message = `is more than ${MOST_SKIPPED_ROWS} rows away from the beginning and the end of the list: go on with after instead, the key of the last row that you have`;
      return {
        status: 400,
        code: "page-too-deep",
        message: `startIndex ${message}.`,
        problems: [{ path: "startIndex", message }],
      };
    }
    case "permission-exists": {
      const { connectionId, remoteConnectionId, direction } = refusal.key;
      return {
        status: 409,
        lasts: true,
        code: "permission-exists",
        message: `There is a relay permission ${connectionId}/${remoteConnectionId}/${direction} already. Change it with PUT.`,
      };
    }
    case "permission-not-found":
      return {
        status: 404,
        code: "permission-not-found",
        message: "There is no such relay permission.",
      };
    case "connection-not-registered": {
      const message = "must be a connection of your organisation: register it first";
      return {
        status: 400,
        code: "connection-not-registered",
        message: `connectionId ${message}.`,
        problems: [{ path: "connectionId", message }],
      };
    }
    case "connection-exists":
      return {
        status: 409,
        lasts: true,
        code: "connection-exists",
        message: `There is a connection ${refusal.connectionId} already.`,
      };
    case "connection-not-found":
      return {
        status: 404,
        code: "connection-not-found",
        message: "There is no such connection.",
      };
  }
}
