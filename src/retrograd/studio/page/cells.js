// The large arrays of a stop as heat maps; a cell expands into the terms of its sum, whose factors expand in turn.
import { button, make, number, problemLines } from "./dom.js";
import { heat } from "./weights.js";
import { say } from "./words.js";

const MOST_TILES = 36, MOST_ROWS = 64;

function decoded(array) {
  const bytes = Uint8Array.from(atob(array.values), (c) => c.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

// The tiles of an array for one row of the data: [label, rows, columns, place of a cell].
function tilesOf({ shape, side, of }, row) {
  const [a, b, c, d] = shape, range = (n, most) => Array.from({ length: Math.min(n, most) }, (_, i) => i);
  if (side && of === "rows") return range(a, MOST_TILES).map((r) => [`${r}`, side, side, (i, j) => [r, i * side + j]]);
  if (side) return range(b, MOST_TILES).map((unit) => [`${unit}`, side, side, (i, j) => [i * side + j, unit]]);
  if (shape.length === 0) return [["", 1, 1, () => []]];
  if (shape.length === 1) return [["", 1, a, (i, j) => [j]]];
  if (shape.length === 2) return [["", Math.min(a, MOST_ROWS), b, (i, j) => [i, j]]];
  if (shape.length === 3) return [["", Math.min(b, MOST_ROWS), c, (i, j) => [row, i, j]]];
  if (shape.length === 4 && of === "rows") return range(d, MOST_TILES).map((k) => [`${k}`, b, c, (i, j) => [row, i, j, k]]);
  if (shape.length === 4) return range(c * d, MOST_TILES).map((k) => [`${Math.floor(k / d)},${k % d}`, a, b, (i, j) => [i, j, Math.floor(k / d), k % d]]);
  const size = shape.slice(1).reduce((x, y) => x * y, 1), last = shape[shape.length - 1];
  const index = (flat) => { const at = []; for (let axis = shape.length - 1; axis > 0; axis -= 1) { at.unshift(flat % shape[axis]); flat = Math.floor(flat / shape[axis]); } return [row, ...at]; };
  return [["", Math.min(size / last, MOST_ROWS), last, (i, j) => index(i * last + j)]];
}

const flatPlace = (shape, index) => index.reduce((flat, i, axis) => flat * shape[axis] + i, 0);

// `ask(verb, more)` sends a request about the current step; `edit(place, value)` returns an editor for a number.
export function cellsView(place, { ask, edit }) {
  let shown = "", asked = 0, row = 0;

  async function show(stop, stamp) {
    const wanted = `${stop.phase} ${stop.title} ${stamp}`;
    if (wanted === shown) return;
    shown = wanted;
    asked += 1;
    const mine = asked;
    place.hidden = true;
    if (stop.phase === "loss" || stop.phase === "after") return;
    try {
      const arrays = await ask("arrays", { stop: { phase: stop.phase, node: stop.node, title: stop.title } });
      if (mine !== asked || !arrays.length) return;
      place.hidden = false;
      const opened = make("div", { class: "opened", tabindex: -1, "aria-live": "polite" });
      place.replaceChildren(make("h2", {}, `${say(stop.phase)}: `, make("bdi", {}, stop.title)), make("p", { class: "soft" }, say("Click a cell to see the terms of its sum. Blue is above 0, orange is below.")), make("div", { class: "cellsplit" }, make("div", {}, ...arrays.map((array) => figure(array, (key) => open(opened, [key])))), opened));
      for (const draw of place.querySelectorAll("canvas")) draw.paint();
    } catch (error) { if (mine === asked) { place.hidden = false; place.replaceChildren(make("p", { class: "trouble" }, ...problemLines(error))); } }
  }

  function figure(array, choose) {
    const values = decoded(array), largest = values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);
    const tiles = make("div", { class: "tileset" }), hasRows = array.of === "rows" && array.shape.length > 2 && array.shape[0] > 1;
    const key = (index) => `${array.key}${index.length ? `[${index.join(",")}]` : ""}`;
    const told = make("output", { class: "soft" });
    function paint() {
      tiles.replaceChildren(...tilesOf(array, Math.min(row, array.shape[0] - 1)).map(([label, rows, columns, at]) => {
        const cells = new Float32Array(rows * columns);
        for (let i = 0; i < rows; i += 1) for (let j = 0; j < columns; j += 1) cells[i * columns + j] = values[flatPlace(array.shape, at(i, j))];
        const canvas = make("canvas", { role: "img", class: "pickcells", "aria-label": `${array.name} ${label}` });
        let cell = { wide: 1, high: 1 };
        const isTile = label !== "";
        canvas.paint = () => { cell = heat(canvas, cells, rows, columns, largest, { room: isTile ? Math.max(72, columns * 8) : Math.max(260, tiles.clientWidth - 4), digits: 3 }); };
        const under = (event) => { const box = canvas.getBoundingClientRect(), j = Math.floor((event.clientX - box.left) / cell.wide), i = Math.floor((event.clientY - box.top) / cell.high); return i >= 0 && j >= 0 && i < rows && j < columns ? at(i, j) : null; };
        canvas.addEventListener("pointermove", (event) => { const index = under(event); told.textContent = index ? `[${index.join(",")}] = ${number(values[flatPlace(array.shape, index)], 5)}` : ""; });
        canvas.addEventListener("click", (event) => { const index = under(event); if (index) choose(key(index)); });
        if (tiles.isConnected) requestAnimationFrame(() => canvas.paint());
        return make("figure", { class: "tile" }, isTile ? make("figcaption", {}, label) : null, canvas);
      }));
    }
    paint();
    const cut = array.whole[0] !== array.shape[0] ? say("the first {n} of {m} rows", { n: array.shape[0], m: array.whole[0] }) : "";
    const field = make("input", { size: 8, placeholder: array.shape.map(() => 0).join(","), "aria-label": say("cell of {name}", { name: array.name }), onkeydown: (event) => { if (event.key === "Enter") choose(key(event.target.value.split(",").map((text) => Number(text.trim())))); } });
    return make("section", { class: "bigarray" }, make("h3", {}, make("code", {}, array.name), make("span", { class: "soft" }, ` [${array.whole.join(", ")}] ${cut}`)),
      make("div", { class: "tools" }, hasRows ? make("label", {}, `${say("row")} `, make("input", { type: "number", min: 0, max: array.shape[0] - 1, value: Math.min(row, array.shape[0] - 1), onchange: (event) => { row = Math.max(0, Math.min(array.shape[0] - 1, Math.round(event.target.value) || 0)); paint(); } })) : null,
        make("label", {}, `${say("cell")} `, field), told), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": array.name }, tiles));
  }

  // A number and its terms; `keys` is the path from the clicked one to this one.
  async function open(box, keys) {
    box.replaceChildren(make("p", { class: "soft" }, say("computing…")));
    try {
      const cell = await ask("cell", { key: keys[keys.length - 1] });
      const isBack = !cell.key.startsWith("output:");
      const factor = (one) => (one.reads ? button(`${one.name} `, () => open(box, [...keys, one.reads]), "factorbutton", { "aria-label": say("open {name}", { name: one.name }) }) : make("small", {}, one.name));
      box.replaceChildren(
        make("nav", { class: "crumbs", "aria-label": say("the chain so far") }, ...keys.slice(0, -1).map((key, i) => button(key.replace(/^\w+:/, key.startsWith("delta:") ? "δ " : key.startsWith("grad:") ? "∂L/∂ " : ""), () => open(box, keys.slice(0, i + 1)), "plain")), keys.length > 1 ? make("span", { class: "soft" }, say(isBack ? "← propagated back from" : "← computed from")) : null),
        make("h3", { class: isBack ? "backward" : "forward" }, `${cell.name} = `, make("b", {}, number(cell.value, 6))), make("p", { class: "soft" }, cell.words),
        cell.edit ? edit(cell.edit.place, cell.edit.value) : "",
        cell.parts.length ? make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": cell.name }, make("table", { class: "sumtable" }, make("tbody", {}, ...cell.parts.map((part, i) => make("tr", {},
          make("td", { class: "soft" }, i && cell.is_sum ? "+" : ""), make("td", {}, ...part.factors.flatMap((one, j) => [j ? " · " : "", make("span", { class: "factorcell" }, factor(one), make("b", {}, number(one.value, 5)))])), make("td", {}, cell.is_sum || part.factors.length > 1 ? `= ${number(cell.products[i], 5)}` : ""))),
          cell.further ? make("tr", {}, make("td", { class: "soft" }, "+"), make("td", { class: "soft" }, say("sum of {n} smaller terms", { n: cell.further.toLocaleString("en") })), make("td", {}, `= ${number(cell.rest, 5)}`)) : null,
          cell.is_sum ? make("tr", { class: "total" }, make("td", {}, "="), make("td", {}, make("b", {}, number(cell.value, 6))), make("td", {})) : null))) : "");
      box.focus({ preventScroll: true });
      box.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    } catch (error) { box.replaceChildren(make("p", { class: "trouble", role: "alert" }, ...problemLines(error))); }
  }

  return { show };
}
