/** Schemas of fields that several bodies and queries of source sessions share. */
import * as z from "zod";
import { humanText } from "../../http/human-text";
import { SOURCE_SESSION_ID } from "../../sources/duplicate-requests";
import { SOURCE_TYPE, SOURCE_TYPE_RULE } from "../shared/id-forms";

const userRule = "must be the id of a user: a number, or a string of digits";

/** The id of a user. Some clients send a number, others a string of digits. */
export const userId = z
  .union(
    [
      z.int().min(0),
      z
        .string()
        .regex(/^[0-9]{1,15}$/)
        .transform(Number),
    ],
    userRule,
  )
  .meta({ description: "The id of one of your users: a number, or a string of digits." });

/** The name of a user or an account. Spaces around it are removed. */
export const identifier = z
  .string("must be a string")
  .transform((text) => text.trim())
  .pipe(humanText(1, 256))
  .meta({
    description: "A name of your choice: 1 to 256 characters. Spaces around it are removed.",
    minLength: 1,
  });

/** An identifier to search for, in the form in which D1 holds it. */
export const identifierQuery = z
  .string()
  .transform((text) => text.trim().normalize("NFC"))
  .meta({ description: "Only with this identifier, which is compared as a whole." });

/** A type of sources. */
export const sourceType = z.string("must be a string").regex(SOURCE_TYPE, SOURCE_TYPE_RULE).meta({
  description:
    "The type of the account, such as `icloud.account`. It decides which connector checks the credentials. `mocks.mock` is built in, for trying.",
  example: "icloud.account",
});

/** The id of a session in a path. It only describes: an id of another form is answered 404. */
export const sourceSessionIdForm = z
  .string()
  .regex(SOURCE_SESSION_ID)
  .meta({ description: "The `id` of a source session: `ses_` and 22 characters." });

/** The three values by which a source is known. */
export const sourceSpec = z
  .object(
    {
      user: userId,
      type: sourceType,
      identifier: identifier.meta({
        description:
          "The account's name at its service: 1 to 256 characters. Spaces around it are removed.",
      }),
    },
    "must be an object with user, type and identifier",
  )
  .transform(({ user, ...rest }) => ({ userId: user, ...rest }));
