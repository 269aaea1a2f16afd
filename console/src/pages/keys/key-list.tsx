/** The list of API keys, with filters. */
import { type ApiKey, listApiKeys } from "drawbridge-client";
import { useState } from "preact/hooks";
import { resultWithHeaders } from "../../call";
import { useLive } from "../../live";
import { type Column, curl, Empty, List, LiveView, Pager, useCursors } from "../../parts/list";
import { Ago, Badge, Untrusted } from "../../parts/text";
import { inShort } from "../../permission-words";
import { href } from "../../routes";
import { serviceNow } from "../../service-clock";
import { may, signedIn } from "../../signed-in";
import { keyState } from "./key-state";

const LIMIT = 30;

const COLUMNS: readonly Column<ApiKey>[] = [
  {
    title: "Name",
    show: ({ id, name }) => (
      <a href={href("keys", String(id))}>
        <Untrusted text={name} />
      </a>
    ),
  },
  { title: "State", show: (key) => <StateBadge of={key} /> },
  { title: "Token", show: ({ token }) => <code>{token.short}…</code> },
  { title: "Permissions", show: ({ permissions }) => inShort(permissions ?? []) },
  { title: "Last use", show: ({ token }) => <Ago at={token.lastUseTimestamp} /> },
  { title: "Allowed addresses", show: ({ ipAllowlist }) => addressesInShort(ipAllowlist) },
];

/** The list. */
export function KeyList() {
  const [name, setName] = useState("");
  const [blocked, setBlocked] = useState<"" | "true" | "false">("");
  const cursors = useCursors(`${name}\n${blocked}`);
  const live = useLive(
    () => page(name.trim(), blocked, cursors.current),
    [name.trim(), blocked, cursors.current],
  );
  return (
    <>
      <h1>API keys</h1>
      <p>
        {may("keys:write") ? (
          <a class="button main" href={href("keys", "new")}>
            Make a key
          </a>
        ) : (
          <span class="muted">
            To make a key, yours needs <code>keys:write</code>.
          </span>
        )}
      </p>
      <div class="filters">
        <label>
          Part of the name
          <input
            type="search"
            value={name}
            maxLength={100}
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <label>
          State
          <select
            value={blocked}
            onChange={(event) => setBlocked(event.currentTarget.value as typeof blocked)}
          >
            <option value="">all</option>
            <option value="false">not blocked</option>
            <option value="true">blocked</option>
          </select>
        </label>
      </div>
      <LiveView live={live}>
        {({ keys, next }) => (
          <>
            {keys.length > 0 ? (
              <List
                label="API keys, oldest first"
                columns={COLUMNS}
                rows={keys}
                keyOf={({ id }) => String(id)}
              />
            ) : (
              <NoKeys filtered={name.trim() !== "" || blocked !== ""} more={next !== null} />
            )}
            <Pager cursors={cursors} next={next} words={["Previous", "Next"]} />
          </>
        )}
      </LiveView>
    </>
  );
}

/** Whether a key works, as a mark. */
export function StateBadge({ of }: { of: ApiKey }) {
  const { kind, words } = keyState(of, serviceNow.value);
  return <Badge kind={kind}>{words}</Badge>;
}

function NoKeys({ filtered, more }: { filtered: boolean; more: boolean }) {
  const now = signedIn.value;
  if (more) return <Empty>No key on this page fits. There may be some on the next one.</Empty>;
  if (filtered) return <Empty>No key fits.</Empty>;
  const organisations = now.state === "in" ? [now.person.organisation_id] : [];
  const body = {
    name: "Game server",
    emails: [],
    organizationsIds: organisations,
    permissions: ["relays:read"],
  };
  return <Empty call={curl("POST", "/api-keys", body)}>There is no key here yet.</Empty>;
}

function addressesInShort(cidrs: readonly string[]) {
  if (cidrs.length === 0) return <span class="muted">anywhere</span>;
  return cidrs.length === 1 ? <code>{cidrs[0]}</code> : `${cidrs.length} networks`;
}

async function page(name: string, blocked: "" | "true" | "false", after: string | null) {
  const { value, headers } = await resultWithHeaders(
    listApiKeys({
      query: {
        optFields: "permissions",
        limit: LIMIT,
        ...(name === "" ? {} : { name }),
        ...(blocked === "" ? {} : { blocked }),
        ...(after === null ? {} : { after: Number(after) }),
      },
    }),
  );
  return { keys: value, next: afterOf(headers.get("Link")) };
}

/** Where the next page begins, by the header `Link`; null: this is the last one. */
function afterOf(link: string | null): string | null {
  const address = /<([^>]*)>;\s*rel="next"/.exec(link ?? "")?.[1];
  return address === undefined ? null : new URL(address, location.origin).searchParams.get("after");
}
