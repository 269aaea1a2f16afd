/** Draws the traffic of a session with uPlot. This file is loaded when a session is opened. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { inBytes } from "../../durations";
import type { Rates } from "./traffic";

const HEIGHT = 220;
/** The shortest time that is drawn, in seconds: the first values do not fill the width. */
const SHORTEST_SPAN = 60;

/** A plot that fits the width of its place and the colour scheme. */
export class TrafficPlot {
  readonly #place: HTMLElement;
  readonly #dark = matchMedia("(prefers-color-scheme: dark)");
  readonly #resized = new ResizeObserver(() => this.#fit());
  #rates: Rates = { at: [], bytes_in: [], bytes_out: [] };
  #plot: uPlot;

  constructor(place: HTMLElement) {
    this.#place = place;
    this.#plot = this.#make();
    this.#resized.observe(place);
    this.#dark.addEventListener("change", this.#makeAgain);
  }

  /** Draws these values in place of those before. */
  show(rates: Rates): void {
    this.#rates = rates;
    this.#plot.setData(dataOf(rates));
  }

  remove(): void {
    this.#resized.disconnect();
    this.#dark.removeEventListener("change", this.#makeAgain);
    this.#plot.destroy();
  }

  #fit(): void {
    const width = this.#place.clientWidth;
    if (width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }

  /** Colours are those of the moment when it was made. */
  #makeAgain = (): void => {
    this.#plot.destroy();
    this.#plot = this.#make();
  };

  #make(): uPlot {
    const style = getComputedStyle(this.#place);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--muted"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
    };
    return new uPlot(
      {
        width: this.#place.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { range: (_, from, to) => [Math.min(from, to - SHORTEST_SPAN), to] },
          y: { range: (_, __, most) => [0, Math.max(most ?? 0, 100) * 1.1] },
        },
        axes: [
          { ...axis, space: 80, values: (_, times) => times.map(timeOfDay) },
          { ...axis, size: 76, values: (_, rates) => rates.map((rate) => `${inBytes(rate)}/s`) },
        ],
        series: [
          {},
          { stroke: colour("--session-sent"), width: 2, points: { show: false } },
          { stroke: colour("--session-received"), width: 2, dash: [6, 4], points: { show: false } },
        ],
      },
      dataOf(this.#rates),
      this.#place,
    );
  }
}

/** What is drawn; without values an empty plot up to now. */
function dataOf({ at, bytes_in, bytes_out }: Rates): uPlot.AlignedData {
  if (at.length > 0) return [at, bytes_in, bytes_out];
  const now = Date.now() / 1_000;
  return [
    [now - SHORTEST_SPAN, now],
    [null, null],
    [null, null],
  ];
}

function timeOfDay(seconds: number): string {
  return new Date(seconds * 1_000).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
}
