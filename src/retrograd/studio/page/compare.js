// Several runs side by side: their curves, their scores, and only the settings that differ.
import { follow, read, runPath } from "./api.js";
import { chart } from "./charts.js";
import { badge, button, duration, link, make, metricName, number, partName, score } from "./dom.js";
import { Story } from "./story.js";
import { say } from "./words.js";

const COLOURS = ["s1", "s2", "s3", "good", "bad", "s0"];
const TELLING = ["accuracy", "r2", "loss"];
const AXES = { epoch: (e) => e.epoch, step: (e) => e.step, seconds: (e) => e.seconds };

// The content at a path: a value, the names below it, or the number of entries.
function standsFor({ settings }, path) {
  if (path in settings) return settings[path];
  const names = [...new Set(Object.keys(settings).filter((key) => key.startsWith(`${path}.`)).map((key) => key.slice(path.length + 1).split(".")[0]))];
  if (!names.length) return null;
  return names.every((name) => /^\d+$/.test(name)) ? say("{n} entries", { n: names.length }) : names.join(", ");
}

// Where runs diverge: one has `optimizer.sgd`, another `optimizer.adam`.
function forks(runs, keys) {
  const paths = new Set(keys.flatMap((key) => key.split(".").map((_, i, parts) => parts.slice(0, i).join("."))).filter(Boolean));
  return [...paths].filter((path) => { const values = runs.map((run) => standsFor(run, path)); return !values.includes(null) && new Set(values).size > 1; });
}

export function compareScreen(main, ids) {
  const runs = ids.slice(0, COLOURS.length).map((id, i) => ({ id, story: new Story(), colour: COLOURS[i], facts: null, settings: {} }));
  let axis = "epoch", pending = false;
  const choice = make("div", { class: "tools", role: "group", "aria-label": say("horizontal axis") });
  const losses = chart({ title: say("Loss"), height: 260 }), scores = chart({ title: say("Score"), height: 260, format: (value) => number(value, 3) });
  const table = make("div", { class: "scroll card", tabindex: 0, role: "region", "aria-label": say("Comparison") });
  const more = make("details", { class: "card", hidden: true });
  main.append(make("div", { class: "head" }, make("h1", {}, say("Comparison")), choice), make("div", { class: "pair" }, losses.element, scores.element), table, more);

  function paintChoice() {
    choice.replaceChildren(make("span", { class: "soft" }, say("horizontal axis")), ...Object.keys(AXES).map((name) => button(say(name), () => { axis = name; paintChoice(); paint(); }, "", { "aria-pressed": String(name === axis) })));
  }

  const nameOf = (run) => { const name = run.facts?.name ?? run.id; return runs.filter((other) => (other.facts?.name ?? other.id) === name).length > 1 ? run.id : name; };

  function paint() {
    const across = AXES[axis], ends = runs.map((run) => (run.story.last ? across(run.story.last) : 0)), xMax = Math.max(1e-3, ...ends);
    const stand = (run) => new Map(run.story.epochs.map((e) => [e.epoch, across(e)]));
    losses.update({ series: runs.map((run) => ({ name: nameOf(run), colour: run.colour, xs: run.story.epochs.map(across), ys: run.story.epochs.map((e) => e.loss) })), xMax, mayLog: true });
    const curves = runs.map((run) => {
      const all = [...run.story.metrics.values()].filter((series) => series.name !== "loss"), series = all.find(({ part }) => part !== "train") ?? all[0], places = stand(run);
      return series ? { name: nameOf(run), colour: run.colour, xs: series.xs.map((x) => places.get(x)), ys: series.ys } : null;
    }).filter(Boolean);
    scores.element.hidden = !curves.length;
    scores.update({ series: curves, xMax });
    const all = [...new Set(runs.flatMap((run) => Object.keys(run.settings)))].filter((key) => new Set(runs.map((run) => run.settings[key] ?? "–")).size > 1);
    const both = all.filter((key) => runs.every((run) => key in run.settings)), further = all.filter((key) => !both.includes(key));
    const keys = [...forks(runs, further), ...both];
    const row = (name, values) => make("tr", {}, make("th", { scope: "row" }, name), ...values.map((value) => make("td", {}, value)));
    const measured = [...new Set(runs.flatMap((run) => Object.entries(run.facts?.metrics ?? {}).flatMap(([part, metrics]) => Object.keys(metrics).map((name) => `${part}/${name}`))))];
    const isTelling = (key) => TELLING.includes(key.split("/")[1]);
    const scoreRow = (key) => { const [part, name] = key.split("/"); return row(`${metricName(name)}, ${partName(part)}`, runs.map((run) => { const value = run.facts?.metrics?.[part]?.[name]; return value === undefined ? "–" : score(name, value); })); };
    const settingRow = (key) => row(make("code", {}, key), runs.map((run) => make("code", {}, standsFor(run, key) ?? "–")));
    const head = () => make("thead", {}, make("tr", {}, make("th", { scope: "col" }, make("span", { class: "unseen" }, say("Runs"))), ...runs.map((run) => make("th", { scope: "col" }, make("span", { class: `key ${run.colour}` }), link(make("bdi", {}, nameOf(run)), `#run/${encodeURIComponent(run.id)}`)))));
    const apart = keys.length || further.length;
    table.replaceChildren(make("table", {}, head(), make("tbody", {}, row(say("State"), runs.map((run) => badge(run.facts?.state ?? ""))), row(say("Epochs"), runs.map((run) => number(run.facts?.epochs))), row(say("Time"), runs.map((run) => duration(run.facts?.seconds))), ...measured.filter(isTelling).map(scoreRow),
      make("tr", { class: "section" }, make("th", { scope: "rowgroup", colspan: runs.length + 1 }, runs.some((run) => run.facts === null) ? "…" : apart ? say("Settings that differ") : say("The settings are the same"))), ...keys.map(settingRow))));
    const rest = [...measured.filter((key) => !isTelling(key)).map(scoreRow), ...further.map(settingRow)];
    more.hidden = !rest.length;
    more.replaceChildren(make("summary", {}, make("b", {}, say("More")), make("span", { class: "soft" }, ` ${say("more scores, and settings that only some runs have")}`)), make("div", { class: "scroll" }, make("table", {}, head(), make("tbody", {}, ...rest))));
  }
  const soon = () => { if (!pending) { pending = true; requestAnimationFrame(() => { pending = false; paint(); }); } };
  paintChoice();
  const stops = runs.map((run) => follow(run.id, (head, events) => {
    if (head.again && events.length) run.story.clear();
    run.story.hear(events);
    if (events.length) soon();
  }));
  for (const run of runs) read(runPath(run.id)).then((facts) => { run.facts = facts; run.settings = facts.settings ?? {}; soon(); }).catch(() => soon());
  return () => stops.forEach((stop) => stop());
}
