/** What the states of a relay node mean, and how it is started. */
import type { RelayNode } from "drawbridge-client";
import { useFocusAtFirst } from "../../parts/focus";
import { Secret } from "../../parts/secret";
import { useQuestionBeforeLeaving } from "../../parts/shown-once";
import { Badge, Command } from "../../parts/text";
import { regionWords } from "../../regions";

const STATES: Record<
  RelayNode["status"],
  { kind: "plain" | "good" | "warn" | "bad"; words: string }
> = {
  "never-connected": { kind: "plain", words: "It was made, and never started." },
  online: { kind: "good", words: "It is linked, and takes sessions." },
  draining: { kind: "warn", words: "It goes on with its sessions, and takes no new ones." },
  offline: { kind: "plain", words: "It drained, and left." },
  lost: {
    kind: "bad",
    words: "It was not heard for 30 seconds. The sessions that it carried have failed.",
  },
};

/** The state as a mark. */
export function StatusBadge({ status }: Pick<RelayNode, "status">) {
  return <Badge kind={STATES[status].kind}>{status}</Badge>;
}

/** What the state means. */
export function statusWords({ status }: Pick<RelayNode, "status">): string {
  return STATES[status].words;
}

/** Where it is. */
export function regionOf({ region }: Pick<RelayNode, "region">): string {
  return regionWords(region) ?? "Automatic";
}

/** How many sessions it carries, of how many that it takes. */
export function loadWords({ load, capacity }: Pick<RelayNode, "load" | "capacity">): string {
  const most = capacity === null ? "" : ` of ${capacity}`;
  return load.sessions === null ? "–" : `${load.sessions}${most}`;
}

interface NewTokenProps {
  token: string;
  /** Where players reach the node; null: that is not known yet. */
  host: string | null;
  /** It has been copied. */
  close: () => void;
}

/** A token that the service shows this once, and how the node is started with it. */
export function NewToken({ token, host, close }: NewTokenProps) {
  const card = useFocusAtFirst<HTMLElement>();
  const { question } = useQuestionBeforeLeaving("The token");
  const command = `node relay-node.mjs --url ${location.origin} --host ${host ?? "play.example.com"}`;
  return (
    <section class="card" aria-label="The token of the node" ref={card} tabIndex={-1}>
      <p>
        The token is shown this once. Put it into the variable <code>RELAY_NODE_TOKEN</code> on the
        node's machine.
      </p>
      <p>
        <Secret text={token} label="token of the node" />
      </p>
      <p>
        {host === null && "--host is where players reach the machine. "}
        <code>npm run build:relay-node</code> makes the program; open UDP 31000 and 31001. Then:
      </p>
      <Command text={command} label="the command" />
      <div class="buttons">
        <button type="button" class="main" onClick={close}>
          I have copied it
        </button>
      </div>
      {question}
    </section>
  );
}
