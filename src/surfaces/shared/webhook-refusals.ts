/** What is wrong with webhook endpoints, on whichever surface they are managed. */
import type { HttpRefusal } from "../../http/request-context";
import { MOST_ENDPOINTS } from "../../webhooks/endpoint";

/** No room for another. */
export const tooManyEndpoints: HttpRefusal = {
  status: 409,
  lasts: false,
  code: "limit-exceeded",
  message: `An organisation can have ${MOST_ENDPOINTS} webhook endpoints. Delete one that is no longer used.`,
};
