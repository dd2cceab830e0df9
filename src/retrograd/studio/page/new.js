// A new run: the network as cards, the configuration as text, and an explanation that follows every change.
import { read, runPath, send } from "./api.js";
import { beginnings } from "./runs.js";
import { announce, button, doer, make, number, problemLines, told } from "./dom.js";
import { findingCause, findingTitle } from "./findings.js";
import { say } from "./words.js";

const LAYERS = ["dense: 16", "dense: {units: 16, activation: relu}", "relu", "tanh", "dropout: 0.2", "batch_norm", "layer_norm", "flatten", "conv2d: {filters: 16, kernel: 3, activation: relu}", "max_pool: 2", "lstm: 32", "gru: 32"];
const PAUSE = 350;

export function newScreen(main, from) {
  if (!from) {
    main.append(make("div", { class: "head" }, make("h1", {}, say("New run"))), make("section", {}, ...beginnings()));
    return null;
  }
  const title = make("h1", {}, say("New run")), trouble = make("div", { class: "problems", role: "alert" });
  const area = make("textarea", { spellcheck: "false", autocapitalize: "off", "aria-label": say("Configuration as YAML"), rows: 16, wrap: "off" }), gutter = make("div", { class: "gutter", "aria-hidden": "true" });
  const cards = make("ol", { class: "stack" }), adds = make("div", { class: "tools" }), totals = make("div", { class: "totals" }), risks = make("div", {});
  const target = make("div", { class: "tools" });
  const start = doer(say("Start training"), async () => { const made = await send("/api/train", { text: area.value }); location.hash = `#run/${encodeURIComponent(made.run)}`; }, "strong");
  main.append(make("div", { class: "head" }, title, make("div", { class: "tools" }, start)), target,
    make("div", { class: "split builder" },
      make("section", { class: "card" }, make("h2", {}, say("Network")), make("p", { class: "soft" }, say("Drag a layer, or move it with Alt and the arrow keys.")), cards, adds),
      make("section", { class: "card" }, make("h2", {}, say("Configuration")), make("div", { class: "editor-box" }, gutter, area), trouble)),
    totals, risks);
  let known = null, asked = 0, timer = null, isOver = false, dragged = null;

  area.addEventListener("input", () => { numberLines([]); later(); });
  area.addEventListener("scroll", () => { gutter.scrollTop = area.scrollTop; });
  const later = () => { clearTimeout(timer); timer = setTimeout(explain, PAUSE); };

  function set(text) {
    area.value = text;
    area.rows = Math.min(32, Math.max(14, text.split("\n").length + 1));
    numberLines([]);
    explain();
  }

  function numberLines(marked) {
    const count = area.value.split("\n").length;
    gutter.replaceChildren(...Array.from({ length: count }, (_, i) => make("span", { class: marked.includes(i + 1) ? "bad" : "" }, i + 1)));
  }

  async function explain() {
    asked += 1;
    const mine = asked;
    totals.classList.add("waiting");
    try {
      const facts = await send("/api/explain", { text: area.value });
      if (mine !== asked || isOver) return;
      if (facts.problems) throw facts;
      known = { ...facts, text: area.value };
      numberLines([]);
      trouble.replaceChildren();
      paintCards();
      paintTotals();
      paintRisks();
    } catch (error) {
      if (mine !== asked || isOver) return;
      const problems = error.problems ?? [{ where: "", message: String(error), cure: "" }];
      const lines = problems.map(({ where }) => Number(where.match(/config\.yaml:(\d+)/)?.[1] ?? 0));
      numberLines(lines);
      trouble.replaceChildren(...problems.map((problem, i) => make("p", { class: "notice bad" }, lines[i] ? button(say("line {n}", { n: lines[i] }), () => toLine(lines[i]), "plain pin") : null, ...problemLines({ problems: [{ ...problem, where: problem.where.replace(/^config\.yaml(:\d+)?(: )?/, "") }] }))));
    }
    totals.classList.remove("waiting");
  }

  function toLine(line) {
    const before = area.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.focus();
    area.setSelectionRange(before, before + (area.value.split("\n")[line - 1] ?? "").length);
  }

  // ------------------------------------------------------------------ cards: each represents an entry's lines in the text
  function blocks() {
    const lines = known.text.split("\n"), starts = [];
    for (let i = 0; known.lines[`network.${i}`] !== undefined; i += 1) starts.push(known.lines[`network.${i}`] - 1);
    if (!starts.length || new Set(starts).size < starts.length || !starts.every((at) => /^\s*-/.test(lines[at]))) return null;
    let end = starts[starts.length - 1] + 1;
    const indent = lines[starts[0]].match(/^\s*/)[0].length;
    while (end < lines.length && (lines[end].trim() === "" || lines[end].match(/^\s*/)[0].length > indent)) end += 1;
    while (end > starts[starts.length - 1] + 1 && lines[end - 1].trim() === "") end -= 1;
    return { lines, starts, end, indent, parts: starts.map((at, i) => lines.slice(at, starts[i + 1] ?? end)) };
  }

  function rewrite(parts, focus) {
    const { lines, starts, end } = blocks();
    set([...lines.slice(0, starts[0]), ...parts.flat(), ...lines.slice(end)].join("\n"));
    wanted = focus;
  }
  let wanted = null;

  function move(from, to) {
    const { parts } = blocks();
    if (to < 0 || to >= parts.length) return;
    const [part] = parts.splice(from, 1);
    parts.splice(to, 0, part);
    rewrite(parts, to);
    announce(say("moved to position {n}", { n: to + 1 }));
  }

  function paintCards() {
    const found = blocks();
    adds.replaceChildren();
    if (!found) { cards.replaceChildren(make("li", { class: "soft" }, say("This network is written on one line: edit it in the text."))); return; }
    const { parts, indent } = found;
    cards.replaceChildren(...parts.map((lines, i) => {
      const nodes = known.nodes.filter((node) => node.entry === i), last = nodes[nodes.length - 1];
      const count = nodes.reduce((sum, node) => sum + node.parameters, 0);
      const text = lines[0].replace(/^\s*-\s*/, "").replace(/\s+#.*$/, "");
      const odd = known.risks.filter((risk) => !risk.note && nodes.some((node) => node.path === risk.node));
      const field = lines.length === 1 ? make("input", { class: "entry", value: text, "aria-label": say("layer {n}", { n: i + 1 }), spellcheck: "false", onchange: (event) => { const all = blocks().parts; all[i] = [`${" ".repeat(indent)}- ${event.target.value}`]; rewrite(all, i); } }) : make("code", { class: "entry" }, `${text} …`);
      const item = make("li", { class: odd.length ? "layer risky" : "layer", draggable: "true", tabindex: 0, "aria-label": `${say("layer {n}", { n: i + 1 })}: ${text}` },
        make("span", { class: "grip", "aria-hidden": "true" }, "⠿"), make("div", { class: "fields" }, field, make("span", { class: "soft line" }, last ? `→ ${last.shape}` : "", count ? ` · ${say("{n} parameters", { n: count.toLocaleString("en") })}` : "", nodes[0]?.arithmetic && count ? ` = ${nodes[0].arithmetic}` : ""),
          ...odd.map((risk) => make("span", { class: "line risk" }, risk.message))),
        button("×", () => { const all = blocks().parts; all.splice(i, 1); if (all.length) rewrite(all, Math.max(0, i - 1)); }, "plain", { "aria-label": say("remove layer {n}", { n: i + 1 }) }));
      item.addEventListener("keydown", (event) => {
        if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
        event.preventDefault();
        move(i, i + (event.key === "ArrowUp" ? -1 : 1));
      });
      item.addEventListener("dragstart", (event) => { dragged = i; event.dataTransfer.effectAllowed = "move"; item.classList.add("lifted"); });
      item.addEventListener("dragend", () => { dragged = null; item.classList.remove("lifted"); });
      item.addEventListener("dragover", (event) => { if (dragged !== null) { event.preventDefault(); item.classList.add("over"); } });
      item.addEventListener("dragleave", () => item.classList.remove("over"));
      item.addEventListener("drop", (event) => { event.preventDefault(); item.classList.remove("over"); if (dragged !== null) move(dragged, i); });
      return item;
    }));
    const choice = make("select", { "aria-label": say("kind of layer") }, ...LAYERS.map((text) => make("option", { value: text }, text)));
    adds.replaceChildren(choice, button(say("Add before the last layer"), () => { const all = blocks().parts; all.splice(all.length - 1, 0, [`${" ".repeat(indent)}- ${choice.value}`]); rewrite(all, all.length - 2); }));
    if (wanted !== null) { cards.children[wanted]?.focus(); wanted = null; }
  }

  function paintTotals() {
    const { totals: sums, rows } = known;
    const tile = (name, value, more = "") => make("div", {}, make("dt", {}, name), make("dd", {}, value), make("dd", { class: "soft" }, more));
    totals.replaceChildren(make("dl", { class: "tiles" },
      tile(say("Parameters"), sums.parameters.toLocaleString("en"), `${number(sums.parameter_bytes / 1024, 3)} KiB`),
      tile(say("Rows"), (rows.train ?? 0).toLocaleString("en"), Object.entries(rows).filter(([part, count]) => part !== "train" && count).map(([part, count]) => `${say(part)} ${count.toLocaleString("en")}`).join(", ")),
      tile(say("Steps"), (sums.steps_per_epoch * sums.epochs).toLocaleString("en"), say("{a} per epoch, {b} epochs", { a: sums.steps_per_epoch.toLocaleString("en"), b: sums.epochs.toLocaleString("en") })),
      tile(say("Task"), say(known.task), known.losses.join(", ")),
      tile(say("Work"), `${number(sums.forward_work, 3)}`, say("multiply-adds per example, forward pass"))),
    make("p", { class: "soft" }, `${say("Update")}: `, make("code", {}, known.update)));
  }

  function paintRisks() {
    const grave = known.risks.filter((risk) => !risk.note);
    risks.replaceChildren(...(grave.length ? [make("section", { class: "notice act" }, make("h2", {}, say("Possible problems")), make("ul", {}, ...grave.map((risk) => {
      const line = known.lines[risk.setting] ?? known.lines[`network.${known.nodes.find((node) => node.path === risk.node)?.entry}`];
      return make("li", {}, line ? button(say("line {n}", { n: line }), () => toLine(line), "plain pin") : null, " ", make("b", {}, findingTitle(risk)), ": ", told(risk.message, findingCause(risk)));
    })))] : []));
  }

  async function begin() {
    if (from.startsWith("run-")) set((await send(runPath(decodeURIComponent(from.slice(4)), "short"))).text);
    else if (from.startsWith("table-")) {
      const file = decodeURIComponent(from.slice(6)), field = make("input", { "aria-label": say("column to predict") });
      const propose = async (name) => { const made = await send("/api/table", { file, target: name || null }); field.value = made.target.join(", "); set(made.text); };
      target.replaceChildren(make("label", {}, say("column to predict"), " ", field), doer(say("Propose again"), () => propose(field.value)));
      await propose("");
    } else {
      const { examples } = await read("/api/state");
      set(examples.find((example) => example.name === from)?.text ?? "");
    }
  }
  begin().catch((error) => trouble.replaceChildren(make("p", { class: "notice bad" }, ...problemLines(error))));
  return () => { isOver = true; clearTimeout(timer); };
}
