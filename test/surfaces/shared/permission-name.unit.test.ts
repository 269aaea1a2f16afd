/** What the schema of a permission's name takes, says, and shows in the description of the API. */
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { ALL_PERMISSIONS, PERMISSION_RULE, PERMISSIONS } from "../../../src/keys/permissions";
import { permissionName } from "../../../src/surfaces/shared/permission-name";

const messages = (name: unknown) =>
  permissionName.safeParse(name).error?.issues.map(({ message }) => message);

describe("the name of a permission", () => {
  test.each([ALL_PERMISSIONS, ...PERMISSIONS, "accessFtp", "operator.read", "x".repeat(64)])(
    "may be %s",
    (name) => expect(messages(name)).toBeUndefined(),
  );

  test.each(["relays:fly", "relays:", ":", "**", "", "a b", "x".repeat(65), "Relays:read"])(
    "may not be %j, and the one message names all that there are",
    (name) => expect(messages(name)).toEqual([PERMISSION_RULE]),
  );

  test.each([7, null, undefined, ["*"]])("is no %j", (name) =>
    expect(messages(name)).toEqual(["must be a string"]),
  );

  test("is described with every permission that there is", () => {
    for (const io of ["input", "output"] as const) {
      expect(z.toJSONSchema(permissionName, { io }).$defs?.KeyPermission).toMatchObject({
        anyOf: [
          { type: "string", enum: [ALL_PERMISSIONS, ...PERMISSIONS] },
          { type: "string", pattern: "^[A-Za-z0-9._-]{1,64}$" },
        ],
      });
    }
  });
});
