/** Line charts as SVG that can be read on a light page and on a dark one. */

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly series: readonly Series[];
}

export interface Series {
  readonly name: string;
  /** The baseline, drawn in grey. */
  readonly isReference?: boolean;
  readonly points: readonly Point[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

const WIDTH = 720;
const HEIGHT = 380;
const PLOT = { left: 64, top: 56, right: WIDTH - 150, bottom: HEIGHT - 56 } as const;
const TICKS = 5;

/** Colours of medium lightness that colour-blind readers distinguish, too. */
const COLORS = ["#2f81f7", "#d9822b", "#2da58e", "#a371d8"] as const;
const REFERENCE_COLOR = "#8b949e";

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #6e7681; }
  .title { font-size: 15px; font-weight: 600; fill: #57606a; }
  .grid { stroke: #8b949e; stroke-opacity: 0.25; }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
  .name { font-weight: 600; }
  @media (prefers-color-scheme: dark) { text { fill: #9198a1; } .title { fill: #c9d1d9; } }
`;

/** Both axes begin at 0. */
export function drawChart({ title, xLabel, series }: Chart): string {
  const points = series.flatMap(({ points }) => points);
  const x = scale(points.map(({ x }) => x), PLOT.left, PLOT.right);
  const y = scale(points.map(({ y }) => y), PLOT.bottom, PLOT.top);
  const colors = colorsOf(series);
  const labelYs = spreadOut(series.map(({ points }) => y.place(points.at(-1)?.y ?? 0)));
  const parts = [
    text(PLOT.left - 40, 26, "start", title, "title"),
    ...y.ticks.map((tick) => horizontal(tick, y.place(tick))),
    ...x.ticks.map((tick) => text(x.place(tick), PLOT.bottom + 22, "middle", number(tick))),
    text((PLOT.left + PLOT.right) / 2, HEIGHT - 10, "middle", xLabel),
    ...series.map((one, index) => drawSeries(one, x, y, colors[index]!)),
    ...series.map(({ name, points }, index) => {
      const at = x.place(points.at(-1)?.x ?? 0) + 12;
      return text(at, labelYs[index]! + 4, "start", name, "name", colors[index]!);
    }),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">
<title>${escape(title)}</title>
<style>${STYLE}</style>
${parts.join("\n")}
</svg>
`;
}

function colorsOf(series: readonly Series[]): string[] {
  let used = 0;
  return series.map(({ isReference }) =>
    isReference ? REFERENCE_COLOR : COLORS[used++ % COLORS.length]!
  );
}

/** A scale from values to coordinates, and the values that get a tick. */
interface Scale {
  readonly ticks: readonly number[];
  place(value: number): number;
}

function scale(values: readonly number[], from: number, to: number): Scale {
  const step = niceStep(Math.max(...values, Number.MIN_VALUE) / TICKS);
  const count = Math.ceil(Math.max(...values) / step);
  const ticks = Array.from({ length: count + 1 }, (_, index) => index * step);
  const end = ticks.at(-1)!;
  return { ticks, place: (value) => round(from + (to - from) * value / end) };
}

/** The next of 1, 2, 2.5, 5, 10, 20 … */
function niceStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  return [1, 2, 2.5, 5, 10].map((digit) => digit * power).find((step) => step >= atLeast)!;
}

function drawSeries({ points }: Series, x: Scale, y: Scale, color: string): string {
  const places = points.map((point) => [x.place(point.x), y.place(point.y)]);
  const dots = places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${color}"/>`);
  const path = places.map((place) => place.join(",")).join(" ");
  return `<polyline class="line" stroke="${color}" points="${path}"/>\n${dots.join("\n")}`;
}

function horizontal(tick: number, y: number): string {
  const line = `<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${y}" y2="${y}"/>`;
  return `${line}\n${text(PLOT.left - 10, y + 4, "end", number(tick))}`;
}

const MIN_LABEL_DISTANCE = 18;

/** Moves down labels that overlap others. */
function spreadOut(ys: readonly number[]): number[] {
  const placed = [...ys];
  const order = ys.map((_, index) => index).sort((a, b) => ys[a]! - ys[b]!);
  for (const [rank, index] of order.entries()) {
    if (rank === 0) continue;
    placed[index] = Math.max(ys[index]!, placed[order[rank - 1]!]! + MIN_LABEL_DISTANCE);
  }
  return placed;
}

function text(
  x: number,
  y: number,
  anchor: "start" | "middle" | "end",
  content: string,
  className?: string,
  color?: string,
): string {
  const looks = (className === undefined ? "" : ` class="${className}"`) +
    (color === undefined ? "" : ` style="fill: ${color}"`);
  return `<text x="${x}" y="${y}" text-anchor="${anchor}"${looks}>${escape(content)}</text>`;
}

function number(value: number): string {
  return round(value).toLocaleString("en-US");
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escape(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
