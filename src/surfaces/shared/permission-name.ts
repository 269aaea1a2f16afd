/** The name of a permission of an API key, as bodies and answers have it. */
import * as z from "zod";
import {
  ALL_PERMISSIONS,
  OWN_PERMISSION,
  PERMISSION_RULE,
  PERMISSIONS,
} from "../../keys/permissions";

/** The schema of a permission's name: `*`, one of `PERMISSIONS`, or a name of the owner's own. */
export const permissionName = z
  .union(
    // Zod shows the union's message where the value is no string, else the message of the form.
    [z.enum([ALL_PERMISSIONS, ...PERMISSIONS]), z.string().regex(OWN_PERMISSION, PERMISSION_RULE)],
    "must be a string",
  )
  .meta({
    id: "KeyPermission",
    description:
      "What a key may do. `*`: everything. A name without a colon is your own, for your other services.",
  });
