/** One API key: all that is known of it, and what can be done with it. */
import { type ApiKey, getApiKey, updateApiKey } from "drawbridge-client";
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { CallError, result } from "../../call";
import { useLive } from "../../live";
import { useFocusAtFirst } from "../../parts/focus";
import { Form } from "../../parts/form";
import { LiveView } from "../../parts/list";
import { Back } from "../../parts/tabs";
import { Untrusted } from "../../parts/text";
import { signedIn } from "../../signed-in";
import { KeyActions, type Openable } from "./key-actions";
import { changesOf, draftOf } from "./key-draft";
import { KeyFacts } from "./key-facts";
import { KeyFields } from "./key-fields";
import { StateBadge } from "./key-list";
import { PermissionPicker } from "./permission-picker";
import { type Refreshed, RefreshForm } from "./refresh-form";
import { ShownOnce, useMade } from "./shown-once";

/** The key of this id; or the new token of it, after a refresh. */
export function OneKey({ id }: { id: number }) {
  const { made, make, done } = useMade<Refreshed>();
  if (!made) return <Shown id={id} refresh={make} />;
  return (
    <ShownOnce
      title="The new token"
      secrets={{ token: made.key.token.value ?? "", accessKey: made.key.access_key ?? null }}
      close={done}
    >
      <p>
        This is the new token of <Untrusted text={made.key.name} />. {made.old}
      </p>
    </ShownOnce>
  );
}

interface ShownProps {
  id: number;
  /** Refreshes the key, and shows the new token. */
  refresh: (call: () => Promise<Refreshed>) => Promise<void>;
}

function Shown({ id, refresh }: ShownProps) {
  const live = useLive(async () => {
    const path = { id };
    const [key] = await result(
      getApiKey({ path, query: { optFields: "emails,labels,permissions" } }),
    );
    if (!key) throw new CallError("There is no such API key.", 404, null);
    return key;
  }, [id]);
  const { value, error } = live.state.value;
  const gone = error?.status === 404;
  return (
    <>
      <Back to={["keys"]}>All API keys</Back>
      <h1>
        {value && !gone ? (
          <>
            <Untrusted text={value.name} /> <StateBadge of={value} />
          </>
        ) : (
          "An API key"
        )}
      </h1>
      {gone ? (
        <p>There is no API key {id} here. It may have been ended.</p>
      ) : (
        <LiveView live={live}>
          {(key) => <Known apiKey={key} changed={live.refresh} refresh={refresh} />}
        </LiveView>
      )}
    </>
  );
}

interface KnownProps {
  apiKey: ApiKey;
  /** It has been changed: it is asked for again. */
  changed: () => Promise<void>;
  refresh: ShownProps["refresh"];
}

const TITLES = {
  settings: "Settings",
  permissions: "What it may do",
  refresh: "A new token",
} as const;

function Known({ apiKey, changed, refresh }: KnownProps) {
  const [opened, setOpened] = useState<Openable | null>(null);
  const wasOpen = useRef(false);
  const open = (what: Openable) => {
    wasOpen.current = true;
    setOpened(what);
  };
  const close = () => setOpened(null);
  const saved = async () => {
    await changed();
    close();
  };
  const now = signedIn.value;
  const isOwn = now.state === "in" && now.person.key_id === apiKey.id;
  return (
    <>
      {isOwn && <p class="muted">You are signed in with this key.</p>}
      <KeyFacts apiKey={apiKey} />
      {opened === null ? (
        <KeyActions {...{ apiKey, changed, isOwn, open }} focused={wasOpen.current} />
      ) : (
        <Opened title={TITLES[opened]}>
          {opened === "settings" && <SettingsForm {...{ apiKey, saved, close }} />}
          {opened === "permissions" && <PermissionsForm {...{ apiKey, saved, close }} />}
          {opened === "refresh" && <RefreshForm {...{ apiKey, refresh, close, isOwn }} />}
        </Opened>
      )}
    </>
  );
}

/** A form in place of the buttons. */
function Opened({ title, children }: { title: string; children: ComponentChildren }) {
  const heading = useFocusAtFirst<HTMLHeadingElement>();
  return (
    <section aria-label={title}>
      <h2 ref={heading} tabIndex={-1}>
        {title}
      </h2>
      {children}
    </section>
  );
}

interface FormProps {
  apiKey: ApiKey;
  saved: () => Promise<void>;
  close: () => void;
}

function SettingsForm({ apiKey, saved, close }: FormProps) {
  // As it was when the form was opened: what somebody else changes meanwhile is not undone.
  const [before] = useState(() => draftOf(apiKey));
  const [draft, setDraft] = useState(before);
  const submit = async () => {
    await result(updateApiKey({ path: { id: apiKey.id }, body: changesOf(before, draft) }));
    await saved();
  };
  return (
    <Form submit={submit} needs="keys:write" verb="Save" cancel={close}>
      <KeyFields draft={draft} change={setDraft} labels />
    </Form>
  );
}

function PermissionsForm({ apiKey, saved, close }: FormProps) {
  const held = apiKey.permissions ?? [];
  const [before] = useState(held);
  const [ticked, setTicked] = useState<readonly string[]>(held);
  const submit = async () => {
    if (held.join() !== before.join()) {
      throw new CallError(
        "Somebody else has changed what this key may do. Cancel, and look at it again.",
        null,
        null,
      );
    }
    await result(updateApiKey({ path: { id: apiKey.id }, body: { permissions: [...ticked] } }));
    await saved();
  };
  return (
    <Form submit={submit} needs="keys:write" verb="Save" cancel={close}>
      <PermissionPicker ticked={ticked} change={setTicked} before={before} />
    </Form>
  );
}
