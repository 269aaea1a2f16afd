/** The forms of ids that more than one surface reads, and the descriptions of those in paths. */
import * as z from "zod";

/** An event's id, on `/v1` and in ricloud's format: a UUID in lower case. */
export const EVENT_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A type of sources, such as `icloud.account`. */
export const SOURCE_TYPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Describes an id in a path that is a number: an id of what `subject` says, such as "a user". */
export function integerIdForm(subject: string) {
  return z
    .int()
    .min(1)
    .meta({ description: `The \`id\` of ${subject}.` });
}

/** Describes an event's id in a path. */
export const eventIdForm = z
  .string()
  .regex(EVENT_ID)
  .meta({ description: "The `id` of an event." });

/** The message about a type in another form, after the name of the field. */
export const SOURCE_TYPE_RULE =
  "must be 1 to 64 letters, digits, dots, _ or -, like icloud.account";
