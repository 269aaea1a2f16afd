/** The access key of an API key, as several surfaces show it: with it Alibaba's SDKs sign. */
import * as z from "zod";

/** The schema of an access key. */
export const accessKey = z
  .object({ id: z.string(), secret: z.string() })
  .meta({ id: "AccessKey", description: "Signs the calls of Alibaba's SDKs." });
