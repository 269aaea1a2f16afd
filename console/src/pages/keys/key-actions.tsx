/** What can be done with an API key: buttons that open a form, and those that block and end it. */
import { type ApiKey, deleteApiKey, updateApiKey } from "drawbridge-client";
import { useEffect, useRef } from "preact/hooks";
import { result } from "../../call";
import { Action } from "../../parts/action";
import { Untrusted } from "../../parts/text";
import { goTo } from "../../routes";

/** What has a form of its own. */
export type Openable = "settings" | "permissions" | "refresh";

interface KeyActionsProps {
  apiKey: ApiKey;
  changed: () => Promise<void>;
  isOwn: boolean;
  open: (what: Openable) => void;
  /** Whether a form was closed, in whose place they come. */
  focused: boolean;
}

/** The buttons. */
export function KeyActions({ apiKey, changed, isOwn, open, focused }: KeyActionsProps) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (focused) place.current?.focus();
  }, []);
  const { id, blocked } = apiKey;
  const name = <Untrusted text={apiKey.name} />;
  const block = async () => {
    await result(updateApiKey({ path: { id }, body: { blocked: !blocked } }));
    await changed();
  };
  const end = async () => {
    await result(deleteApiKey({ path: { id } }));
    goTo("keys");
  };
  const out = isOwn && <p>You are signed in with it: this signs you out.</p>;
  return (
    <div class="buttons" ref={place} tabIndex={-1}>
      {(["settings", "permissions", "refresh"] as const).map((what) => (
        <Action key={what} run={async () => open(what)} needs="keys:write">
          {OPENERS[what]}
        </Action>
      ))}
      {blocked ? (
        <Action run={block} needs="keys:write">
          Unblock
        </Action>
      ) : (
        <Action
          run={block}
          needs="keys:write"
          kind="danger"
          ask={{
            title: "Block the key?",
            body: (
              <>
                <p>
                  Within 10 seconds no program can use {name} any more, and whoever signed in with
                  it is out. You can unblock it later.
                </p>
                {out}
              </>
            ),
          }}
        >
          Block
        </Action>
      )}
      <Action
        run={end}
        needs="keys:write"
        kind="danger"
        ask={{
          title: "End the key?",
          body: (
            <>
              <p>
                {name} is deleted. Within 10 seconds no program can use it any more. This cannot be
                undone. If it also acts in organisations that are not yours, it stays there.
              </p>
              {out}
            </>
          ),
        }}
      >
        End the key
      </Action>
    </div>
  );
}

const OPENERS = {
  settings: "Change settings",
  permissions: "Change permissions",
  refresh: "Refresh the token",
} as const;
