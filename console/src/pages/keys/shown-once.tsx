/** Secrets that are shown this once: they stay until the person says that they have copied them. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useFocusAtFirst } from "../../parts/focus";
import { useQuestionBeforeLeaving } from "../../parts/shown-once";
import { Copyable } from "../../parts/text";
import { keepPage } from "../../signed-in";

/** The secrets of a key that was made or refreshed. */
export interface KeySecrets {
  token: string;
  /** The pair that signs calls of the RPC. */
  accessKey: { id: string; secret: string } | null;
}

/**
 * What was made with secrets in it. While it is made and shown, the page stays even if the session ends: a
 * refresh of the key with which the person has signed in ends it.
 */
export function useMade<Made>() {
  const [made, setMade] = useState<Made | null>(null);
  const letGo = useRef(() => {});
  useEffect(() => () => letGo.current(), []);
  return {
    /** Null: nothing is shown. */
    made,
    /** Makes it, and shows it. */
    make: async (call: () => Promise<Made>): Promise<void> => {
      letGo.current = keepPage();
      try {
        setMade(await call());
      } catch (error) {
        letGo.current();
        throw error;
      }
    },
    /** It has been copied. */
    done: () => {
      setMade(null);
      letGo.current();
    },
  };
}

interface ShownOnceProps {
  title: string;
  secrets: KeySecrets;
  /** What to know about them. */
  children: ComponentChildren;
  /** They have been copied. */
  close: () => void;
}

/** The secrets, each with a button that copies it. */
export function ShownOnce({ title, secrets, children, close }: ShownOnceProps) {
  const place = useFocusAtFirst<HTMLElement>();
  const { question, copied } = useQuestionBeforeLeaving("The token");
  const { token, accessKey } = secrets;
  return (
    <section class="card shown-once" ref={place} tabIndex={-1} aria-label={title}>
      <h1>{title}</h1>
      {children}
      <dl class="facts">
        <dt>Token</dt>
        <dd>
          <Copyable text={token} label="the token" />
        </dd>
        {accessKey && (
          <>
            <dt>Access key id</dt>
            <dd>
              <Copyable text={accessKey.id} label="the access key id" />
            </dd>
            <dt>Access key secret</dt>
            <dd>
              <Copyable text={accessKey.secret} label="the access key secret" />
            </dd>
          </>
        )}
      </dl>
      <p class="muted">
        This is shown once, and never again.
        {accessKey && " Most programs need only the token. The access key signs calls of the RPC."}
      </p>
      <div class="buttons">
        <button
          type="button"
          class="main"
          onClick={() => {
            copied();
            close();
          }}
        >
          I have copied it
        </button>
      </div>
      {question}
    </section>
  );
}
