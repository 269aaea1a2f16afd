/** The fields of an API key's settings, for a new key and for one that is changed. */
import { Field } from "../../parts/form";
import type { KeyDraft } from "./key-draft";

interface KeyFieldsProps {
  draft: KeyDraft;
  change: (draft: KeyDraft) => void;
  /** Whether it has labels: a new key gets none. */
  labels: boolean;
}

/** The fields: name, end, addresses, people. */
export function KeyFields({ draft, change, labels }: KeyFieldsProps) {
  const set = (field: keyof KeyDraft) => (event: { currentTarget: { value: string } }) =>
    change({ ...draft, [field]: event.currentTarget.value });
  return (
    <>
      <Field label="Name" hint="What the key is for, such as “Game server”.">
        {(props) => (
          <input {...props} value={draft.name} onInput={set("name")} maxLength={100} required />
        )}
      </Field>
      <Field label="Ends" hint="In the time of this machine. Empty: never.">
        {(props) => (
          <input
            {...props}
            type="datetime-local"
            value={draft.expiresAt}
            onInput={set("expiresAt")}
          />
        )}
      </Field>
      <Field
        label="Allowed addresses"
        hint="The key works only from these IP addresses or networks, such as 192.0.2.0/24, one a line. Empty: from anywhere."
      >
        {(props) => (
          <textarea
            {...props}
            rows={2}
            value={draft.ipAllowlist}
            onInput={set("ipAllowlist")}
            spellcheck={false}
          />
        )}
      </Field>
      <Field
        label="E-mail addresses"
        hint="Whom to notify about the key, one a line. If it holds operator:sign-in, these people may sign in with it through Cloudflare Access."
      >
        {(props) => (
          <textarea
            {...props}
            rows={2}
            value={draft.emails}
            onInput={set("emails")}
            spellcheck={false}
          />
        )}
      </Field>
      {labels && (
        <Field label="Labels" hint="Words of yours, to find the key again, one a line.">
          {(props) => <textarea {...props} rows={2} value={draft.labels} onInput={set("labels")} />}
        </Field>
      )}
      <Field
        label="DNS name"
        hint="A user name for your other services: letters, digits and hyphens. Mostly empty."
      >
        {(props) => (
          <input
            {...props}
            value={draft.dnsName}
            onInput={set("dnsName")}
            maxLength={63}
            spellcheck={false}
          />
        )}
      </Field>
    </>
  );
}
