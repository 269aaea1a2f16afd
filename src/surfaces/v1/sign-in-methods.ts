/** The operation on `/v1` that says how operators can sign in, for pages that ask them: `docs/api-keys.md`. */
import * as z from "zod";
import { open, operation } from "../../http/operation";

const METHODS = ["api_key", "cloudflare_access"] as const;

const signInMethods = z
  .object({
    methods: z.array(z.enum(METHODS)).meta({
      description:
        "`api_key`: with an API key, which is always there. `cloudflare_access`: through Cloudflare Access, without a body.",
    }),
  })
  .meta({ id: "SignInMethods" });

/** Says in which ways people can sign in here. It reads nothing but the settings. */
export const listSignInMethods = operation({
  id: "listSignInMethods",
  method: "GET",
  path: "/v1/auth/sign-in-methods",
  caller: open,
  summary: "List the ways to sign in",
  description:
    "A page that signs operators in asks this first. A sign-in code works wherever an API key does.",
  answers: { 200: signInMethods },
  example: {},
  async handle(c) {
    const { access } = c.get("config");
    const methods = access === null ? METHODS.slice(0, 1) : METHODS;
    return { status: 200, body: { methods } };
  },
});
