/** The memo of a relay permission, and the form that changes it. */
import { type RelayPermission, updateRelayPermission } from "drawbridge-client";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { result } from "../../call";
import { Action } from "../../parts/action";
import { useFocusAtFirst } from "../../parts/focus";
import { Form } from "../../parts/form";
import { Untrusted } from "../../parts/text";
import { sideInWords } from "./pair";

interface MemoProps {
  row: RelayPermission;
  /** It has been changed: the list is asked for again. */
  changed: () => Promise<void>;
}

/** The memo, with a button that opens the form. */
export function Memo({ row, changed }: MemoProps) {
  const [edited, setEdited] = useState<boolean | "not any more">(false);
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (edited === "not any more") place.current?.focus();
  }, [edited]);
  if (edited === true) {
    return <MemoForm row={row} changed={changed} close={() => setEdited("not any more")} />;
  }
  return (
    <span ref={place} tabIndex={-1}>
      <Untrusted text={row.memo} />{" "}
      <Action run={async () => setEdited(true)} needs="relay-permissions:update">
        Edit<span class="unseen"> the memo of “{sideInWords(row)}”</span>
      </Action>
    </span>
  );
}

function MemoForm({ row, changed, close }: MemoProps & { close: () => void }) {
  const [text, setText] = useState(row.memo);
  const input = useFocusAtFirst<HTMLInputElement>();
  const id = useId();
  const submit = async () => {
    await result(updateRelayPermission({ path: pathOf(row), body: { memo: text } }));
    await changed();
    close();
  };
  return (
    <Form submit={submit} needs="relay-permissions:update" verb="Save" cancel={close}>
      <label class="unseen" for={id}>
        Memo of “{sideInWords(row)}”
      </label>
      <input
        id={id}
        ref={input}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        maxLength={256}
      />
    </Form>
  );
}

/** What names a relay permission in the path of a call. */
export function pathOf({ connectionId, remoteConnectionId, direction }: RelayPermission) {
  return { connectionId, remoteConnectionId, direction };
}
