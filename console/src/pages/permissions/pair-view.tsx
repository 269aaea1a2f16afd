/** Two connections: what each of them may send to the other, as switches. */
import { listRelayPermissionsOfConnection } from "drawbridge-client";
import { useState } from "preact/hooks";
import { CallError, result } from "../../call";
import { useLive } from "../../live";
import { Form } from "../../parts/form";
import { LiveView } from "../../parts/list";
import { goTo } from "../../routes";
import { ConnectionInput } from "./connection-input";
import { DirectionSwitch } from "./direction-switch";
import { directionOf, type Rows } from "./pair";

interface PairProps {
  /** Both are ids of connections; empty: not chosen yet. */
  one: string;
  other: string;
}

/** Chooses two connections, and shows both directions between them. */
export function Pair({ one, other }: PairProps) {
  const [first, setFirst] = useState(one);
  const [second, setSecond] = useState(other);
  return (
    <>
      <p>
        A connection may send to another only if both sides allow it: the sender has a relay
        permission to send, and the receiver has one to receive. A switch creates or enables both.
        Turned off, it disables both and deletes none, so that their memos stay.
      </p>
      <Form
        submit={async () => goTo("permissions", "pair", first.trim(), second.trim())}
        needs={null}
        verb="Show"
      >
        <div class="pair">
          <ConnectionInput label="One connection" value={first} change={setFirst} />
          <ConnectionInput label="The other connection" value={second} change={setSecond} />
        </div>
      </Form>
      {one !== "" && other !== "" && <Directions one={one} other={other} />}
    </>
  );
}

function Directions({ one, other }: PairProps) {
  const live = useLive(async () => {
    const [oneRows, otherRows] = await Promise.all([rowsOf(one, other), rowsOf(other, one)]);
    const a = { id: one, rows: oneRows };
    const b = { id: other, rows: otherRows };
    // Users of one connection may be several, and need the same two permissions among themselves.
    return one === other ? [directionOf(a, a)] : [directionOf(a, b), directionOf(b, a)];
  }, [one, other]);
  return (
    <LiveView live={live}>
      {(directions) => (
        <>
          {directions.map((direction) => (
            <DirectionSwitch key={direction.from} direction={direction} changed={live.refresh} />
          ))}
        </>
      )}
    </LiveView>
  );
}

/** The relay permissions that a connection has with another. */
async function rowsOf(connectionId: string, remoteConnectionId: string): Promise<Rows> {
  const call = listRelayPermissionsOfConnection({
    path: { connectionId },
    query: { remoteConnectionId },
  });
  try {
    return (await result(call)).permission;
  } catch (error) {
    if (error instanceof CallError && error.code === "connection-not-found") return null;
    throw error;
  }
}
