/** The access key of an API key, as several surfaces show it: with it Alibaba's SDKs sign. */
import * as z from "zod";

/** The schema of an access key. */
export const accessKey = z
  .object({
    id: z.string().meta({ description: "It names the key in a signature." }),
    secret: z.string().meta({ description: "It signs, and is never sent." }),
  })
  .meta({
    id: "AccessKey",
    description: "With it Alibaba's SDKs sign the calls of the RPC. It belongs to an API key.",
  });
