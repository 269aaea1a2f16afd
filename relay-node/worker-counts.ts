/** What the workers of a relay node have counted, added up. Pure. */
import type { EventLoopFigures } from "./event-loop";
import { TrafficCounts } from "./traffic-counts";
import type { WorkerReport } from "./worker-messages";

export class WorkerCounts {
  /** What workers have counted that have ended, and what their parent has dropped itself. */
  readonly others = new TrafficCounts();
  readonly #sum: TrafficCounts;
  #busiest: EventLoopFigures = { delaySeconds: 0, utilization: 0 };

  /** `sum` is kept up to date. */
  constructor(sum: TrafficCounts) {
    this.#sum = sum;
  }

  /** A worker has reported. `all`: the newest reports of all who run. */
  reported({ delaySeconds, utilization }: EventLoopFigures, all: readonly WorkerReport[]): void {
    this.#busiest = {
      delaySeconds: Math.max(this.#busiest.delaySeconds, delaySeconds),
      utilization: Math.max(this.#busiest.utilization, utilization),
    };
    this.#sum.setToSumOf([this.others, ...all.map(({ counts }) => counts)]);
  }

  /** Of the busiest worker, since the last call. */
  takeBusiest(): EventLoopFigures {
    const busiest = this.#busiest;
    this.#busiest = { delaySeconds: 0, utilization: 0 };
    return busiest;
  }
}
