// One step with every number: walk through it, open a weight's chain rule, change a number and see the effect.
import { runPath, send } from "./api.js";
import { button, make, number, problemLines } from "./dom.js";
import { cellsView } from "./cells.js";
import { stepView } from "./step-view.js";
import { say } from "./words.js";

export function stepScreen(body, run, rest) {
  const [first, , rowText] = rest;
  let step = Math.max(1, parseInt(first, 10) || 1), row = rowText === undefined ? null : Math.max(0, parseInt(rowText, 10) || 0);
  let old = null, edits = {}, view = null, place = [1, null], unitRow = 0, asked = 0, quiz = false;
  const head = make("div", { class: "stepbar card" }), trouble = make("p", { class: "trouble", role: "alert" });
  const trace = make("div", { class: "trace" }), large = make("section", { class: "card cells", hidden: true }), rows = make("section", { class: "card rows" }), remarks = make("section", { class: "card remarks" });
  body.replaceChildren(head, trouble, trace, large, rows, remarks);
  const cells = cellsView(large, { ask: (verb, more) => send(runPath(run.id, verb), { step, row, edits, ...more }), edit: editor });
  trace.append(make("p", { class: "soft" }, say("Computing the step; the first one takes longer.")));

  async function load() {
    asked += 1;
    const mine = asked;
    trouble.replaceChildren();
    trace.classList.add("waiting");
    try {
      const answer = await send(runPath(run.id, "trace"), { step, row, edits });
      if (mine !== asked) return;
      if (!Object.keys(edits).length) old = answer;
      paint(answer);
    } catch (error) { if (mine === asked) trouble.replaceChildren(...problemLines(error)); }
    trace.classList.remove("waiting");
  }

  function address() { history.replaceState(null, "", `#run/${encodeURIComponent(run.id)}/step/${step}${row === null ? "" : `/row/${row}`}`); }

  function go(next) { step = next; edits = {}; old = null; address(); load(); }

  function bar(answer) {
    const steps = make("input", { type: "number", min: 1, max: answer.steps, value: step, "aria-label": say("step"), onchange: (event) => go(Math.max(1, Math.min(answer.steps, Math.round(event.target.value) || 1))) });
    const which = make("input", { type: "number", min: 0, max: answer.training_rows - 1, value: row ?? "", placeholder: say("all"), "aria-label": say("training row"), onchange: (event) => { row = event.target.value === "" ? null : Math.max(0, Math.min(answer.training_rows - 1, Math.round(event.target.value))); go(step); } });
    const count = Object.keys(edits).length;
    head.replaceChildren(make("label", {}, say("step"), " ", steps, make("span", { class: "soft" }, ` / ${answer.steps.toLocaleString("en")}`)), make("label", {}, say("training row"), " ", which),
      make("span", { class: "lossline" }, say("Loss"), " ", old && count ? make("s", {}, number(old.exact.loss, 6)) : "", old && count ? " ⇒ " : "", make("b", {}, number(answer.exact.loss, 6)), make("span", { class: "soft" }, ` → ${number(answer.exact.loss_after, 6)} ${say("after the step")}`)),
      button(say(quiz ? "Show the numbers" : "Hide and quiz me"), () => { quiz = !quiz; paint(answer); }, quiz ? "strong" : ""),
      count ? button(say(count === 1 ? "Undo {n} edit" : "Undo {n} edits", { n: count }), () => { edits = {}; load(); }, "strong") : make("span", { class: "soft hintline" }, say("click a weight or an input to change it")));
  }

  function paint(answer) {
    view?.stop();
    bar(answer);
    trace.replaceChildren(
      make("div", { class: "walk", role: "group", "aria-label": say("stops of the step") }, make("div", { class: "phases", role: "group", "aria-label": say("phases") }),
        make("div", { class: "moves" }, make("button", { type: "button", id: "play" }, "▶"), make("button", { type: "button", id: "back", "aria-label": say("previous stop") }, "←"), make("output", { id: "where", "aria-live": "polite" }), make("button", { type: "button", id: "on", "aria-label": say("next stop") }, "→"))),
      make("div", { class: "split" }, make("section", { class: "drawing", "aria-label": say("network") }, make("div", { id: "rows" }), make("div", { id: "graph" }),
        make("p", { class: "legend" }, make("span", { class: "forward" }, say("forward")), make("span", { class: "backward" }, say("backward")), make("span", { class: "update" }, say("update")), make("span", { class: "hint" })),
        make("p", { class: "legend" }, say("z: weighted sum · a: activation · δ: ∂loss/∂ this number · ∂: ∂loss/∂ this weight"))),
        make("div", { class: "panels" }, make("section", { class: "panel", id: "stop", "aria-live": "polite" }), make("section", { class: "panel", id: "chain", "aria-live": "polite", hidden: true }))));
    const isEdited = Object.keys(edits).length > 0;
    view = stepView(answer.data, {
      root: trace, place, row: unitRow, say, old: isEdited && old ? old.data : null,
      moved: (at, opened, now) => { place = [at, opened]; unitRow = now; cells.show(answer.data.stops[at - 1], asked); if (quiz) hide(answer); },
      beside: (weight) => editor(weight, valueOf(answer, weight)),
      unit: (name, now) => edit(name.replace("[", `[${now},`), answer),
    });
    playing(answer.data.stops.length);
    table(answer);
    remarks.hidden = !answer.remarks.length;
    remarks.replaceChildren(make("h2", {}, say("Worth noticing")), make("ul", {}, ...answer.remarks.map((text) => make("li", {}, text))), make("details", {}, make("summary", {}, say("About this step")), make("ul", {}, ...[answer.title, ...answer.facts].map((text) => make("li", {}, text)))));
    if (quiz) hide(answer);
  }

  // ------------------------------------------------------------------ play
  let timer = null;
  function playing(count) {
    const play = trace.querySelector("#play");
    const still = () => { clearInterval(timer); timer = null; play.textContent = "▶"; play.setAttribute("aria-label", say("play")); };
    still();
    play.onclick = () => {
      if (timer) { still(); return; }
      play.textContent = "❚❚";
      play.setAttribute("aria-label", say("pause"));
      if (place[0] >= count) trace.querySelector(".phases button").click();
      timer = setInterval(() => { if (place[0] >= count || !trace.isConnected) still(); else trace.querySelector("#on").click(); }, 1600);
    };
  }

  // ------------------------------------------------------------------ editing
  function valueOf(answer, place) {
    const [, path, index] = place.match(/^(.*?)(?:\[([\d,]*)\])?$/);
    let value = answer.exact.weights?.[path]?.before ?? answer.exact.columns[path];
    for (const i of index ? index.split(",").map(Number) : []) value = value?.[i];
    return value;
  }

  function change(place, value, answer) {
    if (!Number.isFinite(value)) return;
    if (old && value === valueOf(old, place)) delete edits[place]; else edits[place] = value;
    load(answer);
  }

  function editor(place, value) {
    if (value === undefined) return null;
    const apply = (next) => change(place, next);
    const field = make("input", { type: "number", step: "any", value: Number(value.toPrecision(8)), "aria-label": say("value of {name}", { name: place }), onchange: (event) => apply(Number(event.target.value)) });
    const slide = make("input", { type: "range", min: -3, max: 3, step: 0.01, value, "aria-label": say("slide {name}", { name: place }), oninput: (event) => { field.value = event.target.value; soon(() => apply(Number(event.target.value))); } });
    return make("p", { class: "editor" }, make("label", {}, make("code", {}, place), " = ", field), slide, button("0", () => apply(0)), button("±", () => apply(-value), "", { "aria-label": say("change the sign") }));
  }

  let later = null;
  const soon = (action) => { clearTimeout(later); later = setTimeout(action, 90); };

  function edit(place, answer) {
    const cell = rows.querySelector(`[data-place="${CSS.escape(place)}"]`);
    if (cell) { cell.focus(); cell.select(); } else change(place, 0, answer);
  }

  // The rows of the step, with editable inputs and targets.
  function table(answer) {
    const { columns } = answer.exact, x = columns.x, y = columns.y;
    const isFlat = Array.isArray(x) && Array.isArray(x[0]) && !Array.isArray(x[0][0]) && x[0].length <= 12;
    rows.hidden = !isFlat;
    if (!isFlat) return;
    const cell = (place, value) => make("td", { class: place in edits ? "edited" : "" }, make("input", { type: "number", step: "any", value: Number(value.toPrecision(6)), "data-place": place, "aria-label": place, onchange: (event) => change(place, Number(event.target.value), answer) }));
    const targets = (i) => (y === undefined ? [] : Array.isArray(y[i]) ? y[i].map((value, j) => cell(`y[${i},${j}]`, value)) : [cell(`y[${i}]`, y[i])]);
    const shown = x.slice(0, 16);
    rows.replaceChildren(make("h2", {}, say("Rows of this step")), make("div", { class: "scroll" }, make("table", { class: "inputs" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, say("row")), ...x[0].map((_, j) => make("th", { scope: "col" }, `x[${j}]`)), ...(y === undefined ? [] : [make("th", { scope: "col", colspan: Array.isArray(y[0]) ? y[0].length : 1 }, say("target"))]))),
      make("tbody", {}, ...shown.map((values, i) => make("tr", {}, make("th", { scope: "row" }, i), ...values.map((value, j) => cell(`x[${i},${j}]`, value)), ...targets(i)))))));
  }

  // ------------------------------------------------------------------ hide and quiz: users compute, the page checks
  function hide(answer) {
    for (const b of trace.querySelectorAll("#stop b, #chain b")) {
      const right = b.textContent;
      if (!/^[-−]?[\d.]+(e[-−]?\d+)?$/.test(right)) continue;
      const value = Number(right.replaceAll("−", "-"));
      const field = make("input", { class: "ask", inputmode: "decimal", "aria-label": say("your number"), placeholder: "?", onchange: (event) => {
        const typed = Number(event.target.value.replace(",", ".").replaceAll("−", "-"));
        const isRight = Number.isFinite(typed) && Math.abs(typed - value) <= Math.max(2e-3, Math.abs(value) * 0.01);
        field.classList.toggle("right", isRight);
        field.classList.toggle("wrong", !isRight);
        if (isRight) field.replaceWith(make("b", { class: "solved" }, `${right} ✓`));
      } });
      b.replaceWith(field);
    }
    return answer;
  }

  load();
  return { leave: () => { view?.stop(); clearInterval(timer); asked += 1; } };
}
