/** One relay node: what it is, its load, and what can be done with it. */
import { getRelayNode, type RelayNode } from "drawbridge-client";
import { CallError, result } from "../../call";
import { inBytes } from "../../durations";
import { useLive } from "../../live";
import { Empty, LiveView } from "../../parts/list";
import { useStatusLine } from "../../parts/status-line";
import { Back } from "../../parts/tabs";
import { Ago, Untrusted } from "../../parts/text";
import { NodeActions } from "./node-actions";
import { loadWords, regionOf, StatusBadge, statusWords } from "./node-words";

export function NodeView({ id }: { id: string }) {
  const live = useLive(() => readNode(id), [id]);
  const { line, say } = useStatusLine();
  return (
    <>
      <Back to={["relay-nodes"]}>All relay nodes</Back>
      <h1>
        Relay node <Untrusted text={live.state.value.value?.name ?? id} />
      </h1>
      {line}
      <LiveView live={live}>
        {(node) =>
          node === null ? (
            <Empty>There is no relay node with this id. It may have been deleted.</Empty>
          ) : (
            <>
              <Facts node={node} />
              <Load node={node} />
              <NodeActions node={node} refresh={live.refresh} say={say} />
            </>
          )
        }
      </LiveView>
    </>
  );
}

async function readNode(id: string): Promise<RelayNode | null> {
  try {
    return await result(getRelayNode({ path: { id } }));
  } catch (error) {
    if (error instanceof CallError && error.status === 404) return null;
    throw error;
  }
}

function Facts({ node }: { node: RelayNode }) {
  const { ports } = node;
  return (
    <dl class="facts">
      <dt>State</dt>
      <dd>
        <StatusBadge status={node.status} /> {statusWords(node)}
      </dd>
      <dt>Region</dt>
      <dd>{regionOf(node)}</dd>
      <dt>Players reach it at</dt>
      <dd>
        <Untrusted text={node.host} />
        {node.ip !== null && node.ip !== node.host && ` (${node.ip})`}
        {ports.server !== null && `, UDP ${ports.server} for hosts and ${ports.client} for clients`}
      </dd>
      <dt>Capacity</dt>
      <dd>
        {node.capacity === null ? "what its program is started with" : `${node.capacity} sessions`}
      </dd>
      <dt>Version</dt>
      <dd>
        <Untrusted text={node.version} />
      </dd>
      <dt>Made</dt>
      <dd>
        <Ago at={node.created_at} />
      </dd>
      <dt>Link changed</dt>
      <dd>
        <Ago at={node.last_seen_at} />
      </dd>
    </dl>
  );
}

function Load({ node }: { node: RelayNode }) {
  const { load } = node;
  return (
    <>
      <h2>Load</h2>
      {load.measured_at === null ? (
        <p class="muted">Not known. A node says its load while it is linked.</p>
      ) : (
        <dl class="facts">
          <dt>Sessions</dt>
          <dd>{loadWords(node)}</dd>
          <dt>Users</dt>
          <dd>{load.users ?? "–"} heard in the last 10 seconds</dd>
          <dt>Datagrams</dt>
          <dd>{rate(load.datagrams_per_second)}</dd>
          <dt>Bytes</dt>
          <dd>{load.bytes_per_second === null ? "–" : `${inBytes(load.bytes_per_second)}/s`}</dd>
          <dt>Dropped</dt>
          <dd>{rate(load.dropped_per_second)}</dd>
          <dt>Measured</dt>
          <dd>
            <Ago at={load.measured_at} />
          </dd>
        </dl>
      )}
    </>
  );
}

function rate(perSecond: number | null): string {
  return perSecond === null ? "–" : `${Math.round(perSecond)} a second`;
}
