/** What goes through a relay session: the rates in words, and a plot of the last minutes. */
import type { RelaySession } from "drawbridge-client";
import { useEffect, useRef, useState } from "preact/hooks";
import { inBytes } from "../../durations";
import type { Traffic } from "./traffic";
import type { TrafficPlot } from "./traffic-plot";

interface Props {
  session: RelaySession;
  traffic: Traffic;
  /** When the session was read last. */
  at: number;
}

export function SessionTraffic({ session, traffic, at }: Props) {
  const users = session.session_users;
  const sum = (what: "bytes_in" | "bytes_out" | "frames_dropped") =>
    users.reduce((total, user) => total + (user[what] ?? 0), 0);
  const latest = traffic.latest();
  return (
    <>
      <h2>Traffic</h2>
      <p class="session-rates">
        <Rate kind="sent" words="from the users" rate={latest?.bytes_in} />
        <Rate kind="received" words="to the users" rate={latest?.bytes_out} />
      </p>
      <p class="muted">
        In all: {inBytes(sum("bytes_in"))} from the users that are here now,{" "}
        {inBytes(sum("bytes_out"))} to them; {sum("frames_dropped")} frames dropped.
      </p>
      <Plot traffic={traffic} at={at} />
    </>
  );
}

interface RateProps {
  kind: "sent" | "received";
  words: string;
  rate: number | undefined;
}

function Rate({ kind, words, rate }: RateProps) {
  return (
    <span>
      <span class={`session-line ${kind}`} aria-hidden="true" />{" "}
      <strong>{rate === undefined ? "…" : `${inBytes(rate)}/s`}</strong> {words}
    </span>
  );
}

/** The plot. What draws it is loaded only here. */
function Plot({ traffic, at }: { traffic: Traffic; at: number }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<TrafficPlot | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let gone = false;
    import("./traffic-plot").then(
      ({ TrafficPlot }) => {
        if (gone || !place.current) return;
        plot.current = new TrafficPlot(place.current);
        plot.current.show(traffic.rates());
      },
      () => setFailed(true),
    );
    return () => {
      gone = true;
      plot.current?.remove();
      plot.current = null;
    };
  }, [traffic]);
  useEffect(() => plot.current?.show(traffic.rates()), [traffic, at]);
  return (
    <figure class="session-traffic">
      <div
        ref={place}
        class="session-plot"
        role="img"
        aria-label="Bytes a second over the last minutes, from the users and to the users. The rates now stand above."
      />
      {failed && <p class="problem">The plot could not be loaded. Load the page again.</p>}
      <figcaption class="muted">
        Bytes a second since you opened this page, 10 minutes at most. The service's counts are up
        to 5 seconds behind: the values are averages between two counts, and the newest one is 5
        seconds old.
      </figcaption>
    </figure>
  );
}
