"use strict";
// Draws a step, through which readers can walk. `host` is the surrounding page: `root` contains the elements, `place`
// is the initial [stop, weight], `moved` is called with each new position, `old` are the page's data before numbers
// were edited, `beside` returns the element below the heading of a weight's chain, and `unit` is called when an input
// is clicked.
export function stepView(data, host = {}) {
  const { stops, graph, lines, weights } = data;
  const PHASES = ["input", "forward", "loss", "backward", "update", "after"];
  const root = host.root ?? document.body;
  const byId = (id) => root.querySelector(`#${id}`);
  const say = host.say ?? ((text) => text);
  let at = 0, row = Math.min(host.row ?? 0, (graph.rows ?? 1) - 1), opened = null;
  root.classList.remove("units", "boxes");
  root.classList.add(graph.kind);

  // ------------------------------------------------------------------ elements: text is never markup
  const make = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
  const draw = (name, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
  function fill(element, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) { if (value) element.addEventListener(key.slice(2), value); }
      else if (value !== null && value !== undefined) element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }
  const write = (x, y, text, kind = "", size = 13, anchor = "middle") =>
    draw("text", { x, y, class: kind, "font-size": size, "text-anchor": anchor }, text);

  // ------------------------------------------------------------------ numbers already computed at a stop
  const first = (phase, node) => stops.findIndex((stop) => stop.phase === phase && stop.node === node);
  const known = (phase, node) => { const i = first(phase, node); return i >= 0 && i <= at; };
  const updated = (weight) => {
    const path = weight.replace(/\[.*$/, "");
    const i = stops.findIndex((stop) => stop.phase === "update" && stop.title === path);
    return i >= 0 && i <= at;
  };
  const graded = (weight) => known("backward", weight.replace(/\[.*$/, "").replace(/\/[^/]*$/, ""));
  // an edited number, or one that follows from an edit, is shown after its previous value
  const was = (before, now) => (before === undefined || before === now ? ["", now] : ["t-changed", `${before} ⇒ ${now}`]);
  const oldUnits = new Map((host.old?.graph.units ?? []).map((unit) => [unit.name, unit]));
  const openable = (weight) => ({
    role: "button", tabindex: 0, "data-weight": weight, onclick: () => open(weight),
    onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(weight); } },
  });

  // ------------------------------------------------------------------ drawing units
  // On a narrow screen, layers are drawn one below the other, so that nothing is cut off and text keeps its size.
  function upright(graph) {
    const width = Math.max(300, byId("graph").clientWidth), middle = graph.loss.y;
    const apart = graph.tallest > 1 ? Math.min(1, (width - 150) / (190 * (graph.tallest - 1))) : 1;
    const turn = ([x, y]) => [width / 2 + (y - middle) * apart, 100 + (x - 92)];
    const place = (thing) => { const [x, y] = turn([thing.x, thing.y]); return { ...thing, x, y }; };
    const loss = { ...place(graph.loss), from: graph.loss.from.map(turn) };
    const taken = [];
    const links = graph.links.map((link) => {
      const from = turn(link.from), to = turn(link.to);
      const along = (part) => [from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part];
      const isFree = ([x, y]) => taken.every(([a, b]) => Math.abs(a - x) > 125 || Math.abs(b - y) > 36);
      const at = [0.3, 0.43, 0.56, 0.2].map(along).find(isFree) ?? along(0.33);
      if (link.labelled) taken.push(at);
      return { ...link, from, to, at };
    });
    return { ...graph, isUpright: true, width, height: loss.y + 70, units: graph.units.map(place), loss, links };
  }

  function drawUnits(graph) {
    const here = stops[at].node, phase = stops[at].phase;
    const svg = draw("svg", { viewBox: `0 0 ${graph.width} ${graph.height}`, role: "group", "aria-label": "units and weights", class: graph.close ? "tall" : "" });
    for (const [x, y] of graph.loss.from) {
      const ends = graph.isUpright ? { x1: x, y1: y + 30, x2: graph.loss.x, y2: graph.loss.y - 22 }
        : { x1: x + 30, y1: y, x2: graph.loss.x - 48, y2: graph.loss.y };
      svg.append(draw("line", { class: "edge", ...ends, "stroke-width": 1.2 }));
    }
    const chain = opened ? weightsOnChain() : new Set();
    const links = graph.links.map((link) => drawLink(link, chain));
    svg.append(...links.map(([line]) => line), ...links.map(([, label]) => label).filter(Boolean)); // labels on top
    for (const unit of graph.units) svg.append(drawUnit(unit, here));
    svg.append(drawLoss(graph.loss, phase));
    byId("graph").replaceChildren(svg);
  }

  function drawLink(link, chain) {
    const fact = weights[link.weight];
    const [x1, y1] = link.from, [x2, y2] = link.to, [x, y] = link.at;
    const length = Math.hypot(x2 - x1, y2 - y1), ux = (x2 - x1) / length * 31, uy = (y2 - y1) / length * 31;
    const ends = { x1: x1 + ux, y1: y1 + uy, x2: x2 - ux, y2: y2 - uy };
    const width = Math.min(4, 1 + 1.2 * Math.abs(fact.sign));
    const classes = ["weight", link.weight === opened ? "open" : "", chain.has(link.weight) ? "on-chain" : ""].join(" ");
    const captions = [updated(link.weight) ? ["t-update", `${fact.before} → ${fact.after}`] : was(host.old?.weights[link.weight]?.before, fact.before)];
    if (graded(link.weight)) captions.push(["t-backward", `∂ ${fact.gradient}`]);
    const wide = 8 * Math.max(...captions.map(([, text]) => text.length)) + 8, high = 15 * captions.length + 3;
    const label = draw("g", { class: link.labelled ? "" : "quiet" },
      draw("rect", { x: x - wide / 2, y: y - high / 2, width: wide, height: high, rx: 4 }),
      ...captions.map(([kind, text], i) => write(x, y - high / 2 + 13 + 15 * i, text, kind, 12.5)));
    const name = `${link.weight} = ${fact.before}, gradient ${fact.gradient}, new ${fact.after}`;
    const line = draw("g", { class: classes, onclick: () => open(link.weight) }, draw("title", {}, name),
      draw("line", { class: "hit", ...ends }),
      draw("line", { class: fact.sign < 0 ? "edge negative" : "edge", "stroke-width": width, ...ends }));
    if (!link.labelled) { // its numbers appear under the pointer
      line.append(label);
      return [fill(line, { "aria-label": name, ...openable(link.weight), onclick: null }, []), null];
    }
    return [line, draw("g", { class: classes, "aria-label": name, ...openable(link.weight) }, draw("title", {}, name), label)];
  }

  function drawUnit(unit, here) {
    const { x, y } = unit, isHere = unit.stages.some((stage) => stage.node === here);
    const group = draw("g", { class: isHere ? "unit here" : "unit" }, draw("circle", { cx: x, cy: y, r: 30 }),
      write(x, y + 4, short(unit.inside), "", 12.5));
    const above = [], below = [];
    const before = oldUnits.get(unit.name);
    if (!unit.stages.length) above.push(was(before?.value[row], unit.value[row])[1]);
    unit.stages.forEach((stage, i) => {
      const sign = i ? "a" : "z";
      if (known("forward", stage.node)) {
        const [, text] = was(before?.stages[i]?.output[row], stage.output[row]);
        above.push(`${unit.stages.length > 1 ? sign : "y"} ${text}`);
      }
      if (stage.delta && known("backward", stage.node)) below.push(`δ${unit.stages.length > 1 ? sign : ""} ${stage.delta[row]}`);
    });
    if (graph.close) { above.splice(0, above.length - 1); below.splice(1); } // no room for more
    const kind = (text) => (text.includes("⇒") ? "t-changed" : "t-forward");
    above.forEach((text, i) => group.append(write(x, y - 38 - 15 * (above.length - 1 - i), text, kind(text), 13)));
    below.reverse().forEach((text, i) => group.append(write(x, y + 46 + 15 * i, text, "t-backward", 13)));
    group.append(draw("title", {}, unit.name));
    if (!unit.stages.length && host.unit) {
      const choose = () => host.unit(unit.name, row);
      group.classList.add("choosable");
      fill(group, { role: "button", tabindex: 0, "aria-label": `${unit.name} = ${unit.value[row]}`, onclick: choose,
        onkeydown: (event) => { if (event.key === "Enter") choose(); } }, []);
    }
    if (unit.bias && graph.close) {
      group.classList.add("bias");
      return fill(group, { "aria-label": `${unit.name}, opens its bias`, ...openable(unit.bias) }, []);
    }
    return unit.bias ? draw("g", {}, group, drawBias(unit, x, y - 40 - 15 * above.length)) : group;
  }

  function drawBias(unit, x, y) {
    const fact = weights[unit.bias];
    const name = `${unit.bias} = ${fact.before}, gradient ${fact.gradient}, new ${fact.after}`;
    const [kind, value] = was(host.old?.weights[unit.bias]?.before, fact.before);
    const [text, style] = updated(unit.bias) ? [`b ${fact.before} → ${fact.after}`, "t-update"] : [`b ${value}`, kind || "t-soft"];
    const lines = [write(x, y, text, style, 12.5)];
    if (graded(unit.bias)) lines.push(write(x, y - 15, `∂ ${fact.gradient}`, "t-backward", 12.5));
    const visible = graded(unit.bias) ? `${text} ∂ ${fact.gradient}` : text;
    return draw("g", { class: unit.bias === opened ? "bias open" : "bias", "aria-label": `${visible}: ${name}`, ...openable(unit.bias) },
      draw("title", {}, name), ...lines);
  }

  function drawLoss({ x, y, value, after }, phase) {
    const i = stops.findIndex((stop) => stop.phase === "loss"), isKnown = i >= 0 && i <= at;
    const group = draw("g", { class: phase === "loss" || phase === "after" ? "loss here" : "loss" },
      draw("rect", { x: x - 48, y: y - 22, width: 96, height: 44, rx: 8 }), write(x, y - 3, "loss", "t-soft", 12));
    group.append(write(x, y + 14, isKnown ? value : "?", "t-loss", 13.5));
    const before = host.old?.graph.loss?.value;
    if (isKnown && before !== undefined && before !== value) group.append(write(x, y - 30, `${before} ⇒`, "t-changed", 12.5));
    if (phase === "after") group.append(write(x, y + 40, `→ ${after}`, "t-loss", 13.5));
    return group;
  }

  const short = (text) => (text.length > 8 ? `${text.slice(0, 7)}…` : text);

  // ------------------------------------------------------------------ drawing boxes
  function drawBoxes(graph) {
    const high = 46, width = Math.max(300, byId("graph").clientWidth), left = width < 500 ? 44 : 70, here = stops[at].node;
    const wide = width - left - 2, reach = (from, to) => (left - 8) * Math.min(to - from, 5) / 5;
    const phase = stops[at].phase, lossKnown = known("loss", "");
    const svg = draw("svg", { viewBox: `0 0 ${width} ${graph.boxes.length * (high + 14) + 10}`, role: "group" });
    for (const [from, to] of graph.links) {
      const y1 = from * (high + 14) + high + 5, y2 = to * (high + 14) + 5;
      const path = to === from + 1 ? `M ${left + 60} ${y1} L ${left + 60} ${y2}`
        : `M ${left} ${y1 - high / 2} C ${left - 4 - reach(from, to)} ${y1}, ${left - 4 - reach(from, to)} ${y2}, ${left} ${y2 + high / 2}`;
      svg.append(draw("path", { class: "edge", d: path, "stroke-width": 1.5 }));
    }
    graph.boxes.forEach((box, i) => {
      const y = i * (high + 14) + 5;
      const isLoss = box.kind === "loss", isHere = isLoss ? phase === "loss" || phase === "after" : box.node && box.node === here;
      const to = isLoss ? stops.findIndex((stop) => stop.phase === "loss") : first(phase === "backward" ? "backward" : "forward", box.node);
      const jump = () => { if (to >= 0) go(to); };
      const pressed = box.kind === "data" ? {} : { role: "button", tabindex: 0, onclick: jump, onkeydown: (event) => { if (event.key === "Enter") jump(); } };
      svg.append(draw("g", { class: `box ${box.kind}${isHere ? " here" : ""}`, ...pressed },
        draw("rect", { x: left, y, width: wide, height: high, rx: 7 }),
        write(left + 10, y + 19, box.name, "", 13.5, "start"), write(left + 10, y + 36, box.about, "t-soft", 12, "start"),
        write(left + wide - 10, y + 19, isLoss ? (lossKnown ? box.output : "?") : known("forward", box.node) ? box.output : "", isLoss ? "t-loss" : "t-forward", 12, "end"),
        isLoss ? write(left + wide - 10, y + 36, phase === "after" ? `→ ${graph.after}` : "", "t-loss", 12, "end")
          : write(left + wide - 10, y + 36, box.node && known("backward", box.node) ? `δ ${box.delta}` : "", "t-backward", 12, "end")));
    });
    byId("graph").className = "boxes";
    byId("graph").replaceChildren(svg);
    svg.querySelector(".here")?.scrollIntoView({ block: "nearest" });
  }

  // ------------------------------------------------------------------ panels
  function sum(name, text, value, before) {
    const equal = text === value, changed = before !== undefined && before !== value;
    return make("p", { class: changed ? "sum changed" : "sum" }, make("span", { class: "name" }, name), " = ", equal ? "" : `${text} = `,
      changed ? make("s", {}, before) : "", changed ? " ⇒ " : "", make("b", {}, value));
  }

  function block(content, i) {
    const old = host.old?.stops[at]?.blocks[i];
    if (content.words !== undefined) return make("p", { class: "words" }, content.words);
    if (content.images) {
      return make("figure", { class: "pictures" }, make("figcaption", { class: "words" }, content.title),
        ...content.images.map((src) => make("img", { src, alt: "" })));
    }
    if (content.lines) return make("div", {}, ...content.lines.map(([name, text, value], j) => sum(name, text, value, old?.lines?.[j]?.[2])));
    const head = make("thead", {}, make("tr", {}, ...content.header.map((cell) => make(cell ? "th" : "td", {}, cell))));
    const body = make("tbody", {}, ...content.rows.map((cells, r) => make("tr", {}, ...cells.map((cell, c) => {
      const [kind, text] = was(old?.rows?.[r]?.[c], cell);
      return make("td", { class: kind || null }, text);
    }))));
    return make("div", {}, content.title ? make("p", { class: "words" }, content.title) : null,
      make("div", { class: "scroll" }, make("table", {}, head, body)));
  }

  function showStop() {
    const stop = stops[at];
    byId("stop").className = `panel phase-${stop.phase}`;
    byId("stop").replaceChildren(make("h2", {}, stop.title), ...[stop.about && make("p", { class: "about" }, stop.about),
      stop.formula && make("p", { class: "formula" }, stop.formula)].filter(Boolean), ...stop.blocks.map(block));
    byId("where").textContent = `${at + 1} / ${stops.length}`;
    byId("back").disabled = at === 0;
    byId("on").disabled = at === stops.length - 1;
    for (const button of root.querySelectorAll(".phases button")) {
      button.setAttribute("aria-pressed", String(button.dataset.phase === stop.phase));
    }
  }

  // All paths from the loss to a number; each is a list of factors [name, value], the derivative of the loss last.
  function ways(key, leading = []) {
    const line = lines[key];
    if (!line) return null;
    const paths = [];
    for (const term of line.terms) {
      const factors = [...leading, ...term.factors];
      const rest = term.reads ? ways(term.reads, factors) : [factors];
      if (rest === null) return null;
      paths.push(...rest);
      if (paths.length > 64) return null;
    }
    return line.terms.length ? paths : [[...leading, [line.name, line.value]]];
  }

  function keysBelow(key, seen = new Set()) {
    if (!lines[key] || seen.has(key)) return seen;
    seen.add(key);
    for (const term of lines[key].terms) if (term.reads) keysBelow(term.reads, seen);
    return seen;
  }

  function weightsOnChain() {
    const names = new Set();
    for (const chain of weights[opened].chains) for (const way of ways(chain) ?? []) for (const [name] of way) if (weights[name]) names.add(name);
    return names;
  }

  function showWay(factors, result) {
    const cells = [];
    factors.forEach(([name, value], i) => {
      if (i) cells.push(make("span", { class: "factor" }, make("small", {}, "\u00a0"), make("span", {}, "·")));
      cells.push(make("span", { class: "factor" }, make("small", {}, name), make("span", {}, value)));
    });
    if (result !== null) cells.push(make("span", { class: "factor result" }, make("small", {}, "\u00a0"), make("span", {}, `= ${result}`)));
    return make("div", { class: "path" }, make("div", { class: "factors" }, ...cells));
  }

  function showChain() {
    const panel = byId("chain");
    panel.hidden = opened === null;
    if (opened === null) return;
    const fact = weights[opened];
    const parts = [make("header", {}, make("h2", {}, `∂L/∂ ${opened}`),
      make("button", { type: "button", onclick: () => open(null), "aria-label": say("close the chain") }, "×"))];
    for (const chain of fact.chains) {
      const line = lines[chain];
      if (!line) continue;
      const paths = ways(chain);
      parts.push(make("p", { class: "words" }, paths && paths.length > 1
        ? say("The chain rule, {n} ways from the loss to this weight, added up:").replace("{n}", paths.length)
        : say("The chain rule, factor by factor from this weight back to the loss:")));
      if (paths) parts.push(...paths.slice(0, 6).map((way) => showWay(way, paths.length === 1 ? line.value : null)));
      if (paths && paths.length > 6) parts.push(make("p", { class: "words" }, `… and ${paths.length - 6} more`));
      parts.push(...[...keysBelow(chain)].map((key, i) => sum(i ? lines[key].name : `∂L/∂ ${lines[key].name}`, lines[key].text, lines[key].value, host.old?.lines[key]?.value)));
    }
    if (fact.update.length) {
      parts.push(make("p", { class: "words" }, say("The update:")),
        make("div", { class: "phase-update" }, ...fact.update.map(([name, text, value]) => sum(name, text, value))));
    }
    const beside = host.beside?.(opened);
    if (beside) parts.splice(1, 0, beside);
    panel.className = "panel phase-backward";
    panel.replaceChildren(...parts);
  }

  // ------------------------------------------------------------------ moving
  function show() {
    const focused = document.activeElement?.getAttribute?.("data-weight");
    const isNarrow = window.innerWidth < 700, boxes = graph.kind === "units" ? isNarrow && data.narrow : graph;
    byId("graph").className = "";
    if (boxes) drawBoxes(boxes); else drawUnits(isNarrow ? upright(graph) : graph);
    showStop();
    showChain();
    if (focused) root.querySelector(`[data-weight="${CSS.escape(focused)}"]`)?.focus();
    host.moved?.(at + 1, opened, row);
  }
  function go(to) { at = Math.max(0, Math.min(stops.length - 1, to)); show(); }
  function open(weight) { opened = weight === opened ? null : weight; show(); }

  const present = PHASES.filter((phase) => stops.some((stop) => stop.phase === phase));
  const toPhase = (phase) => go(stops.findIndex((stop) => stop.phase === phase));
  root.querySelector(".phases").replaceChildren(...present.map((phase) =>
    make("button", { type: "button", "data-phase": phase, onclick: () => toPhase(phase) }, say(phase))));
  byId("back").onclick = () => go(at - 1);
  byId("on").onclick = () => go(at + 1);
  const keys = (event) => {
    if (host.root && !host.root.isConnected) { stopListening(); return; }
    if (event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "ArrowRight") go(at + 1);
    else if (event.key === "ArrowLeft") go(at - 1);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(stops.length - 1);
    else if (event.key === "Escape") open(null);
    else if (/^[1-9]$/.test(event.key) && present[event.key - 1]) toPhase(present[event.key - 1]);
    else return;
    event.preventDefault();
  };
  document.addEventListener("keydown", keys);
  byId("rows").replaceChildren();
  if (graph.kind === "units" && graph.rows > 1) {
    const choose = make("select", { id: "row", onchange: (event) => { row = Number(event.target.value); show(); } },
      ...Array.from({ length: graph.rows }, (_, i) => make("option", { value: i, selected: i === row ? "" : null }, `${say("row")} ${i}`)));
    byId("rows").append(make("label", {}, say("numbers on the units: "), choose));
  }
  root.querySelector(".hint").textContent = say(graph.kind === "units"
    ? "click a weight for its chain of factors; dashed: negative" : "click a node to go to it");
  let wide = window.innerWidth;
  const resized = () => { if (window.innerWidth !== wide) { wide = window.innerWidth; show(); } };
  window.addEventListener("resize", resized);
  function stopListening() {
    document.removeEventListener("keydown", keys);
    window.removeEventListener("resize", resized);
  }
  const [begin, weight] = host.place ?? [1, null];
  if (weight && weights[weight]) opened = weight;
  go((parseInt(begin, 10) || 1) - 1);
  return { stop: stopListening };
}
