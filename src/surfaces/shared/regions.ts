/** The regions that callers may name: Cloudflare's location hints for Durable Objects (2026-11). */
import * as z from "zod";

const REGIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;

/** The schema of a region. */
export const region = z.enum(REGIONS, `must be one of ${REGIONS.join(", ")}`);
