/** The page to sign in. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { CallError } from "./call";
import { Action } from "./parts/action";
import { Field, Form } from "./parts/form";
import { signIn, startAgain } from "./signed-in";

interface SignInProps {
  /** Why the person is here, if they were signed in; null: they have just come. */
  notice: string | null;
  /** How the deployment lets people in. */
  methods: readonly string[];
}

/** Signing in with an API key, or through Cloudflare Access where it is configured. */
export function SignIn({ notice, methods }: SignInProps) {
  const [token, setToken] = useState("");
  const said = useRef<HTMLParagraphElement>(null);
  const key = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in · Drawbridge";
    // What the person had in hand before is gone: they hear why, or can type at once.
    (said.current ?? key.current)?.focus();
  }, [notice]);
  return (
    <Outside>
      {notice && (
        <p ref={said} tabIndex={-1} role="status" class="notice">
          {notice}
        </p>
      )}
      {methods.includes("cloudflare_access") && <ThroughAccess />}
      <Form submit={() => signInWithKey(token.trim())} needs={null} verb="Sign in">
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
              ref={key}
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
    </Outside>
  );
}

/** What is shown while it is not known whether somebody is signed in. */
export function Starting({ problem }: { problem: string | null }) {
  if (problem === null) return <p class="starting">Loading …</p>;
  return (
    <Outside>
      <p class="problem" role="alert">
        {problem} You are still signed in.
      </p>
      <p>
        <button type="button" class="main" onClick={() => void startAgain()}>
          Try again
        </button>
      </p>
    </Outside>
  );
}

function Outside({ children }: { children: ComponentChildren }) {
  return (
    <main class="sign-in">
      <h1>
        <img src="/shared/icon.svg" alt="" width="36" height="36" />
        Drawbridge
      </h1>
      {children}
    </main>
  );
}

/** Cloudflare Access has confirmed the person's address. Keys of several organisations may list it. */
function ThroughAccess() {
  const [choosing, setChoosing] = useState(false);
  const [organisation, setOrganisation] = useState("");
  const enter = async () => {
    try {
      await signIn({ accessTo: choosing ? Number(organisation) : null });
    } catch (error) {
      // The service's words name a header. The form that comes up asks for it.
      if (!(error instanceof CallError) || error.code !== "several-organisations") throw error;
      setChoosing(true);
    }
  };
  if (!choosing) {
    return (
      <p>
        <Action run={enter} needs={null} kind="main">
          Sign in with Cloudflare Access
        </Action>
      </p>
    );
  }
  return (
    <Form submit={enter} needs={null} verb="Sign in with Cloudflare Access">
      <Field
        label="Number of the organisation"
        hint="You may sign in to several organisations, so say which one. You can change to another afterwards, if your key has several."
      >
        {(props) => (
          <input
            {...props}
            type="number"
            min={1}
            value={organisation}
            onInput={(event) => setOrganisation(event.currentTarget.value)}
            required
          />
        )}
      </Field>
    </Form>
  );
}

async function signInWithKey(token: string): Promise<void> {
  try {
    await signIn({ token });
  } catch (error) {
    // The service speaks of a header, which a person has not sent.
    if (!(error instanceof CallError) || error.code !== "unauthenticated") throw error;
    const words = "This is not one of our API keys. Check that it was copied whole.";
    throw new CallError(words, error.status, error.code);
  }
}
