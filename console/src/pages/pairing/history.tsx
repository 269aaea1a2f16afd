/** The requests that have ended: who decided what, and when. */
import { listAllPairingRequests, type PairingRequest } from "drawbridge-client";
import { useEffect, useState } from "preact/hooks";
import { type Applications, applicationName } from "../../applications";
import { result } from "../../call";
import { useLive } from "../../live";
import { DeviceName, Fingerprint, Scopes } from "../../parts/device";
import { type Column, Empty, List, LiveView, Pager, useCursors } from "../../parts/list";
import { Ago, Untrusted } from "../../parts/text";
import { href } from "../../routes";
import { ENDINGS, StatusBadge, WhoDecided } from "./request-end";

/** How many requests a page has. */
const PAGE_ROWS = 20;

type Ending = keyof typeof ENDINGS;

interface HistoryProps {
  applications: Applications;
  /** How many decisions the person has made here: with each the list is asked for again. */
  decisions: number;
}

/** The requests of all applications that no longer wait, newest first. */
export function History({ applications, decisions }: HistoryProps) {
  const [status, setStatus] = useState<Ending | "">("");
  const cursors = useCursors(status);
  const live = useLive(async () => {
    const page = await result(
      listAllPairingRequests({
        query: {
          limit: PAGE_ROWS,
          ...(status === "" ? {} : { status }),
          ...(cursors.current === null ? {} : { cursor: cursors.current }),
        },
      }),
    );
    // Those that wait are shown above.
    return { ...page, data: page.data.filter((request) => request.status !== "pending") };
  }, [status, cursors.current]);
  useEffect(() => {
    if (decisions > 0) void live.refresh();
  }, [decisions]);
  return (
    <section aria-labelledby="history">
      <h2 id="history">History</h2>
      <div class="filters">
        <label>
          Result
          <select
            value={status}
            onChange={(event) => setStatus(event.currentTarget.value as Ending | "")}
          >
            <option value="">all</option>
            {Object.entries(ENDINGS).map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </label>
      </div>
      <LiveView live={live} quiet>
        {({ data, next_cursor }) => (
          <>
            {data.length === 0 ? (
              <Empty>{emptyWords(status, next_cursor !== null || cursors.number > 1)}</Empty>
            ) : (
              <List
                label="Requests that have ended"
                columns={columnsOf(applications)}
                rows={data}
                keyOf={({ pair_request_id }) => pair_request_id}
              />
            )}
            <Pager cursors={cursors} next={next_cursor} />
          </>
        )}
      </LiveView>
    </section>
  );
}

function emptyWords(status: Ending | "", hasPages: boolean): string {
  if (hasPages) return "All requests of this page still wait.";
  if (status !== "") return "No request that is kept has ended like this.";
  return "No request has ended yet. Each that was decided, or that nobody decided, stands here.";
}

function columnsOf(applications: Applications): Column<PairingRequest>[] {
  return [
    {
      title: "Device",
      show: (request) => (
        <>
          {request.status === "approved" ? (
            <a href={href("devices", request.application_id, request.device_id)}>
              <DeviceName name={request.display_name} />
            </a>
          ) : (
            <DeviceName name={request.display_name} />
          )}{" "}
          <Fingerprint text={request.fingerprint} />
        </>
      ),
    },
    {
      title: "Application",
      show: ({ application_id }) => (
        <Untrusted text={applicationName(applications, application_id)} />
      ),
    },
    { title: "Result", show: ({ status }) => <StatusBadge status={status} /> },
    { title: "Granted", show: (request) => <Granted request={request} /> },
    { title: "By", show: (request) => <WhoDecided request={request} /> },
    { title: "When", show: ({ decided_at, expires_at }) => <Ago at={decided_at ?? expires_at} /> },
    {
      title: "Reason",
      show: ({ reason }) => (reason ? <Untrusted text={reason} /> : <span class="muted">–</span>),
    },
  ];
}

function Granted({ request: { granted, scopes } }: { request: PairingRequest }) {
  if (!granted) return <span class="muted">nothing</span>;
  return (
    <>
      <Scopes scopes={granted.scopes} />
      {granted.scopes.length < scopes.length && (
        <span class="muted"> (asked for {scopes.length})</span>
      )}
    </>
  );
}
