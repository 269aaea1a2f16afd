/**
 * The operation that rotates a device token on `/v1`. Two kinds of callers may: an operator or a program
 * for a device, and the device itself with its own token.
 */
import * as z from "zod";
import { rotateOwnToken, rotateTokenByOperator } from "../../devices/manage-devices";
import { verifyDeviceToken } from "../../devices/verify-device";
import { readCredential, requireKey } from "../../http/authenticate";
import { refuseAndCount } from "../../http/failed-attempts";
import { idempotencyScope } from "../../http/idempotency";
import { withIdempotencyKey } from "../../http/mount";
import { checkedByHandler, operation, type Shown, toResponse } from "../../http/operation";
import { type Call, Refused } from "../../http/request-context";
import { toDeviceRefusal } from "../shared/device-refusals";
import { deviceServices } from "../shared/device-services";
import { role, scopes } from "./device-fields";
import { DEVICE_PATH, deviceForm, deviceRef, exampleDevice } from "./device-paths";
import { device, newDeviceToken, toDeviceWire } from "./device-wire";

const rotateBody = z.strictObject({
  role: role.meta({ description: "The role whose token is replaced." }),
  scopes: scopes.nullable().default(null).meta({
    description: "What the new token may carry. Absent or null: the same as before.",
  }),
});

/** Who rotates what: the parameters of the path, and the body, which is read after the credential. */
interface Rotation {
  params: { application: string; device: string };
  readBody: () => Promise<z.output<typeof rotateBody>>;
}

/** `POST …/devices/{device}/tokens:rotate`. */
export const rotateDeviceToken = operation({
  id: "rotateDeviceToken",
  method: "POST",
  path: `${DEVICE_PATH}/tokens:rotate`,
  params: deviceForm,
  caller: checkedByHandler("deviceToken", "apiKey", "operatorToken"),
  summary: "Replace a device token by a new one",
  description: [
    "**With an API key** that holds `devices:manage`, or as its operator: the old token stops at once. The device gets its new token when it next sends a signed pairing request. You have to hold the scopes.",
    "**As the device**, with its own token of this role in `Authorization`: the answer has the new token, with the same scopes or fewer. The old one stops at once. `Idempotency-Key` has no meaning then: a device that has lost the answer signs a new pairing request.",
  ].join("\n\n"),
  body: rotateBody,
  answers: { 200: z.union([newDeviceToken, device]) },
  answerTexts: { 200: "As the device: `NewDeviceToken`. With an API key: `Device`." },
  refusals: {
    400: ["exceeds-approved"],
    401: ["wrong-device-token"],
    403: ["scope-not-held", "wrong-role"],
    404: ["application-not-found", "device-not-found", "role-not-approved"],
    409: ["token-revoked"],
  },
  example: { params: exampleDevice, body: { role: "operator" } },
  async handle(c, rotation) {
    // Device tokens begin with drbd_: the device itself calls. Otherwise an operator or a program does.
    const isDevice = /^(?:token|bearer)\s+drbd_/i.test(c.req.header("Authorization")?.trim() ?? "");
    if (isDevice) return { status: 200, body: await rotateOwn(c, rotation) };
    const caller = await requireKey(c, "devices:manage");
    return withIdempotencyKey(c, idempotencyScope(caller), async () => {
      const { role, scopes } = await rotation.readBody();
      const change = { ...deviceRef(rotation.params, caller), role, scopes };
      const result = await rotateTokenByOperator(deviceServices(c), caller, change, Date.now());
      if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
      return toResponse({ status: 200, body: toDeviceWire(result.device) });
    });
  },
});

/** A device sends its own token, and gets another one in its place. */
async function rotateOwn(
  c: Call,
  { params, readBody }: Rotation,
): Promise<Shown<typeof newDeviceToken>> {
  const now = Date.now();
  const services = { db: c.get("db"), ctx: c.executionCtx };
  const anyDevice = { organisationId: null, scope: null };
  const verified = await verifyDeviceToken(
    services,
    readCredential(c, now, "device token"),
    anyDevice,
    now,
  );
  const own = verified.ok ? verified.device : null;
  const isOwn = own?.id === params.device && own?.applicationId === params.application;
  if (!verified.ok || !isOwn) return refuseAndCount(c, now, wrongDeviceToken);
  const { role, scopes } = await readBody();
  if (role !== verified.role) {
    throw new Refused({
      status: 403,
      code: "wrong-role",
      message: `This token is of the role ${verified.role}: it rotates no other.`,
    });
  }
  const result = await rotateOwnToken(deviceServices(c), verified, scopes, now);
  if (!result.ok) throw new Refused(toDeviceRefusal(result.refusal));
  return { device_token: result.token, role: result.role, scopes: result.scopes };
}

const wrongDeviceToken = toDeviceRefusal({ code: "wrong-device-token" });
