// The recorded weights of a small network: reading them, and drawing those at one step.
import { readBytes, runPath } from "./api.js";
import { make, number } from "./dom.js";
import { say } from "./words.js";

const CELL = 26, LEAST_CELL = 3, MOST_NUMBERS = 64, TALL = 340;

export class Moments {
  constructor(id) { Object.assign(this, { id, arrays: [], size: 0, moments: [], end: 0, isReading: false }); }

  // Read what was added to the file, whose size is now `size`; return whether there was anything new.
  async grow(size) {
    if (this.isReading || size === this.end) return false;
    if (size < this.end) Object.assign(this, { arrays: [], size: 0, moments: [], end: 0 });
    this.isReading = true;
    try {
      let bytes = await readBytes(`${runPath(this.id, "weights")}?after=${this.end}`);
      if (!this.size) {
        const line = bytes.indexOf(10) + 1;
        if (!line) return false;
        this.arrays = JSON.parse(new TextDecoder().decode(bytes.subarray(0, line))).arrays.map(([name, shape]) => ({ name, shape, count: shape.reduce((a, b) => a * b, 1) }));
        this.size = 8 + 4 * this.arrays.reduce((sum, array) => sum + array.count, 0);
        this.end = line;
        bytes = bytes.subarray(line);
      }
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = 0; at + this.size <= bytes.length; at += this.size) {
        const values = new Float32Array((this.size - 8) / 4);
        for (let i = 0; i < values.length; i += 1) values[i] = view.getFloat32(at + 8 + 4 * i, true);
        const step = Number(view.getBigInt64(at, true));
        while (this.moments.length && this.moments[this.moments.length - 1].step >= step) this.moments.pop(); // the run was resumed from an earlier step
        this.moments.push({ step, values });
        this.end += this.size;
      }
      return true;
    } finally { this.isReading = false; }
  }

  // The latest moment up to a step.
  at(step) {
    let best = this.moments[0] ?? null;
    for (const moment of this.moments) { if (moment.step <= step) best = moment; else break; }
    return best;
  }
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const parts = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// A heat map of [rows, columns] numbers, blue above 0 and orange below; small ones show their numbers.
export function heat(canvas, values, rows, columns, largest, { room = 460, digits = 2 } = {}) {
  const side = Math.max(LEAST_CELL, Math.min(CELL, Math.floor(room / columns), Math.max(7, Math.floor(TALL / rows)))), isTold = rows * columns <= MOST_NUMBERS && columns * 54 <= room;
  const wide = isTold ? 54 : side, high = isTold ? 28 : side, ratio = window.devicePixelRatio || 1;
  canvas.width = columns * wide * ratio;
  canvas.height = rows * high * ratio;
  canvas.style.width = `${columns * wide}px`;
  canvas.style.height = `${rows * high}px`;
  const pen = canvas.getContext("2d"), paper = parts(colour("card")), [up, down] = [parts(colour("s1")), parts(colour("s2"))];
  pen.scale(ratio, ratio);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.font = "12px system-ui, sans-serif";
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      const value = values[i * columns + j], share = Math.min(1, Math.abs(value) / (largest || 1)), tint = value < 0 ? down : up;
      pen.fillStyle = Number.isFinite(value) ? `rgb(${paper.map((c, k) => Math.round(c + (tint[k] - c) * share * (isTold ? 0.6 : 1)))})` : colour("bad");
      pen.fillRect(j * wide, i * high, wide - (wide > 6 ? 1 : 0), high - (high > 6 ? 1 : 0));
      if (isTold) { pen.fillStyle = colour("ink"); pen.fillText(number(value, digits), (j + 0.5) * wide - 0.5, (i + 0.5) * high); }
    }
  }
  return { wide, high };
}

export function weightsView(place, moments) {
  const note = make("p", { class: "soft" }), list = make("div", { class: "heats" });
  place.replaceChildren(make("h2", {}, say("Weights")), note, list);
  let shown = null, largest = new Map(), counted = 0;
  const figures = new Map(), groups = new Map();

  function scale() { // one scale per layer for the whole run, so that growth is visible
    if (counted === moments.moments.length) return;
    counted = moments.moments.length;
    largest = new Map();
    for (const { values } of moments.moments) {
      let at = 0;
      for (const { name, count } of moments.arrays) {
        const layer = name.split("/").slice(0, -1).join("/");
        let most = largest.get(layer) ?? 0;
        for (let i = at; i < at + count; i += 1) most = Math.max(most, Number.isFinite(values[i]) ? Math.abs(values[i]) : 0);
        largest.set(layer, most);
        at += count;
      }
    }
    shown = null;
  }

  function show(step) {
    const moment = moments.at(step);
    place.hidden = !moment;
    scale();
    if (!moment || shown === moment) return;
    shown = moment;
    note.textContent = say("step {n}", { n: moment.step.toLocaleString("en") });
    let at = 0;
    for (const { name, shape, count } of moments.arrays) {
      const values = moment.values.subarray(at, at + count);
      at += count;
      if (!name.startsWith("params/")) continue;
      if (!figures.has(name)) {
        const canvas = make("canvas", { role: "img" });
        figures.set(name, canvas);
        const layer = name.split("/").slice(0, -1).join("/");
        if (!groups.has(layer)) { groups.set(layer, make("div", { class: "heat-layer" })); list.append(groups.get(layer)); }
        groups.get(layer)[name.endsWith("/bias") ? "append" : "prepend"](make("figure", { class: "heat" }, make("figcaption", {}, make("code", {}, name.slice(7)), make("span", { class: "soft" }, ` ${shape.join(" × ")}`)), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name.slice(7) }, canvas)));
      }
      const columns = shape.length ? shape[shape.length - 1] : 1, canvas = figures.get(name);
      heat(canvas, values, count / Math.max(columns, 1), columns, largest.get(name.split("/").slice(0, -1).join("/")), { room: Math.max(240, list.clientWidth - 4) });
      canvas.setAttribute("aria-label", `${name.slice(7)}, ${say("largest")} ${number(values.reduce((a, b) => Math.max(a, Math.abs(b)), 0), 3)}`);
    }
  }
  return { show };
}
