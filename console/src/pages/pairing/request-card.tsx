/** One pairing request: who asks, for what, and the decision. */
import {
  approvePairingRequest,
  type PairingRequest,
  rejectPairingRequest,
} from "drawbridge-client";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { CallError, result } from "../../call";
import { Action } from "../../parts/action";
import { DeviceName, Fingerprint, ProfileFacts } from "../../parts/device";
import { useFocusAtFirst } from "../../parts/focus";
import { Field, Form } from "../../parts/form";
import { Ago, Countdown, Untrusted } from "../../parts/text";
import { approveWords, everything, grantedBy } from "./access-choice";
import { AccessFields } from "./access-fields";
import { RepairNote, RequestMarks, useKnownDevice } from "./known-device";
import { elementId } from "./pending-requests";
import { RequestEnd } from "./request-end";

interface RequestCardProps {
  request: PairingRequest;
  /** The name of its application. */
  application: string;
  /** Throws if the person may have aimed at another card. */
  checkAim: () => void;
  /** The person has decided: the request as it is now. */
  decided: (request: PairingRequest) => void;
  /** The service has refused the decision: the request is no longer what it was. */
  refused: () => Promise<void>;
  /** The person has read what became of it. */
  dismiss: () => void;
}

/** A request. What is ticked is kept as long as it is shown. */
export function RequestCard(props: RequestCardProps) {
  const { request, application, dismiss } = props;
  const [choice, setChoice] = useState(() => everything(request));
  const known = useKnownDevice(request);
  const waits = request.status === "pending";
  const id = elementId(request);
  const { element, watchFocus } = useKeptFocus(waits);
  return (
    <article
      class={waits ? "card request" : "card request ended"}
      id={id}
      aria-labelledby={`${id}-name`}
      tabIndex={-1}
      ref={element}
      {...watchFocus}
    >
      <header>
        <h3 id={`${id}-name`}>
          <DeviceName name={request.display_name} />
        </h3>
        <span class="marks">
          <RequestMarks request={request} known={known} />
        </span>
        {waits && (
          <span class="left">
            <Countdown until={request.expires_at} /> left
          </span>
        )}
      </header>
      <div class="request-parts">
        <div>
          <span class="muted">Fingerprint: compare it with the device</span>
          <Fingerprint text={request.fingerprint} />
          <Facts request={request} application={application} />
        </div>
        <div class="answer-side">
          <AccessFields
            request={request}
            choice={choice}
            change={setChoice}
            device={known.device}
            disabled={!waits}
          />
          <RepairNote request={request} known={known} />
          {waits ? (
            <Decision
              {...props}
              terms={grantedBy(request, choice)}
              verb={approveWords(request, choice)}
            />
          ) : (
            <div class="buttons">
              <RequestEnd request={request} />
              <button type="button" onClick={dismiss}>
                Dismiss
              </button>
            </div>
          )}
        </div>
      </div>
    </article>
  );
}

/** When the request ends, the focus stays in its card, if it was there: its buttons are gone. */
function useKeptFocus(waits: boolean) {
  const element = useRef<HTMLElement>(null);
  const inside = useRef(false);
  useLayoutEffect(() => {
    const active = document.activeElement;
    const lost = !active || active === document.body || active.matches(":disabled");
    if (!waits && inside.current && lost) element.current?.focus({ preventScroll: true });
  }, [waits]);
  const watchFocus = {
    onFocusIn: () => {
      inside.current = true;
    },
    onFocusOut: ({ relatedTarget }: FocusEvent) => {
      // Nothing gets the focus when what had it was taken away.
      if (relatedTarget && !element.current?.contains(relatedTarget as Node))
        inside.current = false;
    },
  };
  return { element, watchFocus };
}

function Facts({ request, application }: { request: PairingRequest; application: string }) {
  return (
    <dl class="facts">
      <ProfileFacts device={request} />
      <dt>Address</dt>
      <dd>
        <Untrusted text={request.remote_ip} />
      </dd>
      <dt>Application</dt>
      <dd>
        <Untrusted text={application} />
      </dd>
      <dt>Asked</dt>
      <dd>
        <Ago at={request.requested_at} />
      </dd>
    </dl>
  );
}

interface DecisionProps extends RequestCardProps {
  terms: { roles: string[]; scopes: string[] };
  verb: string;
}

function Decision({ request, terms, verb, checkAim, decided, refused }: DecisionProps) {
  const [rejecting, setRejecting] = useState(false);
  const path = { application: request.application_id, id: request.pair_request_id };
  const decide = async (call: () => Promise<PairingRequest>) => {
    checkAim();
    try {
      decided(await call());
    } catch (error) {
      // It may be decided all the same, or somebody else was first: the list knows.
      if (error instanceof CallError && [null, 404, 409].includes(error.status)) await refused();
      throw error;
    }
  };
  const approve = () =>
    decide(() =>
      result(approvePairingRequest({ path, body: { digest: request.digest, ...terms } })),
    );
  const reject = (reason: string) =>
    decide(() => result(rejectPairingRequest({ path, body: reason === "" ? {} : { reason } })));
  const cancel = () => {
    setRejecting(false);
    document.getElementById(elementId(request))?.focus({ preventScroll: true });
  };
  if (rejecting) return <Rejection reject={reject} cancel={cancel} />;
  const noRole = terms.roles.length === 0 ? "Tick a role, or reject the request." : null;
  return (
    <div class="buttons">
      <Action run={approve} needs="devices:approve" kind="main" blocked={noRole}>
        {verb}
      </Action>
      <Action run={async () => setRejecting(true)} needs="devices:approve">
        Reject …
      </Action>
    </div>
  );
}

interface RejectionProps {
  reject: (reason: string) => Promise<void>;
  cancel: () => void;
}

function Rejection({ reject, cancel }: RejectionProps) {
  const [reason, setReason] = useState("");
  const input = useFocusAtFirst<HTMLInputElement>();
  return (
    <Form
      submit={() => reject(reason.trim())}
      needs="devices:approve"
      verb="Reject"
      cancel={cancel}
    >
      <Field label="Reason, if you like" hint="For other operators. The device is not told.">
        {(props) => (
          <input
            {...props}
            ref={input}
            value={reason}
            maxLength={256}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        )}
      </Field>
    </Form>
  );
}
