/**
 * The route on `/v1` with which other services of an organisation find out what an API key may do:
 * `docs/api-keys.md`.
 */
import type { Hono } from "hono";
import * as z from "zod";
import { noteKeyUse } from "../../http/authenticate";
import { readBody } from "../../http/body";
import { keyRoute } from "../../http/guarded-routes";
import type { AppEnv } from "../../http/request-context";
import { findKeyByToken } from "../../keys/key-cache";
import { isWellFormedToken } from "../../keys/key-token";
import { type KeyVerification, verifyKey } from "../../keys/verify-key";
import { parseAddress } from "../../platform/ip-address";
import { permissionName } from "../shared/permission-name";
import { toRfc3339 } from "../shared/wire-time";

const text = (most: number) =>
  z.string("must be a string").max(most, `must have at most ${most} characters`).nullish();

const verifyBody = z
  .strictObject({
    token: z.string("must be a string").max(1_024, "is too long for a token"),
    permission: permissionName.nullish(),
    ip: z
      .string("must be a string")
      .refine((ip) => parseAddress(ip) !== null, "must be an IP address")
      .nullish(),
    dns_name: text(63),
    organisation_id: z.int("must be a whole number").nullish(),
  })
  .transform((body) => ({
    token: body.token,
    asked: {
      permission: body.permission ?? null,
      ip: body.ip ?? null,
      dnsName: body.dns_name ?? null,
      organisationId: body.organisation_id ?? null,
    },
  }));

/** Adds the route to the app. */
export function keyVerificationRoutes(app: Hono<AppEnv>): void {
  app.post(
    "/v1/keys:verify",
    keyRoute("keys:read", async (c, { organisationIds }) => {
      const { token, asked } = await readBody(c, verifyBody);
      const now = Date.now();
      const key = isWellFormedToken(token) ? await findKeyByToken(c.var.db, token, now) : null;
      const verification = verifyKey(key, organisationIds, asked, now);
      const used = asked.organisationId ?? verification.organisationIds[0];
      if (key && verification.code === "valid" && used !== undefined) noteKeyUse(c, key.id, used);
      return c.json(toWire(verification));
    }),
  );
}

function toWire({ code, key, organisationIds }: KeyVerification) {
  return {
    valid: code === "valid",
    code,
    key_id: key?.id ?? null,
    name: key?.name ?? null,
    organisations: organisationIds,
    permissions: key?.permissions ?? [],
    expires_at: toRfc3339(key?.expiresAt ?? null),
  };
}
