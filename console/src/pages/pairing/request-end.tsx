/** What became of a pairing request, in words. */
import type { PairingRequest } from "drawbridge-client";
import { Scopes } from "../../parts/device";
import { Ago, Badge, Untrusted } from "../../parts/text";
import { signedIn } from "../../signed-in";

/** All states in which a request has ended, with what a person calls them. */
export const ENDINGS = {
  approved: "Approved",
  rejected: "Rejected",
  expired: "Expired",
  superseded: "Replaced",
} as const;

/** The state of a request as a mark. */
export function StatusBadge({ status }: { status: PairingRequest["status"] }) {
  if (status === "pending") return <Badge>Waiting</Badge>;
  const kind = status === "approved" ? "good" : status === "rejected" ? "bad" : "plain";
  return <Badge kind={kind}>{ENDINGS[status]}</Badge>;
}

/** Who decided: the person, if it is known who, else the API key. */
export function WhoDecided({ request }: { request: PairingRequest }) {
  const { decided_by, decided_by_email } = request;
  const now = signedIn.value;
  if (decided_by_email) return <Untrusted text={decided_by_email} />;
  if (decided_by === null) return <span class="muted">nobody</span>;
  const own = now.state === "in" && now.person.key_id === decided_by;
  return <span class="who-decided">{own ? "your API key" : `API key ${decided_by}`}</span>;
}

/** What became of a request that was looked at. It cannot be approved any more. */
export function RequestEnd({ request }: { request: PairingRequest }) {
  const { status, decided_at, granted, reason } = request;
  const by = (
    <>
      by <WhoDecided request={request} />
      {decided_at && (
        <>
          , <Ago at={decided_at} />
        </>
      )}
      .
    </>
  );
  return (
    <p class="request-end" role="alert">
      <StatusBadge status={status} />{" "}
      {status === "approved" && (
        <>
          {by} It was given <Scopes scopes={granted?.scopes ?? []} />.
        </>
      )}
      {status === "rejected" && (
        <>
          {by}
          {reason && (
            <>
              {" "}
              Reason: <Untrusted text={reason} />
            </>
          )}
        </>
      )}
      {status === "expired" && "Nobody decided in time. The device can ask again."}
      {status === "superseded" &&
        "The device has asked for something else since then: its newer request has taken the place of this one."}
    </p>
  );
}
