/** Gives an API key a new token, with a time in which the one until now still works. */
import { type ApiKey, type ChangedApiKey, updateApiKey } from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { Field, Form } from "../../parts/form";
import { SecondsSelect } from "../../parts/seconds-select";
import { serviceNow } from "../../service-clock";

/** For how long the old token may work, in seconds. The service takes up to seven days. */
const GRACES = [
  { seconds: 0, words: "not at all: it ends at once" },
  { seconds: 3_600, words: "1 hour more" },
  { seconds: 86_400, words: "1 day more" },
  { seconds: 604_800, words: "7 days more" },
] as const;

/** A key with its new token. */
export interface Refreshed {
  key: ChangedApiKey;
  /** What becomes of the token until now. */
  old: string;
}

interface RefreshFormProps {
  apiKey: ApiKey;
  refresh: (call: () => Promise<Refreshed>) => Promise<void>;
  close: () => void;
  /** Whether the person is signed in with this key. */
  isOwn: boolean;
}

/** The form. */
export function RefreshForm({ apiKey: { id }, refresh, close, isOwn }: RefreshFormProps) {
  const [grace, setGrace] = useState<number>(GRACES[1].seconds);
  const submit = () =>
    refresh(async () => {
      const body = { refreshApiToken: true, refreshGraceSeconds: grace };
      const key = await result(updateApiKey({ path: { id }, body }));
      return { key, old: wordsOfOld(grace) };
    });
  return (
    <Form submit={submit} needs="keys:write" verb="Refresh the token" cancel={close}>
      <Field
        label="The token until now works"
        hint="Long enough to bring the new one to every program. “At once” ends all older tokens of this key, too."
      >
        {(props) => <SecondsSelect {...props} times={GRACES} value={grace} change={setGrace} />}
      </Field>
      <p class="hint">
        Whoever is signed in with this key is signed out
        {isOwn ? ". That is you: copy the new token, and sign in with it" : ""}.
      </p>
    </Form>
  );
}

function wordsOfOld(grace: number): string {
  if (grace === 0) return "The token until now works for 10 seconds more at most.";
  const until = new Date(serviceNow.value + grace * 1_000).toLocaleString();
  return `The token until now works until ${until}.`;
}
