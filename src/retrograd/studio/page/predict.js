// Predictions for new rows: a form, pasted rows, a file, or a digit drawn by hand.
import { runPath, send, upload } from "./api.js";
import { button, doer, make, number, problemLines } from "./dom.js";
import { say } from "./words.js";

export function predictView(body, run) {
  const place = make("section", { class: "card" }), answer = make("section", { class: "card answer", "aria-live": "polite", hidden: true }), trouble = make("p", { class: "trouble", role: "alert" });
  const whole = make("section", { class: "card" });
  body.replaceChildren(make("div", { class: "split" }, place, answer), trouble, whole);
  place.append(make("p", { class: "soft" }, say("Loading the model…")));
  let timer = null, asked = 0;

  async function predict(rows) {
    asked += 1;
    const mine = asked;
    try {
      const said = await send(runPath(run.id, "predict"), { rows });
      if (mine !== asked) return;
      trouble.replaceChildren();
      show(said);
    } catch (error) { if (mine === asked) trouble.replaceChildren(...problemLines(error)); }
  }
  const soon = (rows) => { clearTimeout(timer); timer = setTimeout(() => predict(rows()), 120); };

  function show(said) {
    answer.hidden = false;
    const parts = [make("h2", {}, say("Prediction"))];
    if (said.probabilities) {
      const shares = said.probabilities[0], order = shares.map((share, i) => [share, said.classes[i]]).sort((a, b) => b[0] - a[0]);
      parts.push(make("p", { class: "says" }, make("bdi", {}, String(said.labels?.[0] ?? order[0][1]))), make("ul", { class: "shares" }, ...order.slice(0, 10).map(([share, name]) => make("li", {}, make("bdi", {}, name), make("meter", { min: 0, max: 1, value: share, "aria-label": name }), make("span", {}, `${(share * 100).toFixed(1)} %`)))));
    } else if (said.values) parts.push(...said.values[0].map((value, i) => make("p", { class: "says" }, make("span", { class: "soft" }, said.targets[i] ? `${said.targets[i]} ` : ""), number(value, 6))));
    else parts.push(make("p", { class: "says" }, String(said.labels?.[0])));
    answer.replaceChildren(...parts, ...said.notes.map((note) => make("p", { class: "soft" }, note)));
  }

  function table(form) {
    const fields = form.columns.map((column) => [column, column.words
      ? make("select", { name: column.name }, ...column.words.map((word) => make("option", { value: word }, word)))
      : column.kind === "boolean" ? make("select", { name: column.name }, ...["false", "true"].map((word) => make("option", { value: word }, word)))
        : make("input", column.kind === "number" ? { type: "number", step: "any", value: Number((column.value ?? 0).toPrecision(4)) } : { type: "text", value: "" })]);
    const rows = () => [Object.fromEntries(fields.map(([column, field]) => [column.name, column.kind === "number" && form.columns.every((one) => one.kind === "number") ? Number(field.value) : field.value]))];
    for (const [, field] of fields) field.addEventListener("input", () => soon(rows));
    place.replaceChildren(make("h2", {}, say("A new row")), make("div", { class: "fields-grid" }, ...fields.map(([column, field]) => make("label", {}, make("bdi", {}, column.name), field))));
    if (fields.every(([column]) => column.kind === "number" || column.words || column.kind === "boolean")) predict(rows());
    else place.append(button(say("Predict"), () => predict(rows()), "strong"));
  }

  function picture(form) {
    const [height, width] = form.shape, cells = new Float64Array(height * width);
    const size = 320, scale = Math.max(1, Math.floor(size / Math.max(height, width)));
    const canvas = make("canvas", { width: width * scale, height: height * scale, class: "paper", role: "img", "aria-label": say("draw here") });
    const pen = canvas.getContext("2d");
    const rows = () => [{ x: Array.from(cells, (value) => value * form.ink) }];
    const paint = () => {
      pen.fillStyle = "#fff";
      pen.fillRect(0, 0, canvas.width, canvas.height);
      cells.forEach((value, i) => { pen.fillStyle = `rgba(20,24,28,${value})`; pen.fillRect((i % width) * scale, Math.floor(i / width) * scale, scale, scale); });
    };
    const put = (x, y) => {
      const radius = Math.max(0.62, width / 18);
      for (let r = 0; r < height; r += 1) for (let c = 0; c < width; c += 1) {
        const distance = Math.hypot(c + 0.5 - x, r + 0.5 - y);
        cells[r * width + c] = Math.min(1, cells[r * width + c] + Math.max(0, 1 - distance / (radius * 1.7)) * 0.75);
      }
      paint();
      soon(rows);
    };
    const at = (event) => { const box = canvas.getBoundingClientRect(); return [(event.clientX - box.left) / box.width * width, (event.clientY - box.top) / box.height * height]; };
    let before = null;
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); before = at(event); put(...before); });
    canvas.addEventListener("pointermove", (event) => {
      if (!before) return;
      const now = at(event), steps = Math.max(1, Math.ceil(Math.hypot(now[0] - before[0], now[1] - before[1]) * 1.5));
      for (let i = 1; i <= steps; i += 1) put(before[0] + (now[0] - before[0]) * i / steps, before[1] + (now[1] - before[1]) * i / steps);
      before = now;
    });
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { before = null; });
    paint();
    place.replaceChildren(make("h2", {}, say("Draw one")), canvas, make("div", { class: "tools" }, button(say("Clear"), () => { cells.fill(0); paint(); answer.hidden = true; })),
      make("p", { class: "soft" }, say("{h} by {w} cells, as the network sees it.", { h: height, w: width })));
  }

  function files() {
    const field = make("input", { type: "file", accept: ".csv,.tsv,.jsonl,.json,.parquet,.xlsx,.npy,.npz", id: "rows" }), result = make("div", {});
    field.addEventListener("change", async () => {
      if (!field.files[0]) return;
      result.replaceChildren(make("p", { class: "soft" }, say("reading {name}", { name: field.files[0].name })));
      try {
        const { file } = await upload(field.files[0]);
        const said = await send(runPath(run.id, "predict"), { file });
        const lines = asTable(said);
        result.replaceChildren(make("p", {}, say("{n} predictions", { n: lines.length - 1 }), " ", make("a", { class: "button", download: "predictions.csv", href: `data:text/csv;charset=utf-8,${encodeURIComponent(lines.map((line) => line.map(cell).join(",")).join("\n"))}` }, say("Download"))),
          make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": say("Prediction") }, make("table", {}, make("thead", {}, make("tr", {}, ...lines[0].map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...lines.slice(1, 21).map((line) => make("tr", {}, ...line.map((text) => make("td", {}, typeof text === "number" ? number(text) : text))))))), ...said.notes.map((note) => make("p", { class: "soft" }, note)));
      } catch (error) { result.replaceChildren(make("p", { class: "trouble" }, ...problemLines(error))); }
    });
    whole.replaceChildren(make("h2", {}, say("Many rows")), make("label", { for: "rows" }, say("A file with rows like the training data; the target column may be missing")), field, result);
  }

  // A text that a spreadsheet would treat as a formula gets an apostrophe; cells with commas or quotes are quoted.
  const cell = (value) => {
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };

  function asTable(said) {
    const count = (said.labels ?? said.values).length;
    const head = ["row", ...(said.labels ? ["prediction"] : said.targets.length === 1 ? ["prediction"] : said.targets), ...(said.probabilities ? said.classes.map((name) => `probability_${name}`) : [])];
    return [head, ...Array.from({ length: count }, (_, i) => [i, ...(said.labels ? [said.labels[i]].flat() : said.values[i]), ...(said.probabilities?.[i] ?? [])])];
  }

  send(runPath(run.id, "form")).then((form) => {
    if (form.kind === "table") table(form);
    else if (form.kind === "picture") picture(form);
    else place.replaceChildren(make("p", { class: "soft" }, say("This model only accepts files.")));
    files();
  }).catch((error) => place.replaceChildren(make("p", { class: "trouble" }, ...problemLines(error)), doer(say("Try again"), async () => predictView(body, run))));
  return { leave: () => { clearTimeout(timer); asked += 1; } };
}
