// All runs: their states, curves and scores.
import { read, repeat, send, upload } from "./api.js";
import { sparkline } from "./charts.js";
import { ago, badge, button, doer, duration, link, make, metricName, number, partName, problemLines, score, VERDICTS } from "./dom.js";
import { say } from "./words.js";

export function runsScreen(main) {
  const title = make("h1", {}, say("Runs"));
  const chosen = new Set();
  const list = make("div", { class: "list" }), empty = make("section", {}), tools = make("div", { class: "tools" });
  main.append(make("div", { class: "head" }, title, tools), list, empty);
  let last = "";

  function tool() {
    const ids = [...chosen].map(encodeURIComponent).join(",");
    tools.replaceChildren(chosen.size > 1 ? link(say("Compare {n} runs", { n: chosen.size }), `#compare/${ids}`, "button") : make("span", { class: "soft" }, chosen.size ? say("select another run to compare") : ""),
      link(say("New run"), "#new", "button strong"));
  }
  tool();

  const stop = repeat(async () => {
    const { runs, jobs } = await read("/api/runs");
    const text = JSON.stringify([runs, jobs.map((job) => [job.number, job.state])]);
    if (text !== last) { last = text; paint(runs, jobs); }
    return runs;
  }, (runs) => (runs.some((run) => run.state === "running") ? 700 : 1500));

  function paint(runs, jobs) {
    for (const id of chosen) if (!runs.some((run) => run.id === id)) chosen.delete(id);
    const held = document.activeElement?.dataset?.id;
    const waiting = jobs.filter((job) => job.state === "waiting" || (job.state === "running" && !runs.some((run) => run.id === job.run)));
    const failed = jobs.filter((job) => job.state === "ended" && job.code && job.said && !runs.some((run) => run.id === job.run)).slice(-3);
    list.replaceChildren(...failed.map((job) => make("p", { class: "notice bad" }, make("b", {}, job.run), make("span", { class: "line" }, job.said))),
      ...waiting.map((job) => make("article", { class: "item card" }, make("div", { class: "what" }, make("b", {}, job.run), badge(job.state === "running" ? "starting" : "waiting")),
        button(say("Remove from queue"), () => send(`/api/jobs/${job.number}/cancel`), "", { disabled: job.state === "running" }))),
      ...runs.map(row));
    if (held) list.querySelector(`[data-id="${CSS.escape(held)}"]`)?.focus();
    empty.replaceChildren(...(runs.length || waiting.length ? [] : beginnings(main)));
  }

  function row(run) {
    const box = make("input", { type: "checkbox", "aria-label": say("compare {name}", { name: run.id }), "data-id": run.id });
    box.checked = chosen.has(run.id);
    box.addEventListener("change", () => { if (box.checked) chosen.add(run.id); else chosen.delete(run.id); tool(); });
    if (run.problem) return make("article", { class: "item card" }, make("div", { class: "what" }, make("b", {}, make("bdi", {}, run.id)), badge("unreadable"), make("span", { class: "soft line" }, run.problem)));
    const verdict = run.verdict ? make("span", { class: `verdict ${VERDICTS[run.verdict] ?? "soft"}` }, say(`verdict ${run.verdict}`))
      : run.chance?.failed ? make("span", { class: "verdict bad" }, say("no better than a constant")) : null;
    const reached = run.score ? make("div", { class: "reached" }, make("b", {}, score(run.score.metric, run.score.value)), make("span", { class: "soft" }, `${metricName(run.score.metric)}, ${partName(run.score.part)}`),
      run.chance ? make("span", { class: "soft" }, say("chance {n}", { n: score("accuracy", run.chance.metric === "accuracy" ? run.chance.level : null) }).replace("–", number(run.chance.level))) : null) : make("div", { class: "reached soft" }, "–");
    const share = run.planned ? Math.min(1, run.epochs / run.planned) : 0;
    const how = run.state === "running" ? make("progress", { max: 1, value: share, "aria-label": say("epochs") }) : null;
    return make("article", { class: "item card" }, box,
      make("div", { class: "what" }, make("a", { href: `#run/${encodeURIComponent(run.id)}`, class: "name" }, make("bdi", {}, run.name)), badge(run.state), verdict,
        make("span", { class: "soft line" }, make("bdi", {}, run.id), ` · ${say(run.task)} · ${ago(run.started)}`)),
      sparkline(run.curve), reached,
      make("div", { class: "went soft" }, make("span", {}, say("{n} epochs", { n: run.planned > run.epochs ? `${run.epochs.toLocaleString("en")} / ${run.planned.toLocaleString("en")}` : run.epochs.toLocaleString("en") })), how, make("span", {}, duration(run.seconds))));
  }
  return stop;
}

// What an empty folder offers: examples, and uploading a table.
export function beginnings() {
  const cards = make("div", { class: "cards" }), trouble = make("p", { class: "trouble", role: "alert" });
  read("/api/state").then(({ examples }) => cards.replaceChildren(...examples.map((example) => {
    const name = example.name.replace(/^\d-/, ""), [first] = example.text.split("\n");
    const body = example.text.split("\n").slice(1).join("\n");
    return make("article", { class: "card example" }, make("h3", {}, name), make("p", {}, say(first.replace(/^# /, ""))),
      make("pre", { tabindex: 0, "aria-label": name }, body), make("div", { class: "tools" }, link(say("View"), `#new/${example.name}`, "button"),
        doer(say("Train"), async () => { const made = await send("/api/train", { text: example.text }); location.hash = `#run/${encodeURIComponent(made.run)}`; }, "strong")));
  })));
  const file = make("input", { type: "file", accept: ".csv,.tsv,.jsonl,.json,.parquet,.xlsx", id: "table" });
  const take = async (chosen) => {
    trouble.replaceChildren(make("span", { class: "soft" }, say("reading {name}", { name: chosen.name })));
    try { const made = await upload(chosen); location.hash = `#new/table-${encodeURIComponent(made.file)}`; } catch (error) { trouble.replaceChildren(...problemLines(error)); }
  };
  file.addEventListener("change", () => { if (file.files[0]) take(file.files[0]); });
  const drop = make("label", { class: "drop card", for: "table" }, make("b", {}, say("Drop a table here")), make("span", { class: "soft" }, say("CSV, Parquet, JSON Lines or Excel; a suitable network is proposed")), file);
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]); });
  return [make("h2", {}, say("Start with an example or your own table")), cards, drop, trouble];
}

