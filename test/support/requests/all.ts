/**
 * A request that succeeds, for each operation. An operation has a row here only if its example does not
 * succeed in an organisation that is new: its path or its body names something that has to be made first,
 * or the answer is not the only 2xx that it declares. Any other operation is called with its example.
 */
import type { Tenant } from "../client";
import { deviceRequests } from "./devices";
import { keyRequests } from "./keys";
import { relayRequests } from "./relays";
import { sourceRequests } from "./sources";
import { webhookRequests } from "./webhooks";

/** What is sent. What is left out is that of the operation's example. */
export interface RequestRow {
  params?: Record<string, string | number>;
  query?: Record<string, string>;
  body?: Record<string, unknown>;
  /** The status of the answer. Left out: the only 2xx that the operation declares. */
  status?: number;
}

/** By operation id: makes what the request needs in this organisation, and then the request. */
export type RequestRows = Record<string, (tenant: Tenant) => RequestRow | Promise<RequestRow>>;

/** The rows of all operations that have one. */
export const REQUEST_ROWS: RequestRows = {
  ...relayRequests,
  ...keyRequests,
  ...sourceRequests,
  ...webhookRequests,
  ...deviceRequests,
};
