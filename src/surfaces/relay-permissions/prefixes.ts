/** The two prefixes of every path of this surface: HULFT's documentation writes the paths without one, and its examples with `/api/v2`. */

/** What stands before a path. Both work in the same way. */
export type Prefix = "" | "/api/v2";

/** The id of an operation under a prefix. */
export function operationId(name: string, prefix: Prefix): string {
  return prefix === "" ? name : `${name}ApiV2`;
}
