/** Parts of bodies that more than one call of this surface takes. */
import { z } from "zod";
import { humanText } from "../../http/human-text";
import { SOURCE_TYPE, SOURCE_TYPE_RULE } from "../shared/id-forms";

const userRule = "must be the id of a user: a number, or a string of digits";

/** An id of a user: typed clients send a number, others what they have read from somewhere. */
export const userId = z.union(
  [
    z.int().min(0),
    z
      .string()
      .regex(/^[0-9]{1,15}$/)
      .transform(Number),
  ],
  userRule,
);

/** A user's or an account's name: without the spaces around it, which nobody sees and means. */
export const identifier = z
  .string("must be a string")
  .transform((text) => text.trim())
  .pipe(humanText(1, 256));

/** An identifier that is looked for, in the form in which it is kept. */
export const identifierQuery = z.string().transform((text) => text.trim().normalize("NFC"));

/** A type of sources, such as `icloud.account`. */
export const sourceType = z.string("must be a string").regex(SOURCE_TYPE, SOURCE_TYPE_RULE);

/** What a source is known by. */
export const sourceSpec = z
  .object(
    { user: userId, type: sourceType, identifier },
    "must be an object with user, type and identifier",
  )
  .transform(({ user, ...rest }) => ({ userId: user, ...rest }));
