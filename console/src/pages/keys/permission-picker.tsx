/** Chooses the permissions of an API key: each with what it lets its holder do. */
import { useId, useState } from "preact/hooks";
import { Badge } from "../../parts/text";
import { EVERYTHING, OWN_NAME, ownNames, PERMISSION_GROUPS, whyNot } from "../../permission-words";
import { may } from "../../signed-in";
import { entriesOf } from "./key-draft";

interface PickerProps {
  ticked: readonly string[];
  change: (ticked: readonly string[]) => void;
  /** What the key holds already: it may keep that, also what the person does not hold. */
  before: readonly string[];
}

/** The permissions, in groups. What the person may not give is disabled, and says why. */
export function PermissionPicker({ ticked, change, before }: PickerProps) {
  const box = (name: string, words: string) => (
    <Box key={name} name={name} words={words} {...{ ticked, change, before }} />
  );
  return (
    <>
      <fieldset class="dangerous">
        <legend>Everything</legend>
        {box(EVERYTHING, "do everything, now and in later versions, and give it to others")}
        <p class="hint">
          <Badge kind="warn">dangerous</Badge> Whoever has such a key has the whole organisation.
          Choose what the program needs instead.
        </p>
      </fieldset>
      {PERMISSION_GROUPS.map(({ subject, permissions }) => (
        <fieldset key={subject}>
          <legend>{subject}</legend>
          {permissions.map(({ name, words }) => box(name, words))}
        </fieldset>
      ))}
      <OwnNames {...{ ticked, change, before }} />
    </>
  );
}

function Box({
  name,
  words,
  ticked,
  change,
  before,
}: PickerProps & { name: string; words: string }) {
  const id = useId();
  const why = whyNot(name, ticked, before, may);
  const isTicked = ticked.includes(name);
  return (
    <div class="permission">
      <input
        type="checkbox"
        id={id}
        checked={isTicked}
        disabled={why !== null}
        aria-describedby={`${id}-words`}
        onChange={(event) => {
          const others = ticked.filter((one) => one !== name);
          change(event.currentTarget.checked ? [...others, name] : others);
        }}
      />
      <label for={id}>
        <code>{name}</code>
      </label>
      <span id={`${id}-words`} class="muted">
        {words}
        {why && <em>. {why}</em>}
      </span>
    </div>
  );
}

/** Names that only the owner's other services know. */
function OwnNames({ ticked, change, before }: PickerProps) {
  const id = useId();
  const [text, setText] = useState(ownNames(ticked).join(" "));
  const typed = entriesOf(text);
  const wrong = typed.filter((name) => !OWN_NAME.test(name));
  const notHeld = typed.filter(
    (name) => OWN_NAME.test(name) && !may(name) && !before.includes(name),
  );
  const type = (next: string) => {
    setText(next);
    const own = entriesOf(next).filter((name) => OWN_NAME.test(name));
    change([...ticked.filter((name) => !OWN_NAME.test(name)), ...own]);
  };
  return (
    <fieldset>
      <legend>Names of your own</legend>
      <label class="unseen" for={id}>
        Names of your own
      </label>
      <input
        id={id}
        class="own-names"
        value={text}
        onInput={(event) => type(event.currentTarget.value)}
        aria-describedby={`${id}-hint`}
        spellcheck={false}
      />
      <p class="hint" id={`${id}-hint`}>
        For your other services, and scopes that an approver of devices must hold, such as
        operator.read. Letters, digits, dots, _ or -, with spaces between the names.
      </p>
      {(wrong.length > 0 || notHeld.length > 0) && (
        <p class="problem" role="alert">
          {wrong.length > 0 && `Not a name of your own: ${wrong.join(", ")}. `}
          {notHeld.length > 0 && `Your own key does not hold: ${notHeld.join(", ")}.`}
        </p>
      )}
    </fieldset>
  );
}
