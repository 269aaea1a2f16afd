/** The page to sign in. */
import { useState } from "preact/hooks";
import { Action } from "./parts/action";
import { Field, Form } from "./parts/form";
import { signIn } from "./signed-in";

interface SignInProps {
  /** Why the person is here, if they were signed in; null: they have just come. */
  notice: string | null;
  /** How the deployment lets people in. */
  methods: readonly string[];
}

/** Signing in with an API key, or through Cloudflare Access where it is configured. */
export function SignIn({ notice, methods }: SignInProps) {
  const [token, setToken] = useState("");
  return (
    <main class="sign-in">
      <h1>
        <img src="/shared/icon.svg" alt="" width="36" height="36" />
        Drawbridge
      </h1>
      {notice && <p role="status">{notice}</p>}
      {methods.includes("cloudflare_access") && (
        <p>
          <Action run={() => signIn(null)} needs={null} kind="main">
            Sign in with Cloudflare Access
          </Action>
        </p>
      )}
      <Form submit={() => signIn({ token: token.trim() })} needs={null} verb="Sign in">
        <Field
          label="API key"
          hint={
            <>
              It holds <code>operator:sign-in</code>, and is exchanged for a session of at most 12
              hours. The key itself is not kept.
            </>
          }
        >
          {(props) => (
            <input
              {...props}
              type="password"
              value={token}
              onInput={(event) => setToken(event.currentTarget.value)}
              placeholder="drb_…"
              autocomplete="off"
              spellcheck={false}
              required
            />
          )}
        </Field>
      </Form>
      <p class="muted">
        On your own machine <code>npm start</code> prints a link that signs you in, and a key.
      </p>
    </main>
  );
}
