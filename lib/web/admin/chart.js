// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

/** Chart of the last ten minutes, in SVG: grid, lines, and the values at the pointer. */

const SPAN_MS = 600_000;
const HEIGHT = 132;
const TOP = 6;
const BOTTOM = 20;
const STEP_MS = 10_000;
const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {object} Series
 * @property {string} name in the legend
 * @property {(point: Point) => number} read
 */

/** @typedef {import("./timeline.js").Point} Point */

export class Chart {
  /** @type {(value: number) => string} */
  #format;
  #title;
  #svg = element("svg", { role: "img", tabindex: "0", height: String(HEIGHT) });
  #grid = element("g", { class: "grid" });
  #labels = element("g", { class: "labels" });
  #area = element("path", { class: "area s0" });
  #cursor = element("line", { class: "cursor", y1: String(TOP), y2: String(HEIGHT - BOTTOM) });
  #when = document.createElement("span");
  #curves;
  /** @type {readonly Point[]} */
  #points = [];
  #endMs = 0;
  /** Age of the values that the legend shows, in milliseconds. */
  #agoMs = 0;

  /**
   * @param {HTMLElement} figure
   * @param {string} title
   * @param {readonly Series[]} series the first one has its area filled
   * @param {(value: number) => string} format
   */
  constructor(figure, title, series, format) {
    this.#title = title;
    this.#format = format;
    this.#curves = series.map((one, i) => ({
      ...one,
      color: `s${i}`,
      line: element("path", { class: `line s${i}` }),
      value: document.createElement("b"),
    }));
    this.#svg.append(
      this.#grid,
      this.#area,
      ...this.#curves.map(({ line }) => line).toReversed(),
      this.#labels,
      this.#cursor,
    );
    figure.append(this.#caption(), this.#svg);
    this.#svg.setAttribute("aria-label", `${title}: nothing to show yet`);
    this.#svg.addEventListener("pointermove", ({ clientX }) => this.#pointAt(clientX));
    this.#svg.addEventListener("pointerleave", () => this.#show(0));
    this.#svg.addEventListener("blur", () => this.#show(0));
    this.#svg.addEventListener("keydown", (event) => this.#step(event));
    new ResizeObserver(() => this.#draw()).observe(figure);
  }

  #caption() {
    const caption = document.createElement("figcaption");
    const title = document.createElement("h2");
    title.textContent = this.#title;
    this.#when.className = "when";
    const legend = document.createElement("p");
    legend.className = "legend";
    for (const { name, color, value } of this.#curves) {
      const entry = document.createElement("span");
      entry.className = color;
      entry.append(value, ` ${name}`);
      legend.append(entry);
    }
    caption.append(title, this.#when, legend);
    return caption;
  }

  /**
   * Shows these points, the oldest first.
   *
   * @param {readonly Point[]} points
   */
  update(points) {
    this.#points = points;
    this.#endMs = points.at(-1)?.timeMs ?? 0;
    this.#draw();
  }

  #draw() {
    const width = this.#svg.clientWidth;
    const first = this.#points[0];
    if (width === 0 || first === undefined) return;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const top = niceCeiling(Math.max(...this.#curves.map((curve) => this.#highest(curve))));
    const x = (/** @type {number} */ timeMs) => width * (1 - (this.#endMs - timeMs) / SPAN_MS);
    const y = (/** @type {number} */ value) =>
      HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP);
    this.#drawGrid(width, top, y);
    const paths = this.#curves.map(({ read, line }) => {
      const places = this.#points.map((point) =>
        `${x(point.timeMs).toFixed(1)},${y(read(point)).toFixed(1)}`
      );
      line.setAttribute("d", `M${places.join("L")}`);
      return places.join("L");
    });
    const corners = [`${x(first.timeMs)},${y(0)}`, `${width},${y(0)}`];
    this.#area.setAttribute("d", `M${corners[0]}L${paths[0]}L${corners[1]}Z`);
    this.#show(this.#agoMs);
  }

  /** @param {Series} series */
  #highest({ read }) {
    return this.#points.reduce((highest, point) => Math.max(highest, read(point)), 0);
  }

  /**
   * @param {number} width
   * @param {number} top the value at the upper edge
   * @param {(value: number) => number} y
   */
  #drawGrid(width, top, y) {
    this.#grid.replaceChildren(...[0, top / 2, top].map((value) => {
      const height = y(value).toFixed(1);
      return element("line", { x1: "0", x2: String(width), y1: height, y2: height });
    }));
    const bottom = String(HEIGHT - 5);
    this.#labels.replaceChildren(
      ...[top / 2, top].map((value) =>
        label(this.#format(value), { x: "0", y: String(y(value) + 12) })
      ),
      label("10 min ago", { x: "0", y: bottom }),
      label("5 min", { x: String(width / 2), y: bottom, "text-anchor": "middle" }),
      label("now", { x: String(width), y: bottom, "text-anchor": "end" }),
    );
  }

  /** @param {number} clientX */
  #pointAt(clientX) {
    const { left, width } = this.#svg.getBoundingClientRect();
    this.#show(SPAN_MS * (1 - (clientX - left) / width));
  }

  /** @param {KeyboardEvent} event */
  #step(event) {
    const steps = { ArrowLeft: STEP_MS, ArrowRight: -STEP_MS, End: -SPAN_MS, Home: SPAN_MS };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.#show(this.#agoMs + steps[/** @type {keyof typeof steps} */ (event.key)]);
  }

  /**
   * Shows the values of a moment in the legend.
   *
   * @param {number} agoMs
   */
  #show(agoMs) {
    const first = this.#points[0];
    if (first === undefined) return;
    this.#agoMs = Math.min(Math.max(agoMs, 0), this.#endMs - first.timeMs);
    const point = this.#nearest(this.#endMs - this.#agoMs);
    for (const { read, value } of this.#curves) value.textContent = this.#format(read(point));
    const isNow = this.#agoMs === 0;
    this.#when.textContent = isNow ? "" : new Date(point.timeMs).toLocaleTimeString();
    this.#cursor.classList.toggle("shown", !isNow);
    const x = this.#svg.clientWidth * (1 - this.#agoMs / SPAN_MS);
    this.#cursor.setAttribute("x1", String(x));
    this.#cursor.setAttribute("x2", String(x));
    this.#svg.setAttribute("aria-label", this.#summary(point, isNow));
  }

  /** @param {number} timeMs */
  #nearest(timeMs) {
    return this.#points.reduce((nearest, point) =>
      Math.abs(point.timeMs - timeMs) < Math.abs(nearest.timeMs - timeMs) ? point : nearest
    );
  }

  /**
   * @param {Point} point
   * @param {boolean} isNow
   */
  #summary(point, isNow) {
    const when = isNow ? "now" : `at ${new Date(point.timeMs).toLocaleTimeString()}`;
    const parts = this.#curves.map((curve) => {
      const highest = this.#format(this.#highest(curve));
      return `${curve.name} ${this.#format(curve.read(point))}, at most ${highest}`;
    });
    return `${this.#title} over ten minutes, ${when}: ${parts.join("; ")}`;
  }
}

/**
 * The least of 1, 2, 4, 6, 10, 20, 40… that is not below the value: halves of them are round, too.
 *
 * @param {number} value
 */
export function niceCeiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * /** @type {number} */ ([1, 2, 4, 6, 10].find((step) => step * power >= value));
}

/**
 * @param {string} name
 * @param {Readonly<Record<string, string>>} attributes
 */
function element(name, attributes) {
  const made = /** @type {SVGElement} */ (document.createElementNS(SVG, name));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/**
 * @param {string} text
 * @param {Readonly<Record<string, string>>} attributes
 */
function label(text, attributes) {
  const made = element("text", attributes);
  made.textContent = text;
  return made;
}
