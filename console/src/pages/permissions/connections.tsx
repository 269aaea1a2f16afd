/** The connections of the organisation: registered, listed, deleted. */
import {
  type ConnectionDefinition,
  createConnection,
  deleteConnection,
  listConnections,
  listRelayPermissionsOfConnection,
} from "drawbridge-client";
import { useEffect, useState } from "preact/hooks";
import { result } from "../../call";
import { useLive } from "../../live";
import { Action, Needs } from "../../parts/action";
import { useFocusAtFirst } from "../../parts/focus";
import { Field, Form, FormBehindButton } from "../../parts/form";
import { type Column, curl, Empty, List, LiveView, Pager, useCursors } from "../../parts/list";
import { Untrusted } from "../../parts/text";
import { href } from "../../routes";
import { may } from "../../signed-in";

const LIMIT = 30;

/** The list, and the form for a new one. */
export function Connections() {
  return (
    <>
      {may("connections:get") ? (
        <ConnectionList />
      ) : (
        <p>
          To see the connections, your API key <Needs permission="connections:get" />. You can still
          look at <a href={href("permissions", "pair")}>two of them</a> whose ids you know.
        </p>
      )}
    </>
  );
}

function ConnectionList() {
  const cursors = useCursors();
  const after = cursors.current;
  const live = useLive(async () => {
    // One row more than is shown says whether there is a next page.
    const query = { maxResults: LIMIT + 1, ...(after === null ? {} : { after }) };
    const { definitions, totalSize } = await result(listConnections({ query }));
    return { rows: definitions.slice(0, LIMIT), more: definitions.length > LIMIT, totalSize };
  }, [after]);
  const columns: readonly Column<ConnectionDefinition>[] = [
    { title: "Connection", show: ({ connectionId }) => <code>{connectionId}</code> },
    { title: "Memo", show: ({ memo }) => <Untrusted text={memo} /> },
    {
      title: "Actions",
      show: ({ connectionId }) => (
        <div class="row-actions">
          <a href={href("permissions", "list", connectionId)}>Its relay permissions</a>
          <a href={href("permissions", "pair", connectionId)}>With another connection</a>
          <Delete connectionId={connectionId} changed={live.refresh} />
        </div>
      ),
    },
  ];
  return (
    <>
      <Register changed={live.refresh} />
      <LiveView live={live}>
        {({ rows, more, totalSize }) => (
          <>
            {totalSize > 0 && (
              <p class="muted">{totalSize === 1 ? "1 connection" : `${totalSize} connections`}</p>
            )}
            {rows.length > 0 ? (
              <List
                label="Connections, by id"
                columns={columns}
                rows={rows}
                keyOf={({ connectionId }) => connectionId}
              />
            ) : (
              <NoConnections />
            )}
            <Pager
              cursors={cursors}
              next={more ? rows.at(-1)?.connectionId : null}
              words={["Previous", "Next"]}
            />
          </>
        )}
      </LiveView>
    </>
  );
}

function NoConnections() {
  const body = { connectionId: "plant-a", memo: "Turin" };
  return (
    <Empty call={curl("POST", "/connections/definition", body)}>
      There is no connection here. Register one with the button above, or with this call:
    </Empty>
  );
}

function Register({ changed }: { changed: () => Promise<void> }) {
  return (
    <FormBehindButton
      verb="Register a connection"
      needs="connections:create"
      label="A new connection"
    >
      {(close) => <RegisterForm changed={changed} close={close} />}
    </FormBehindButton>
  );
}

interface RegisterFormProps {
  changed: () => Promise<void>;
  close: () => void;
}

function RegisterForm({ changed, close }: RegisterFormProps) {
  const [id, setId] = useState("");
  const [memo, setMemo] = useState("");
  const [registered, setRegistered] = useState<string | null>(null);
  const first = useFocusAtFirst<HTMLInputElement>();
  const submit = async () => {
    await result(createConnection({ body: { connectionId: id, memo } }));
    setRegistered(id);
    setId("");
    setMemo("");
    first.current?.focus();
    await changed();
  };
  return (
    <>
      <Form submit={submit} needs="connections:create" verb="Register" cancel={close}>
        <Field label="Id" hint="1 to 16 letters, digits, dots, _ or -. It cannot be changed later.">
          {(props) => (
            <input
              {...props}
              ref={first}
              value={id}
              onInput={(event) => setId(event.currentTarget.value)}
              maxLength={16}
              spellcheck={false}
              required
            />
          )}
        </Field>
        <Field label="Memo" hint="A note of yours. It may be empty.">
          {(props) => (
            <input
              {...props}
              value={memo}
              onInput={(event) => setMemo(event.currentTarget.value)}
              maxLength={256}
            />
          )}
        </Field>
      </Form>
      <p role="status">{registered !== null && `${registered} is registered.`}</p>
    </>
  );
}

function Delete({ connectionId, changed }: { connectionId: string; changed: () => Promise<void> }) {
  const run = async () => {
    await result(deleteConnection({ path: { connectionId } }));
    await changed();
  };
  return (
    <Action
      run={run}
      needs="connections:delete"
      kind="danger"
      ask={{
        title: `Delete ${connectionId}?`,
        body: <WhatGoesToo connectionId={connectionId} />,
      }}
    >
      Delete
    </Action>
  );
}

/** What a deletion takes along. It is counted when it is asked. */
function WhatGoesToo({ connectionId }: { connectionId: string }) {
  const [count, setCount] = useState<number | null>(null);
  useEffect(() => {
    const call = listRelayPermissionsOfConnection({
      path: { connectionId },
      query: { maxResults: 1 },
    });
    result(call).then(
      ({ totalSize }) => setCount(totalSize),
      () => {},
    );
  }, [connectionId]);
  const rows =
    count === null
      ? "its relay permissions"
      : `its ${count} relay permission${count === 1 ? "" : "s"}`;
  return (
    <>
      <p>
        The connection <code>{connectionId}</code> goes, and with it {rows}. This cannot be undone.
      </p>
      <p>Users of live relay sessions who carry it are revoked: their connections are closed.</p>
      <p>Relay permissions of other connections with it stay, but have no effect without it.</p>
    </>
  );
}
