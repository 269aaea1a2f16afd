/** A secret that signs webhooks: shown when it is asked for, and replaced. */
import { useId, useState } from "preact/hooks";
import { Action } from "../../parts/action";
import { SecondsSelect, type Time } from "../../parts/seconds-select";
import { Copyable } from "../../parts/text";

/** For how long the old secret may sign as well. Seconds. */
const GRACES: readonly Time[] = [
  { seconds: 86_400, words: "for a day" },
  { seconds: 3_600, words: "for an hour" },
  { seconds: 604_800, words: "for 7 days" },
  { seconds: 0, words: "not at all" },
];

interface SigningSecretProps {
  /** Whose secret it is, such as "this endpoint". */
  owner: string;
  /** Reads it. */
  read: () => Promise<{ secret: string }>;
  /** Makes a new one. */
  rotate: (graceSeconds: number) => Promise<{ secret: string }>;
  /** The format has room for one signature: the old secret ends at once. */
  signsAlone?: boolean;
}

/** Shows a secret, and replaces it. */
export function SigningSecret({ owner, read, rotate, signsAlone = false }: SigningSecretProps) {
  const [secret, setSecret] = useState<string | null>(null);
  const [isNew, setIsNew] = useState(false);
  const [grace, setGrace] = useState(86_400);
  const graceId = useId();
  const words = GRACES.find(({ seconds }) => seconds === grace)?.words;
  const show = async () => {
    setSecret((await read()).secret);
    setIsNew(false);
  };
  const replace = async () => {
    setSecret((await rotate(grace)).secret);
    setIsNew(true);
  };
  return (
    <>
      <p class="muted">
        It signs what is sent. With it one can sign as Drawbridge does: keep it as you keep an API
        key.
      </p>
      {secret !== null && (
        <p role="status">
          {isNew && "The new secret: "}
          <Copyable text={secret} label="the secret" />
        </p>
      )}
      <div class="filters">
        {secret === null ? (
          <Action run={show} needs="webhooks:write">
            Show the secret
          </Action>
        ) : (
          <button type="button" onClick={() => setSecret(null)}>
            Hide the secret
          </button>
        )}
        {!signsAlone && (
          <label for={graceId}>
            The old one signs as well
            <SecondsSelect id={graceId} times={GRACES} value={grace} change={setGrace} />
          </label>
        )}
        <Action
          run={replace}
          needs="webhooks:write"
          kind="danger"
          ask={{
            title: "Replace the secret?",
            body: (
              <p>
                A new secret of {owner} signs from now on.{" "}
                {signsAlone
                  ? "In the format ricloud it signs alone: the receiver must know it at once."
                  : grace === 0
                    ? "All older secrets end at once: the receiver must know the new one at once."
                    : `The old one signs as well ${words}. Until then the receiver must know the new one.`}
              </p>
            ),
          }}
        >
          Replace the secret
        </Action>
      </div>
    </>
  );
}
