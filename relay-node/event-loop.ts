/** What the event loop of this process did. */
import { monitorEventLoopDelay, performance } from "node:perf_hooks";

export interface EventLoopFigures {
  /** The 99th percentile of its delay. */
  delaySeconds: number;
  /** The part of the time that was not idle. */
  utilization: number;
}

/** Measures from now on. `read` gives the figures since the last call. */
export function measureEventLoop(): { read(): EventLoopFigures; stop(): void } {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  let before = performance.eventLoopUtilization();
  return {
    read: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      const delaySeconds = delay.percentile(99) / 1e9;
      delay.reset();
      return { delaySeconds, utilization };
    },
    stop: () => delay.disable(),
  };
}
