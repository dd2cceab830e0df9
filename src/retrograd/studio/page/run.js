// One run: its progress, its state, and what can be done with it.
import { follow, read, runPath, send } from "./api.js";
import { chart, spine } from "./charts.js";
import { badge, button, doer, duration, link, make, metricName, number, partName, score, told, VERDICTS, announce } from "./dom.js";
import { findingCause, findingTitle, verdictWords } from "./findings.js";
import { doctorView } from "./doctor.js";
import { Planes, planeView } from "./plane.js";
import { predictView } from "./predict.js";
import { stepScreen } from "./step.js";
import { Story } from "./story.js";
import { Moments, weightsView } from "./weights.js";
import { say } from "./words.js";

const VIEWS = { "": curvesView, step: stepScreen, doctor: doctorView, predict: predictView };

export function runScreen(main, id, verb, rest) {
  const story = new Story();
  const top = make("div", { class: "top" }), body = make("div", { class: `body ${verb || "curves"}` });
  main.append(top, body);
  const run = { id, story, head: null, facts: null, refresh, hears: null };
  let view = null, seen = "", isGone = false, state = "";

  async function refresh() {
    try { run.facts = await read(runPath(id)); } catch (error) { if (error.status) gone(); return; }
    paintTop();
    if (run.facts.state === "starting") { waiting(); return; }
    if (view === null && VIEWS[verb]) view = VIEWS[verb](body, run, rest) ?? {};
    view?.refreshed?.();
  }

  function gone() {
    if (isGone || run.head?.job) return;
    isGone = true;
    body.replaceChildren(make("p", { class: "notice bad" }, say("This run no longer exists.")), link(say("All runs"), "#runs", "button"));
    top.replaceChildren(make("h1", {}, make("bdi", {}, id)));
  }

  const standing = () => (run.head?.running ? "running" : run.head?.job ? (run.head.job.state === "waiting" ? "waiting" : ["train", "resume"].includes(run.head.job.verb) ? "starting" : run.facts?.state) : run.facts?.state ?? "");

  function paintTop() {
    const facts = run.facts, now = standing();
    const tab = (words, hash, name) => { const a = link(words, hash); if (name === verb) a.setAttribute("aria-current", "page"); return a; };
    const base = `#run/${encodeURIComponent(id)}`;
    const may = now === "interrupted" ? doer(say("Resume"), async () => { await send(runPath(id, "resume")); }, "strong")
      : now === "running" || now === "waiting" ? doer(facts?.asked ? say("Stopping…") : say("Stop"), async () => { await send(runPath(id, "stop")); announce(say("asked to stop")); }, "stop") : null;
    const more = now === "finished" && facts?.reason === "epochs" ? doer(say("Continue to {n} epochs", { n: facts.epochs * 2 }), async () => { await send(runPath(id, "resume"), { epochs: facts.epochs * 2 }); }) : null;
    top.replaceChildren(make("div", { class: "head" }, make("div", {}, make("h1", {}, make("bdi", {}, facts?.name ?? id), " ", badge(now)), make("p", { class: "soft" }, make("bdi", {}, id), facts?.task ? ` · ${say(facts.task)}` : "")),
      make("div", { class: "tools" }, may, more, facts ? link(say("Edit and train"), `#new/run-${encodeURIComponent(id)}`, "button") : null)),
      make("nav", { class: "tabs", "aria-label": say("views of the run") }, tab(say("Progress"), base, ""), tab(say("Step by step"), `${base}/step`, "step"), tab(say("Doctor"), `${base}/doctor`, "doctor"), facts?.model ? tab(say("Predict"), `${base}/predict`, "predict") : null));
    state = now;
  }

  const stop = follow(id, (head, events) => {
    if (head.again && events.length) story.clear();
    const before = run.head;
    run.head = head;
    story.hear(events);
    const stamp = JSON.stringify([head.found, head.running, head.job?.state ?? "", story.started?.time, story.stopped?.time]);
    if (stamp !== seen) { seen = stamp; refresh(); } else if (standing() !== state) paintTop();
    if (events.length || before === null) view?.heard?.();
  });
  refresh();

  // A run that has just been started has no folder yet.
  function waiting() {
    const failed = run.facts.jobs.filter((job) => job.run === id && job.state === "ended" && job.code).slice(-1)[0], queued = run.facts.jobs.some((job) => job.run === id && job.state === "waiting");
    top.replaceChildren(make("h1", {}, make("bdi", {}, id), " ", badge(failed ? "interrupted" : queued ? "waiting" : "starting")));
    body.replaceChildren(failed ? make("p", { class: "notice bad" }, failed.said) : make("p", { class: "soft" }, queued ? say("Another job is running; this one starts after it.") : say("Training is starting: reading the data and compiling the training step.")));
  }
  return () => { stop(); view?.leave?.(); };
}

// ------------------------------------------------------------------ the progress of the run
function curvesView(body, run) {
  const { story } = run;
  let at = null, pinned = null;
  const tiles = make("dl", { class: "tiles" }), verdict = make("div", {}), progress = make("div", { class: "progress" });
  const pick = (x, isFixed) => { if (isFixed) { pinned = Math.round(x); slider.value = pinned; moved(pinned); } else if (x === null) moved(pinned); else moved(Math.round(x)); };
  const losses = chart({ title: say("Loss"), unit: "", pick, height: 250 });
  const scores = chart({ title: say("Score"), pick, height: 210, format: (value) => number(value, 3) });
  const findings = make("section", { class: "card findings" });
  const slider = make("input", { type: "range", min: 0, max: 1, value: 1, "aria-label": say("epoch") }), where = make("output", {});
  slider.addEventListener("input", () => { pinned = Number(slider.value) >= Number(slider.max) ? null : Number(slider.value); moved(pinned); });
  const strip = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": say("Signal through the layers") });
  const stripNote = make("p", { class: "soft" });
  const layers = make("section", { class: "card layers" }, make("h2", {}, say("Signal through the layers")), stripNote, strip,
    make("p", { class: "soft legend" }, say("Up: the size of a layer's output. Down: the size of its delta, the gradient of the loss. Both are on a logarithmic scale; grey marks the usual range. Bars that shrink towards the left mean a vanishing gradient.")));
  const plane = make("section", { class: "card planes", hidden: true }), weights = make("section", { class: "card weights", hidden: true });
  const notes = make("details", { class: "card" }), config = make("details", { class: "card" });
  body.replaceChildren(verdict, tiles, progress,
    make("div", { class: "split" }, make("div", { class: "curves" }, losses.element, scores.element), findings),
    make("div", { class: "scrub card" }, make("span", {}, say("epoch")), slider, where),
    make("div", { class: "split low" }, layers, plane), weights, notes, config);
  let pending = false, view = null;
  const moments = new Moments(run.id), planes = new Planes(run.id, story), heats = weightsView(weights, moments);
  planes.changed = () => { view ??= planeView(plane, planes); plane.hidden = false; moved(at); };

  // Read newly recorded weights and, with two inputs, the outputs over their plane.
  async function grow() {
    if (!run.head?.weights || !(await moments.grow(run.head.weights).catch(() => false))) return;
    const steps = moments.moments.map((moment) => moment.step);
    planes.want([steps[steps.length - 1], ...steps]);
    moved(at);
  }

  const heard = () => { grow(); if (!pending) { pending = true; requestAnimationFrame(() => { pending = false; paint(); }); } };

  function figures() {
    const facts = run.facts ?? {}, last = story.last, stop = story.stopped;
    const list = [];
    const newest = [...story.metrics.values()].filter(({ part }) => part !== "train").concat([...story.metrics.values()]);
    const reached = facts.score && stop ? facts.score : bestOf(newest);
    if (reached) {
      const chance = facts.chance && (facts.chance.metric === "accuracy") === (reached.metric === "accuracy") ? facts.chance : null;
      list.push([`${metricName(reached.metric)}, ${partName(reached.part)}`, score(reached.metric, reached.value), chance ? `${say("chance")} ${score(reached.metric, chance.level)} (${chance.answer})` : stop ? say("for the kept weights") : say("latest measurement"), "big"]);
    }
    list.push([say("Loss"), number(last?.loss), last ? say("mean over the last epoch") : ""]);
    const planned = Math.max(facts.planned ?? 0, story.started?.epochs ?? 0);
    list.push([say("Epochs"), `${(last?.epoch ?? 0).toLocaleString("en")}${planned && !stop ? ` / ${planned.toLocaleString("en")}` : ""}`, stop ? (stop.best_epoch === null ? say("kept: initial weights") : say("kept: epoch {n}", { n: stop.best_epoch.toLocaleString("en") })) : ""]);
    const pace = story.pace();
    list.push([say("Time"), duration(stop?.seconds ?? last?.seconds), !stop && pace && planned ? say("about {t} left", { t: duration((planned - (last?.epoch ?? 0)) / pace) }) : say("{n} steps", { n: (stop?.step ?? last?.step ?? 0).toLocaleString("en") })]);
    list.push([say("Learning rate"), number(last?.learning_rate, 3), last?.gradient_norm ? `|∂L| ${number(last.gradient_norm, 3)}` : ""]);
    tiles.replaceChildren(...list.map(([name, value, more, kind]) => make("div", { class: kind ?? "" }, make("dt", {}, name), make("dd", {}, value), make("dd", { class: "soft" }, more))));
    const running = run.head?.running && !stop;
    const live = story.steps[story.steps.length - 1], isBusy = ["compiling", "finishing"].includes(story.phase);
    progress.replaceChildren(...(running && planned ? [isBusy ? make("progress", { "aria-label": say(`phase ${story.phase}`) }) : make("progress", { max: planned, value: story.now, "aria-label": say("epochs") }),
      make("span", { class: "soft" }, isBusy ? say(`phase ${story.phase}`) : live ? `${say("step {n}", { n: live.step.toLocaleString("en") })}${story.started?.steps ? ` / ${story.started.steps.toLocaleString("en")}` : ""} · ${say("{n} steps/s", { n: number(live.steps_per_second, 3) })} · ${say("Loss")} ${number(live.loss)}` : "")] : []));
  }

  function bestOf(all) {
    const order = ["accuracy", "r2", "loss"];
    const chosen = order.map((name) => all.find((series) => series.name === name)).find(Boolean) ?? all[0];
    return chosen ? { metric: chosen.name, part: chosen.part, value: chosen.ys[chosen.ys.length - 1] } : null;
  }

  function sentence() {
    const facts = run.facts ?? {}, stop = story.stopped, parts = [];
    const examined = facts.diagnosis;
    const bad = examined ? ["ill", "hopeless", "refused"].includes(examined.verdict) : facts.chance?.failed;
    if (examined) parts.push(make("p", { class: `ending ${VERDICTS[examined.verdict] ?? ""}` }, make("b", {}, say(`verdict ${examined.verdict}`)), " · ", told(examined.sentence, verdictWords(examined.verdict)), " ", link(say("what to do"), `#run/${encodeURIComponent(run.id)}/doctor`)));
    else if (bad && stop) parts.push(make("p", { class: "ending bad" }, make("b", {}, say("No better than a constant")), ` · ${facts.chance.metric} ${number(facts.chance.reached, 4)}; ${facts.chance.answer}: ${number(facts.chance.level, 4)}. `, link(say("Ask the doctor"), `#run/${encodeURIComponent(run.id)}/doctor`)));
    if (stop) parts.push(make("p", { class: `ending ${["non-finite", "diverged"].includes(stop.reason) ? "bad" : bad ? "" : "plain"}` }, make("b", {}, `${say("Ended")}: `), say(`reason ${stop.reason}`), ...(stop.reason === "epochs" || !stop.sentence ? [] : [" (", make("span", { lang: "en" }, stop.sentence), ")"])));
    else if (run.facts && !run.head?.running && !run.head?.job) parts.push(make("p", { class: "ending act" }, make("b", {}, say("Interrupted")), ` · ${say("everything up to the last checkpoint is saved; Resume continues from there")}`));
    const failed = (run.facts?.jobs ?? []).filter((job) => job.run === run.id && job.state === "ended" && job.code && job.said && ![130, 143].includes(job.code)).slice(-1)[0];
    if (failed) parts.push(make("p", { class: "ending bad" }, make("b", {}, say(failed.verb)), `: ${failed.said}`));
    verdict.replaceChildren(...parts);
  }

  function lists() {
    const items = story.acts.map((act) => pin(story.epochAt(act.step), "act", say("The guard intervened"), `${act.reason}. ${act.action}.`, act.permanent));
    const warned = story.notes.filter((text) => text.startsWith("warning: ")).map((text) => pin(0, "act", say("Warning"), text.slice(9)));
    const examined = run.facts?.diagnosis?.findings ?? [];
    const causes = examined.filter((finding) => finding.severity !== "note").slice(0, 4).map((finding) => pin(null, finding.severity === "fault" ? "bad" : "act", findingTitle(finding), told(finding.message, findingCause(finding))));
    const all = [...causes, ...items, ...warned];
    findings.replaceChildren(make("h2", {}, say("Findings")), ...(all.length ? [make("ul", { class: "pins" }, ...all)] : [make("p", { class: "soft" }, story.stopped ? say("Nothing unusual during training.") : say("Nothing unusual so far."))]),
      run.facts?.diagnosis || !story.last ? "" : make("p", {}, link(say("Ask the doctor"), `#run/${encodeURIComponent(run.id)}/doctor`, "button")));
    const others = story.notes.filter((text) => !text.startsWith("warning: "));
    fold(notes, say("Notes"), others.length ? make("ul", {}, ...others.map((text) => make("li", {}, text))) : null);
    fold(config, say("Configuration"), run.facts?.config ? make("pre", { tabindex: 0, "aria-label": say("Configuration") }, run.facts.config) : null);
  }

  const fold = (element, title, content) => { element.hidden = !content; if (content) element.replaceChildren(make("summary", {}, make("b", {}, title)), content); };
  const pin = (epoch, tone, title, words, cure) => make("li", { class: tone }, epoch ? button(say("epoch {n}", { n: Math.floor(epoch).toLocaleString("en") }), () => { pinned = Math.floor(epoch); slider.value = pinned; moved(pinned); }, "plain pin") : null,
    make("b", {}, title), make("span", { class: "line" }, words), cure ? make("code", { class: "line" }, cure) : null);

  function paint() {
    figures();
    sentence();
    lists();
    const last = story.last, xMax = Math.max(story.now, 1), stop = story.stopped;
    const marks = [...story.acts.slice(0, 6).map((act) => ({ x: story.epochAt(act.step), label: "!", kind: "act" })), ...(stop?.best_epoch ? [{ x: stop.best_epoch, label: say("kept"), kind: "good" }] : [])];
    const train = { name: say("mean over each epoch"), colour: "s0", xs: story.epochs.map((e) => e.epoch), ys: story.epochs.map((e) => e.loss) };
    const current = { name: say("current epoch"), colour: "s3", xs: story.steps.map((s) => story.epochAt(s.step)), ys: story.steps.map((s) => s.loss) };
    const series = [...story.metrics.values()];
    const colour = (part) => (part === "train" ? "s0" : "s1");
    losses.update({ series: [train, ...(story.steps.length ? [current] : []), ...series.filter(({ name }) => name === "loss").map(({ part, xs, ys }) => ({ name: partName(part), colour: part === "train" ? "s3" : "s1", xs, ys }))], marks, xMax, mayLog: true });
    const main = series.filter(({ name }) => name === (bestOf(series)?.metric)).filter(({ name }) => name !== "loss");
    scores.element.hidden = !main.length;
    if (main.length) {
      const chance = run.facts?.chance && (run.facts.chance.metric === "accuracy") === (main[0].name === "accuracy") ? [{ name: say("chance"), value: run.facts.chance.level }] : [];
      scores.update({ series: main.map(({ part, xs, ys }) => ({ name: partName(part), colour: colour(part) === "s0" ? "s1" : "s1", xs, ys })), marks, levels: chance, xMax, range: main[0].name === "accuracy" ? [Math.min(0.5, ...main[0].ys), 1] : null });
      scores.element.querySelector("figcaption b").textContent = metricName(main[0].name);
    }
    slider.max = Math.floor(xMax);
    if (pinned === null) slider.value = Math.floor(xMax);
    moved(pinned);
  }

  function moved(epoch) {
    at = epoch;
    losses.cursor(epoch);
    scores.cursor(epoch);
    where.textContent = `${(epoch ?? story.last?.epoch ?? 0).toLocaleString("en")} / ${(story.last?.epoch ?? 0).toLocaleString("en")}`;
    const reading = story.healthAt(epoch ?? Infinity);
    layers.hidden = !reading;
    if (reading && strip.dataset.step !== String(reading.step)) {
      strip.dataset.step = reading.step;
      strip.replaceChildren(...spine(Object.keys(reading.readings.output_rms ?? {}), reading.readings, strip.clientWidth || 700));
      stripNote.textContent = say("step {n}", { n: reading.step.toLocaleString("en") });
    }
    const step = epoch === null ? Infinity : story.stepAt(epoch), moment = moments.at(step);
    heats.show(step);
    if (moment && epoch !== null) planes.want([moment.step]);
    view?.show(step);
  }

  function refreshed() {
    planes.stored(run.facts?.plane);
    if (planes.plane) planes.changed();
    grow();
    paint();
  }
  return { heard, refreshed, leave: () => { at = null; } };
}
