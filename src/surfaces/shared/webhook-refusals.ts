/** The refusals of webhook endpoints that both surfaces use. */
import type { HttpRefusal } from "../../http/request-context";
import { MAX_ENDPOINTS } from "../../webhooks/endpoint";

/** The organisation already has as many endpoints as it may have. */
export const tooManyEndpoints: HttpRefusal = {
  status: 409,
  lasts: false,
  code: "limit-exceeded",
  message: `An organisation can have ${MAX_ENDPOINTS} webhook endpoints. Delete one that is no longer used.`,
};
