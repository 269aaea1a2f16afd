/** `POST /v1/keys:verify` by hand: the caller's key, the body, the other key, the conditions. */
import { admit, answer, findKey, holds, noteUse, problemOf, readJson, refuse } from "./guard.mjs";

const FIELDS = new Set(["token", "permission", "ip", "dns_name", "organisation_id"]);
const PERMISSION = /^[a-z][a-z0-9-]*:(?:[a-z][a-z0-9-]*|\*)$|^\*$/;
const ADDRESS = /^[0-9a-fA-F.:]+$/;

/** With the same conditions and the same answer as Drawbridge's own. */
export async function verify(request, env, ctx) {
  const caller = await admit(request, env, ctx, "keys:read");
  if (caller instanceof Response) return caller;
  const body = await readJson(request);
  if (body instanceof Response) return body;
  if (!isRight(body)) return refuse(400, "invalid");
  const { token, permission = null, ip = null, dns_name = null, organisation_id = null } = body;
  const now = Date.now();
  const key = await findKey(env.DB, token, now);
  const organisations = key?.organisationIds.filter((id) =>
    caller.key.organisationIds.includes(id),
  );
  const code = codeOf();
  if (code === "valid") noteUse(env.DB, ctx, key.id, organisation_id ?? organisations[0], now);
  const shown = code === "not-found" ? null : key;
  return answer(request, {
    valid: code === "valid",
    code,
    key_id: shown?.id ?? null,
    name: shown?.name ?? null,
    organisations: shown ? organisations : [],
    permissions: shown?.permissions ?? [],
    expires_at: shown?.expiresAt ? new Date(shown.expiresAt).toISOString() : null,
  });

  function codeOf() {
    if (key === null || organisations.length === 0) return "not-found";
    if (dns_name !== null && dns_name.toLowerCase() !== key.dnsName) return "not-found";
    const problem = problemOf(key, ip ?? "", now);
    if (problem) return problem === "unknown" ? "not-found" : problem;
    const isAllowed =
      holds(key, permission) &&
      (organisation_id === null || organisations.includes(organisation_id));
    return isAllowed ? "valid" : "forbidden";
  }
}

function isRight(body) {
  if (typeof body !== "object" || body === null) return false;
  for (const field in body) if (!FIELDS.has(field)) return false;
  const { token, permission, ip, dns_name, organisation_id } = body;
  return (
    typeof token === "string" &&
    token.length <= 1_024 &&
    (permission == null || (typeof permission === "string" && PERMISSION.test(permission))) &&
    (ip == null || (typeof ip === "string" && ADDRESS.test(ip))) &&
    (dns_name == null || (typeof dns_name === "string" && dns_name.length <= 63)) &&
    (organisation_id == null || Number.isSafeInteger(organisation_id))
  );
}
