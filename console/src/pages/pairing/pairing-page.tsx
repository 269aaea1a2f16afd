/** The page Pairing: the devices that ask to be let in, and what was decided before. */
import type { PairingRequest } from "drawbridge-client";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Applications, applicationName, useApplications } from "../../applications";
import { CallError } from "../../call";
import { DeviceName, Fingerprint, Scopes } from "../../parts/device";
import { curl, Empty, LiveView, Pager, useCursors } from "../../parts/list";
import { useStatusLine } from "../../parts/status-line";
import { href } from "../../routes";
import { History } from "./history";
import { elementId, usePendingRequests } from "./pending-requests";
import { RequestCard } from "./request-card";
import { hasMoved } from "./request-order";
import { SetupCodes } from "./setup-code";
import "./pairing.css";

/** For so long after the cards have moved nothing is decided. Milliseconds. */
const MOVED_MS = 600;

/** The page Pairing. */
export default function PairingPage() {
  const cursors = useCursors();
  const pending = usePendingRequests(cursors.current);
  const { requests, takeAway } = pending;
  const applications = useApplications(requests.map(({ application_id }) => application_id));
  const { line, say } = useStatusLine();
  const checkAim = useSteadyAim(requests.map(({ pair_request_id }) => pair_request_id));
  const waiting = requests.filter(({ status }) => status === "pending").length;
  const hasMore = Boolean(pending.live.state.value.value?.nextCursor);
  useTitle(waiting, cursors.number > 1 || hasMore);
  const [decisions, setDecisions] = useState(0);
  const decided = (request: PairingRequest) => {
    setDecisions((before) => before + 1);
    say(<Decided request={request} />);
    takeAway(request.pair_request_id);
  };
  const dismiss = (request: PairingRequest) => {
    const next = nextOf(requests, request);
    takeAway(request.pair_request_id);
    if (next) document.getElementById(elementId(next))?.focus({ preventScroll: true });
    else say("No other request is shown.");
  };
  return (
    <>
      <h1>Pairing</h1>
      <p class="muted">
        Devices that ask to be let in. A role is what a device's token is for, and the scopes are
        what it may be used for.
      </p>
      {line}
      <LiveView live={pending.live}>
        {({ nextCursor }) => (
          <>
            {requests.length === 0 && <NobodyWaits applications={applications} />}
            {requests.map((request) => (
              <RequestCard
                key={`${request.pair_request_id} ${request.digest}`}
                request={request}
                application={applicationName(applications, request.application_id)}
                checkAim={checkAim}
                decided={decided}
                refused={pending.live.refresh}
                dismiss={() => dismiss(request)}
              />
            ))}
            <Pager cursors={cursors} next={nextCursor} />
          </>
        )}
      </LiveView>
      {applications.list && applications.list.length > 0 && (
        <SetupCodes applications={applications.list} />
      )}
      <History applications={applications} decisions={decisions} />
    </>
  );
}

/** What is seen of the page in a tab that is not looked at. */
function useTitle(waiting: number, more: boolean): void {
  useEffect(() => {
    const count = waiting === 0 ? "" : `(${waiting}${more ? "+" : ""}) `;
    document.title = `${count}Pairing · Drawbridge`;
  }, [waiting, more]);
}

/**
 * Cards come and go by themselves. Who presses a button in the moment in which another card takes its place
 * would decide about the wrong device.
 * @returns throws if the cards have only just moved
 */
function useSteadyAim(order: readonly string[]): () => void {
  const before = useRef<readonly string[]>([]);
  const movedAt = useRef(Number.NEGATIVE_INFINITY);
  useLayoutEffect(() => {
    if (hasMoved(before.current, order)) movedAt.current = performance.now();
    before.current = order;
  }, [order.join()]);
  return () => {
    if (performance.now() - movedAt.current >= MOVED_MS) return;
    throw new CallError(
      "The requests have just moved, so nothing was done. Look again, and press once more.",
      null,
      null,
    );
  };
}

function nextOf(requests: readonly PairingRequest[], request: PairingRequest) {
  const place = requests.indexOf(request);
  return requests[place + 1] ?? requests[place - 1];
}

function Decided({ request }: { request: PairingRequest }) {
  const name = (
    <>
      <DeviceName name={request.display_name} /> (<Fingerprint text={request.fingerprint} />)
    </>
  );
  if (request.status !== "approved") return <>Rejected: {name}. The device is told.</>;
  return (
    <>
      Approved: {name} gets <Scopes scopes={request.granted?.scopes ?? []} />.{" "}
      <a href={href("devices", request.application_id, request.device_id)}>Show the device</a>
    </>
  );
}

function NobodyWaits({ applications }: { applications: Applications }) {
  const first = applications.list?.[0];
  if (first) {
    return (
      <Empty call={`node docs/pairing-device.mjs ${location.origin} ${first.id} device.json`}>
        No device waits for a decision. A device asks by itself, and its request appears here at
        once. To see one, run the example of a device that is in Drawbridge's own repository:
      </Empty>
    );
  }
  if (applications.list) {
    return (
      <Empty call={curl("POST", "/v1/applications", { name: "Gateway" })}>
        There is no application yet, so no device can ask. Make one on the page{" "}
        <a href={href("devices")}>Devices</a>, or with this call:
      </Empty>
    );
  }
  return <Empty>No device waits for a decision. {applications.error}</Empty>;
}
