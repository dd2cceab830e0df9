// Curves over epochs, small curves, and the gradient spine.
import { draw, make, number } from "./dom.js";
import { say } from "./words.js";

const LEFT = 56, RIGHT = 12, TOP = 22, BOTTOM = 24;

export function ticks(low, high, count) {
  const span = high - low || 1, raw = span / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const places = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) places.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return places;
}

// Reduce many points to those that a screen can show: the lowest and the highest in each column of pixels.
function thinned(xs, ys, width, toX) {
  if (xs.length <= width * 2) return xs.map((x, i) => [x, ys[i]]).filter(([, y]) => Number.isFinite(y));
  const points = [];
  let column = -1, low = null, high = null;
  const flush = () => {
    if (!low) return;
    points.push(...(low[0] === high[0] ? [low] : low[0] < high[0] ? [low, high] : [high, low]));
  };
  for (let i = 0; i < xs.length; i += 1) {
    if (!Number.isFinite(ys[i])) continue;
    const here = Math.round(toX(xs[i]));
    if (here !== column) { flush(); column = here; low = high = [xs[i], ys[i]]; }
    if (ys[i] < low[1]) low = [xs[i], ys[i]];
    if (ys[i] > high[1]) high = [xs[i], ys[i]];
  }
  flush();
  return points;
}

// A chart of curves over epochs. `pick(x)` is called with the position of the pointer.
export function chart({ title, unit = "", height = 230, pick = null, format = number }) {
  const svg = draw("svg", { class: "lines", height, role: "img" });
  const legend = make("ul", { class: "keys" });
  const element = make("figure", { class: "card chart" }, make("figcaption", {}, make("b", {}, title), make("span", { class: "soft" }, unit)), svg, legend);
  let state = { series: [], marks: [], levels: [], xMax: 1 }, cursor = null, width = 0, toX = null, toEpoch = null;

  const valueAt = ({ xs, ys }, x) => {
    if (!xs.length) return null;
    let low = 0, high = xs.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (xs[middle] <= x) low = middle; else high = middle - 1; }
    return ys[low];
  };

  function keys() {
    legend.replaceChildren(...state.series.map((series) => make("li", {}, make("span", { class: `key ${series.colour}` }), `${series.name} `,
      make("b", {}, format(valueAt(series, cursor ?? Infinity))))),
      ...state.levels.map((level) => make("li", {}, make("span", { class: "key level" }), `${level.name} `, make("b", {}, format(level.value)))));
  }

  function paint() {
    width = svg.clientWidth;
    if (!width) return;
    const all = state.series.flatMap((series) => series.ys).filter(Number.isFinite);
    const shown = [...all, ...state.levels.map((level) => level.value)];
    let low = shown.length ? shown.reduce((a, b) => Math.min(a, b)) : 0, high = shown.length ? shown.reduce((a, b) => Math.max(a, b)) : 1;
    const isLog = state.mayLog && low > 0 && high / low > 50;
    const map = isLog ? Math.log10 : (y) => y;
    [low, high] = [map(low), map(high)];
    if (state.range) [low, high] = [Math.min(low, state.range[0]), Math.max(high, state.range[1])];
    else { const room = (high - low || Math.abs(high) || 1) * 0.06; [low, high] = [low - room, high + room]; }
    const right = width - RIGHT, bottom = height - BOTTOM, xMax = Math.max(1, state.xMax);
    toX = (x) => LEFT + (right - LEFT) * x / xMax;
    toEpoch = (x) => Math.max(0, Math.min(xMax, (x - LEFT) / (right - LEFT) * xMax));
    const toY = (y) => bottom - (bottom - TOP) * (map(y) - low) / (high - low || 1);
    const parts = [];
    const yTicks = isLog ? ticks(low, high, 4).filter(Number.isInteger).map((p) => 10 ** p) : ticks(low, high, 4);
    const shownTicks = yTicks.length > 1 ? yTicks : ticks(low, high, 4).map((y) => (isLog ? 10 ** y : y));
    for (const y of shownTicks) {
      const at = toY(y);
      if (at < TOP - 1 || at > bottom + 1) continue;
      parts.push(draw("line", { class: "grid", x1: LEFT, x2: right, y1: at, y2: at }), draw("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, format(isLog ? Number(y.toPrecision(2)) : Number(y.toPrecision(4)))));
    }
    for (const x of ticks(0, xMax, Math.max(2, Math.min(8, (width - LEFT) / 90)))) {
      parts.push(draw("text", { x: toX(x), y: height - 6, "text-anchor": x >= xMax * 0.99 ? "end" : "middle" }, x.toLocaleString("en")));
    }
    parts.push(draw("line", { class: "axis", x1: LEFT, x2: right, y1: bottom, y2: bottom }));
    for (const level of state.levels) {
      const at = toY(level.value);
      parts.push(draw("line", { class: "level", x1: LEFT, x2: right, y1: at, y2: at }));
    }
    for (const mark of state.marks) {
      const at = toX(Math.min(mark.x, xMax));
      parts.push(draw("line", { class: `mark ${mark.kind}`, x1: at, x2: at, y1: TOP, y2: bottom }),
        draw("text", { class: `flag ${mark.kind}`, x: at, y: TOP - 7, "text-anchor": at > width * 0.8 ? "end" : at < width * 0.2 ? "start" : "middle" }, mark.label));
    }
    for (const series of state.series) {
      const points = thinned(series.xs, series.ys, width, toX);
      if (points.length === 1) parts.push(draw("circle", { class: `dot ${series.colour}`, cx: toX(points[0][0]), cy: toY(points[0][1]), r: 3 }));
      else parts.push(draw("path", { class: `curve ${series.colour}`, d: points.map(([x, y], i) => `${i ? "L" : "M"}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`).join("") }));
    }
    parts.push(draw("line", { class: "cursor", y1: TOP, y2: bottom, x1: -9, x2: -9 }));
    svg.replaceChildren(...parts);
    svg.setAttribute("aria-label", `${title}: ${state.series.map((series) => `${series.name} ${format(series.ys[series.ys.length - 1])}`).join(", ") || say("nothing yet")}`);
    point();
  }

  function point() {
    const line = svg.querySelector(".cursor");
    if (line && toX) { const at = cursor === null ? -9 : toX(cursor); line.setAttribute("x1", at); line.setAttribute("x2", at); }
    keys();
  }

  if (pick) {
    svg.classList.add("pickable");
    svg.addEventListener("pointermove", (event) => { if (toEpoch) pick(toEpoch(event.clientX - svg.getBoundingClientRect().left), false); });
    svg.addEventListener("pointerleave", () => pick(null, false));
    svg.addEventListener("click", (event) => { if (toEpoch) pick(toEpoch(event.clientX - svg.getBoundingClientRect().left), true); });
  }
  new ResizeObserver(() => { if (svg.clientWidth !== width) paint(); }).observe(svg);
  return { element, update(next) { state = { marks: [], levels: [], ...next }; paint(); }, cursor(x) { cursor = x; point(); } };
}

export function sparkline(curve, width = 120, height = 34) {
  const points = curve.filter(([, y]) => Number.isFinite(y));
  const svg = draw("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  if (points.length < 2) return svg;
  const ys = points.map(([, y]) => y), log = Math.min(...ys) > 0 && Math.max(...ys) / Math.min(...ys) > 50;
  const map = log ? Math.log : (y) => y;
  const low = Math.min(...ys.map(map)), high = Math.max(...ys.map(map)), [first] = points[0], [last] = points[points.length - 1];
  const place = ([x, y]) => `${(2 + (width - 4) * (x - first) / (last - first || 1)).toFixed(1)} ${(height - 3 - (height - 6) * (map(y) - low) / (high - low || 1)).toFixed(1)}`;
  svg.append(draw("path", { d: `M${points.map(place).join("L")}` }));
  return svg;
}

// ------------------------------------------------------------------ the gradient spine
// A bar up for each layer's output and a bar down for its delta, both on a logarithmic scale; grey is the usual range.
const DECADES = 7, USUAL = [0.05, 20], FALL = 1000, NARROW = 600;
// On a narrow screen, layers are arranged in several rows, so that all are visible.
export function spine(paths, readings, room) {
  const nodes = paths.filter((path) => path in (readings.output_rms ?? {})), across = Math.max(1, Math.floor((room - 76) / 44));
  const rows = room < NARROW ? Math.ceil(nodes.length / across) : 1, each = Math.ceil(nodes.length / rows);
  return Array.from({ length: rows }, (_, i) => spineRow(nodes.slice(i * each, (i + 1) * each), readings, room, nodes));
}

function spineRow(nodes, readings, room, all) {
  const out = readings.output_rms ?? {}, back = readings.delta_rms ?? {}, dead = readings.dead ?? {}, stuck = readings.saturated ?? {};
  const wide = Math.max(44, Math.min(96, Math.floor((room - 76) / Math.max(nodes.length, 1)))), high = 96, middle = high + 18, width = 74 + wide * nodes.length;
  const largest = Math.max(...all.map((path) => back[path] ?? 0), 1e-300);
  const reach = (value, top) => high * Math.max(0.01, Math.min(1, 1 + Math.log10(Math.max(value, 1e-300) / top) / DECADES));
  const top = 1000;
  const svg = draw("svg", { class: "spine", viewBox: `0 0 ${width} ${2 * middle + 46}`, width, role: "img", "aria-label": say("outputs and deltas of the layers") });
  const band = (value, sign, scale) => middle - sign * reach(value, scale);
  svg.append(draw("rect", { class: "usual", x: 70, width: wide * nodes.length, y: band(USUAL[1], 1, top), height: band(USUAL[0], 1, top) - band(USUAL[1], 1, top) }),
    draw("rect", { class: "usual", x: 70, width: wide * nodes.length, y: band(largest / FALL, -1, largest), height: band(largest, -1, largest) - band(largest / FALL, -1, largest) }),
    draw("text", { x: 0, y: middle - high / 2 + 4, class: "t-forward" }, say("outputs")), draw("text", { x: 0, y: middle + high / 2 + 4, class: "t-backward" }, say("deltas")));
  nodes.forEach((path, i) => {
    const x = 70 + wide * i, y = out[path], dy = back[path], up = reach(y, top);
    const isOdd = y < USUAL[0] || y > USUAL[1], isFaint = dy !== undefined && dy < largest / FALL;
    const notes = [dead[path] > 0.3 ? say("{n} % dead", { n: Math.round(dead[path] * 100) }) : "", stuck[path] > 0.3 ? say("{n} % saturated", { n: Math.round(stuck[path] * 100) }) : ""].filter(Boolean);
    const group = draw("g", {}, draw("title", {}, `${path}: ${say("outputs")} ${number(y, 3)}${dy === undefined ? "" : `, ${say("deltas")} ${number(dy, 3)}`}${notes.length ? `, ${notes.join(", ")}` : ""}`),
      draw("rect", { class: `up${isOdd ? " odd" : ""}`, x: x + 6, width: wide - 12, y: middle - up, height: up, rx: 3 }),
      draw("text", { x: x + wide / 2, y: middle - up - 5, "text-anchor": "middle" }, number(y, 2)));
    if (dy !== undefined) {
      const down = reach(dy, largest);
      group.append(draw("rect", { class: `down${isFaint ? " odd" : ""}`, x: x + 6, width: wide - 12, y: middle, height: down, rx: 3 }),
        draw("text", { x: x + wide / 2, y: middle + down + 14, "text-anchor": "middle" }, number(dy, 2)));
    }
    const label = path.split("/").pop();
    group.append(draw("text", { class: "name", x: x + wide / 2, y: 2 * middle + 24, "text-anchor": "middle" }, label.length > wide / 7 ? `${label.slice(0, Math.floor(wide / 7) - 1)}…` : label));
    if (notes.length) group.append(draw("text", { class: "t-backward", x: x + wide / 2, y: 2 * middle + 40, "text-anchor": "middle", "font-size": 11 }, notes[0]));
    svg.append(group);
  });
  svg.append(draw("line", { class: "axis", x1: 70, x2: width, y1: middle, y2: middle }));
  return svg;
}
