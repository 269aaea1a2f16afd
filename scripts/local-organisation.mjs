/**
 * The organisation of `npm start`, for whoever tries the service on this machine: its API key, the key of the
 * game, and the code that signs its user in to the console.
 *
 * Each function takes the service as `npm start` reaches it: `call(method, path, headers, body)` and
 * `callAsRoot(method, path, body)` resolve to `{ status, text }`, and `stop(code, message)` ends the script.
 */
import { readOrganisation, writeOrganisation } from "./setup.mjs";

/** What a publishable key may do: host a session. */
const HOSTING = "relays:host";
/** Who a credential belongs to (GET), and where a code is exchanged. */
const SESSION_TOKENS = "/v1/auth/session-tokens";

/** The one that an earlier start made, if its key still works: the same key at every start. */
export async function findOrCreateOrganisation({ call, callAsRoot, stop }) {
  const known = readOrganisation();
  if (known) {
    const { status, text } = await call("GET", SESSION_TOKENS, authorizationOf(known));
    if (status === 200) return known;
    if (status !== 401 && status !== 403) {
      await stop(1, `The API key of the last start could not be checked: ${status} ${text}`);
    }
  }
  const newOne = JSON.stringify({ name: "Local" });
  const { status, text } = await callAsRoot("POST", "/v1/organisations", newOne);
  if (status !== 201) await stop(1, `No organisation could be made: ${status} ${text}`);
  const { id, name, webhook_secret, api_key } = JSON.parse(text);
  const organisation = { id, name, webhook_secret, api_key: api_key.token };
  writeOrganisation(organisation);
  return organisation;
}

/**
 * The game at /play/ hosts with a publishable key of its own: the same one at every start. True: it is new,
 * and stands in `organisation.game_key` now.
 */
export async function giveGameItsKey({ call, stop }, organisation) {
  const post = (path, body) =>
    call("POST", path, authorizationOf(organisation), JSON.stringify(body));
  if (organisation.game_key) {
    const asked = { token: organisation.game_key, permission: HOSTING };
    const { status, text } = await post("/v1/keys:verify", asked);
    if (status === 200 && JSON.parse(text).valid) return false;
  }
  const { status, text } = await post("/api-keys", {
    name: "The game at /play/",
    emails: [],
    organizationsIds: [organisation.id],
    permissions: [HOSTING],
  });
  if (status !== 201) await stop(1, `No key could be made for the game: ${status} ${text}`);
  organisation.game_key = JSON.parse(text).token.value;
  writeOrganisation(organisation);
  return true;
}

/**
 * A new sign-in code of the organisation's API key. Null: its user has taken the permission to sign in from
 * that key.
 */
export async function newSignInCode({ call, callAsRoot, stop }, organisation) {
  const own = await call("GET", SESSION_TOKENS, authorizationOf(organisation));
  if (own.status !== 200) await stop(1, `The API key does not work: ${own.status} ${own.text}`);
  const body = JSON.stringify({ key_id: JSON.parse(own.text).key_id });
  const { status, text } = await callAsRoot("POST", "/v1/auth/sign-in-codes", body);
  if (status === 409) return null;
  if (status !== 201) await stop(1, `No sign-in code could be made: ${status} ${text}`);
  return JSON.parse(text).code;
}

function authorizationOf({ api_key }) {
  return { authorization: `token ${api_key}` };
}
