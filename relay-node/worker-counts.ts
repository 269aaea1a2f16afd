/** What the workers of a relay node have counted, added up. Pure. */
import type { EventLoopFigures } from "./event-loop";
import { TrafficCounts } from "./traffic-counts";
import type { WorkerReport } from "./worker-messages";

const NOTHING: EventLoopFigures = { delaySeconds: 0, utilization: 0 };

export class WorkerCounts {
  /** What workers have counted that have ended, and what their parent has dropped itself. */
  readonly others = new TrafficCounts();
  readonly #sum: TrafficCounts;
  #busiest = NOTHING;
  #taken = false;

  /** `sum` is kept up to date. */
  constructor(sum: TrafficCounts) {
    this.#sum = sum;
  }

  /** A worker has reported. `all`: the newest reports of all who run. */
  reported({ delaySeconds, utilization }: EventLoopFigures, all: readonly WorkerReport[]): void {
    const before = this.#taken ? NOTHING : this.#busiest;
    this.#taken = false;
    this.#busiest = {
      delaySeconds: Math.max(before.delaySeconds, delaySeconds),
      utilization: Math.max(before.utilization, utilization),
    };
    this.#sum.setToSumOf([this.others, ...all.map(({ counts }) => counts)]);
  }

  /** Of the busiest worker, since the last call; again the same, if none has reported since then. */
  takeBusiest(): EventLoopFigures {
    this.#taken = true;
    return this.#busiest;
  }
}
