/** Draining a relay node, giving it another token, deleting it. */
import {
  changeRelayNode,
  deleteRelayNode,
  type RelayNode,
  rotateRelayNodeToken,
} from "drawbridge-client";
import { useState } from "preact/hooks";
import { result } from "../../call";
import { Action } from "../../parts/action";
import { Field, Form } from "../../parts/form";
import { SecondsSelect } from "../../parts/seconds-select";
import { Untrusted } from "../../parts/text";
import { NewToken } from "./node-words";

interface Props {
  node: RelayNode;
  /** Reads the node again. */
  refresh: () => Promise<void>;
  /** Says what was done. */
  say: (words: string) => void;
}

const NEEDED = "relay-nodes:write";

/** What may be done with a node of the organisation. */
export function NodeActions({ node, refresh, say }: Props) {
  return (
    <>
      <div class="buttons">
        <Drain node={node} refresh={refresh} say={say} />
        <Delete node={node} refresh={refresh} say={say} />
      </div>
      <Rotate node={node} />
    </>
  );
}

function Drain({ node, refresh, say }: Props) {
  const change = (draining: boolean) => async () => {
    await result(changeRelayNode({ path: { id: node.id }, body: { draining } }));
    await refresh();
    say(draining ? "It drains." : "It takes new sessions again.");
  };
  // One that drained and left drains again when it is started.
  if (node.status === "draining" || node.status === "offline") {
    return (
      <Action run={change(false)} needs={NEEDED}>
        Take new sessions again
      </Action>
    );
  }
  return (
    <Action
      run={change(true)}
      needs={NEEDED}
      blocked={node.status === "online" ? null : "It is not linked."}
      ask={{
        title: "Drain this node?",
        body: (
          <p>
            It takes no new sessions, and its program ends after the last of the{" "}
            {node.load.sessions ?? ""} sessions that it carries. Until then you can take it back.
          </p>
        ),
      }}
    >
      Drain
    </Action>
  );
}

function Delete({ node, refresh, say }: Props) {
  const { sessions } = node.load;
  const carries = node.status === "online" || node.status === "draining";
  const remove = async () => {
    await result(deleteRelayNode({ path: { id: node.id } }));
    await refresh();
    say("The node is deleted.");
  };
  return (
    <Action
      run={remove}
      needs={NEEDED}
      kind="danger"
      ask={{
        title: "Delete this node?",
        body: (
          <p>
            {carries &&
              (sessions === null
                ? "All sessions that it carries fail at once. "
                : `${sessions} ${sessions === 1 ? "session that it carries fails" : "sessions that it carries fail"} at once. `)}
            Its token stops working, and <Untrusted text={node.name} /> is gone.
            {carries && " To lose no session, drain it first."}
          </p>
        ),
      }}
    >
      Delete
    </Action>
  );
}

/** How long the token that it has works on, in seconds, and in words. */
const GRACES = [
  { seconds: 0, words: "not at all: it was stolen" },
  { seconds: 600, words: "10 minutes" },
  { seconds: 3_600, words: "an hour" },
  { seconds: 86_400, words: "a day" },
];

function Rotate({ node }: { node: RelayNode }) {
  const [grace, setGrace] = useState(3_600);
  const [token, setToken] = useState<string | null>(null);
  const submit = async () => {
    const body = { grace_seconds: grace };
    setToken((await result(rotateRelayNodeToken({ path: { id: node.id }, body }))).token);
  };
  return (
    <>
      <h2>Another token</h2>
      <Form submit={submit} needs={NEEDED} verb="Make a new token">
        <Field
          label="The token that it has works on for"
          hint="Restart the node with the new token in this time. A restart within 30 seconds loses no session."
        >
          {(props) => <SecondsSelect {...props} times={GRACES} value={grace} change={setGrace} />}
        </Field>
      </Form>
      {token !== null && (
        <NewToken key={token} token={token} host={node.host} close={() => setToken(null)} />
      )}
    </>
  );
}
