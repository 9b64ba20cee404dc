// A graph of one or two series over time, drawn as SVG: axes with units, values under the pointer or the arrow keys.
//
// It knows no tracker: it is given points and the functions that write its values.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { top: 10, right: 10, bottom: 22, left: 52 };
/** A line is broken where points are further apart than this many steps. */
const GAP = 2.5;
/** Distances of the marks on the axis of time, in seconds. */
const TIME_STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200];

/** An SVG element with these attributes. */
function svg(name, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

/** An HTML element with a class and text. */
function html(name, className, text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

/** The first of 1, 2, 5, 10, 20 and so on that is not below `number`. */
function round(number) {
  let step = 1;
  for (let i = 0; step < number; i += 1) step *= i % 3 === 1 ? 2.5 : 2;
  return step;
}

/** An axis from 0: its marks, and how high up a value is, from 0 to 1. */
function linear(values) {
  const highest = Math.max(0, ...values);
  const step = round(highest / 5);
  const count = Math.max(2, Math.ceil(highest / step));
  return {
    marks: Array.from({ length: count + 1 }, (_, i) => i * step),
    share: (value) => value / (count * step),
  };
}

/** An axis of powers of ten, likewise. */
function logarithmic(values) {
  const positive = values.filter((value) => value > 0);
  const least = Math.floor(Math.log10(Math.min(...positive, 10)));
  const most = Math.max(least + 2, Math.ceil(Math.log10(Math.max(...positive, 1))));
  return {
    marks: Array.from({ length: most - least + 1 }, (_, i) => 10 ** (least + i)),
    share: (value) => Math.max(0, (Math.log10(Math.max(value, Number.MIN_VALUE)) - least) / (most - least)),
  };
}

/** 14:05, or 14:05:09. */
function clock(seconds, exact) {
  const parts = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(exact && { second: "2-digit" }) };
  return new Date(seconds * 1000).toLocaleTimeString([], parts);
}

export class Graph {
  /**
   * `series` is two of `{ key, label }`. `form` is "stacked", the second on top of the first and the axis from 0, or
   * "logarithmic", each for itself and a mark a power of ten. `axis(value)` writes a value at the axis, where there is
   * little room, and `exact(value)` everywhere else.
   */
  constructor({ title, series, form, axis, exact }) {
    Object.assign(this, { title, series, axis, exact, stacked: form === "stacked" });
    this.element = html("figure", "");
    const caption = html("figcaption", "");
    const legend = html("span", "legend");
    for (const { label } of series) legend.append(html("span", "", label));
    caption.append(html("b", "", title), legend);
    this.canvas = svg("svg", { class: "graph", tabindex: "0", role: "img" });
    this.tip = html("div", "tip");
    this.tip.setAttribute("aria-live", "polite");
    this.tip.hidden = true;
    this.element.append(caption, this.canvas, this.tip);
    this.points = [];
    this.chosen = null;
    this.canvas.addEventListener("pointermove", (event) => this.chooseNear(event.offsetX));
    this.canvas.addEventListener("pointerleave", () => this.choose(null));
    this.canvas.addEventListener("blur", () => this.choose(null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /** Shows `{ seconds, step, at, KEY: […] }`; `start` is when `at` was 0, in seconds since 1970, and `now` the present. */
  show(history, start, now) {
    this.seconds = history.seconds;
    this.step = history.step;
    this.now = now;
    this.points = history.at.map((at, i) => ({
      time: start + at,
      values: this.series.map(({ key }) => history[key][i]),
    }));
    this.draw();
  }

  /** The values of a point as heights: stacked, or each for itself. */
  heights({ values }) {
    return this.stacked ? values.map((_, i) => values.slice(0, i + 1).reduce((a, b) => a + b, 0)) : values;
  }

  draw() {
    const { width, height } = this.canvas.getBoundingClientRect();
    if (!width || this.seconds === undefined) return;
    this.width = width;
    const shown = this.points.filter(({ time }) => time > this.now - this.seconds);
    const heights = shown.flatMap((point) => this.heights(point)).filter((value) => value !== null);
    const { marks, share } = (this.stacked ? linear : logarithmic)(heights);
    const right = width - MARGIN.right;
    const bottom = height - MARGIN.bottom;
    this.x = (time) => right - ((this.now - time) / this.seconds) * (right - MARGIN.left);
    this.y = (value) => bottom - share(value) * (bottom - MARGIN.top);
    const parts = [];
    for (const value of marks) {
      const y = Math.round(this.y(value)) + 0.5;
      const line = value === marks[0] ? "base" : "rule";
      parts.push(svg("line", { class: line, x1: MARGIN.left, x2: right, y1: y, y2: y }));
      parts.push(svg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, this.axis(value)));
    }
    parts.push(...this.times(right, height));
    if (shown.length === 0) {
      const middle = { class: "empty", x: (MARGIN.left + right) / 2, y: bottom / 2, "text-anchor": "middle" };
      parts.push(svg("text", middle, "The first points come in a moment."));
    }
    parts.push(...this.lines(shown, bottom));
    this.overlay = svg("g");
    this.canvas.replaceChildren(...parts, this.overlay);
    this.shown = shown;
    this.describe(shown, heights);
    this.drawChosen();
  }

  /** The marks of time: full minutes or hours of the reader's clock. */
  times(right, height) {
    const most = Math.max(2, Math.floor((right - MARGIN.left) / 64));
    const step = TIME_STEPS.find((step) => this.seconds / step <= most) ?? 86400;
    const offset = new Date(this.now * 1000).getTimezoneOffset() * 60;
    const parts = [];
    const first = Math.ceil((this.now - this.seconds - offset) / step) * step + offset;
    for (let time = first; time <= this.now; time += step) {
      const x = this.x(time);
      if (x < MARGIN.left + 8 || x > right - 6) continue;
      parts.push(svg("text", { x, y: height - 6, "text-anchor": "middle" }, clock(time, false)));
    }
    return parts;
  }

  /** A line a series, with its area if they are stacked, the last series beneath. */
  lines(points, bottom) {
    const parts = [];
    for (const i of this.series.keys()) {
      let path = "";
      let area = "";
      let run = [];
      const end = () => {
        if (run.length > 0) {
          const line = run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
          // A point alone is a dot: a line of no length with round ends.
          path += `M${line}${run.length === 1 ? "h0.01" : ""}`;
          area += `M${line}L${run.at(-1)[0].toFixed(1)} ${bottom}L${run[0][0].toFixed(1)} ${bottom}Z`;
        }
        run = [];
      };
      let before = null;
      for (const point of points) {
        const height = this.heights(point)[i];
        if (height === null || (before !== null && point.time - before > GAP * this.step)) end();
        if (height !== null) run.push([this.x(point.time), this.y(height)]);
        before = point.time;
      }
      end();
      if (!path) continue;
      const drawn = [];
      if (this.stacked) {
        // What is beneath is not seen through it.
        drawn.push(svg("path", { class: "ground", d: area }), svg("path", { class: `area s${i}`, d: area }));
      }
      drawn.push(svg("path", { class: `line s${i}`, d: path, "stroke-linecap": "round" }));
      parts.unshift(...drawn);
    }
    return parts;
  }

  /** What a screen reader says of the graph. */
  describe(points, heights) {
    const highest = heights.length ? this.exact(Math.max(...heights)) : "none";
    const last = points.at(-1);
    const now = last ? this.series.map(({ label }, i) => `${label} ${this.write(last.values[i])}`).join(", ") : "no points yet";
    this.canvas.setAttribute("aria-label", `${this.title}. Now: ${now}. Highest: ${highest}. Arrow keys tell the values.`);
  }

  write(value) {
    return value === null ? "–" : this.exact(value);
  }

  chooseNear(x) {
    if (!this.shown?.length) return;
    const distance = ({ time }) => Math.abs(this.x(time) - x);
    this.choose(this.shown.reduce((a, b) => (distance(b) < distance(a) ? b : a)).time);
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") this.choose(null);
    if (!step || !this.shown?.length) return;
    event.preventDefault();
    const at = this.shown.findIndex(({ time }) => time === this.nearest()?.time);
    const next = at < 0 ? this.shown.length - 1 : Math.min(Math.max(at + step, 0), this.shown.length - 1);
    this.choose(this.shown[next].time);
  }

  choose(time) {
    this.chosen = time;
    if (this.overlay) this.drawChosen();
  }

  /** The chosen point: times move by fractions of a second from answer to answer. */
  nearest() {
    if (this.chosen === null) return null;
    return this.shown.find(({ time }) => Math.abs(time - this.chosen) < this.step / 2) ?? null;
  }

  drawChosen() {
    const point = this.nearest();
    this.tip.hidden = point === null;
    this.overlay.replaceChildren();
    if (point === null) return;
    const x = this.x(point.time);
    const bottom = this.y(0);
    this.overlay.append(svg("line", { class: "cross", x1: x, x2: x, y1: MARGIN.top, y2: bottom }));
    const heights = this.heights(point);
    const rows = this.series.map(({ label }, i) => {
      if (heights[i] !== null) {
        this.overlay.append(svg("circle", { class: `mark s${i}`, cx: x, cy: this.y(heights[i]), r: 3.5 }));
      }
      const row = html("div", "");
      row.append(html("span", "", label), html("span", "", this.write(point.values[i])));
      return row;
    });
    this.tip.replaceChildren(html("b", "", clock(point.time, true)), ...rows);
    const left = x + 12 + this.tip.offsetWidth > this.width ? x - 12 - this.tip.offsetWidth : x + 12;
    this.tip.style.left = `${Math.max(0, left)}px`;
  }
}
