/** Makes an API key, and shows its token once. */
import { createApiKey } from "drawbridge-client";
import { useState } from "preact/hooks";
import { CallError, result } from "../../call";
import { Form } from "../../parts/form";
import { Back } from "../../parts/tabs";
import { Untrusted } from "../../parts/text";
import { HOSTING } from "../../permission-words";
import { goTo } from "../../routes";
import { signedIn } from "../../signed-in";
import { changesOf, EMPTY_DRAFT } from "./key-draft";
import { KeyFields } from "./key-fields";
import { PermissionPicker } from "./permission-picker";
import { ShownOnce, useMade } from "./shown-once";

/** The form, and then the token. */
export function NewKey() {
  const [draft, setDraft] = useState(EMPTY_DRAFT);
  const [ticked, setTicked] = useState<readonly string[]>([]);
  const [others, setOthers] = useState<readonly number[]>([]);
  const { made, make, done } = useMade<Awaited<ReturnType<typeof create>>>();
  const now = signedIn.value;
  if (made) {
    const close = () => {
      done();
      goTo("keys", String(made.id));
    };
    return (
      <ShownOnce
        title="The new API key"
        secrets={{ token: made.token.value, accessKey: made.access_key }}
        close={close}
      >
        <p>
          This is the token of <Untrusted text={made.name} />. Copy it to where the program reads
          it.
        </p>
        {ticked.includes(HOSTING) && (
          <p>The key is publishable: it may stand in a game or a page that anybody can read.</p>
        )}
      </ShownOnce>
    );
  }
  if (now.state !== "in") return null;
  const { organisation_id: home, organisations } = now.person;
  const submit = () => make(() => create(draft, ticked, [home, ...others]));
  return (
    <>
      <Back to={["keys"]}>All API keys</Back>
      <h1>A new API key</h1>
      <Form submit={submit} needs="keys:write" verb="Make the key" cancel={() => goTo("keys")}>
        <KeyFields draft={draft} change={setDraft} labels={false} />
        {organisations.length > 1 && (
          <fieldset>
            <legend>Also acts in</legend>
            {organisations
              .filter(({ id }) => id !== home)
              .map(({ id, name }) => (
                <label key={id} class="tick">
                  <input
                    type="checkbox"
                    checked={others.includes(id)}
                    onChange={({ currentTarget: { checked } }) =>
                      setOthers(checked ? [...others, id] : others.filter((one) => one !== id))
                    }
                  />{" "}
                  <Untrusted text={name} />
                </label>
              ))}
          </fieldset>
        )}
        <h2>What it may do</h2>
        <PermissionPicker ticked={ticked} change={setTicked} before={[]} />
      </Form>
    </>
  );
}

async function create(
  draft: typeof EMPTY_DRAFT,
  permissions: readonly string[],
  organisations: readonly number[],
) {
  if (permissions.length === 0) {
    throw new CallError(
      "Choose at least one permission: without any, the key can do nothing.",
      null,
      null,
    );
  }
  const settings = changesOf(EMPTY_DRAFT, draft);
  return result(
    createApiKey({
      body: {
        ...settings,
        name: draft.name.trim(),
        emails: settings.emails ?? [],
        permissions: [...permissions],
        organizationsIds: [...organisations],
      },
    }),
  );
}
