/** The API key or person on whose behalf a change is made. Routes build one from the call's caller. */

/**
 * The API key that makes a change, or the person who is signed in with it. The permissions are a
 * mandatory part: no function that takes an actor can forget to check them.
 */
export interface Actor {
  organisationId: number;
  keyId: number;
  permissions: readonly string[];
  /** The session of the person; null: the key itself acts. Without an email it is not known who they are. */
  session: { readonly email: string | null } | null;
}
