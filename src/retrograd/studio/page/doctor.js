// The doctor: what is wrong, the evidence, and what may help; apply it, and watch the twin next to the patient.
import { follow, runPath, send } from "./api.js";
import { chart } from "./charts.js";
import { findingCause, findingTitle, quantityWords, remedyReason, remedyTitle, verdictWords } from "./findings.js";
import { doer, link, make, number, problemLines, told, VERDICTS } from "./dom.js";
import { Story } from "./story.js";
import { say } from "./words.js";

const MOST = 5;

export function doctorView(body, run) {
  const place = make("div", { class: "doctor" });
  body.replaceChildren(place);
  let twin = null, shown = "";

  function refreshed() {
    const { diagnosis, repair } = run.facts ?? {}, job = run.head?.job;
    const stamp = JSON.stringify([diagnosis?.sentence, repair?.sentence, job?.verb, job?.state, run.head?.running, run.facts?.jobs?.length]);
    if (stamp === shown) return;
    shown = stamp;
    const parts = [];
    const failed = (run.facts?.jobs ?? []).filter((one) => one.run === run.id && one.state === "ended" && one.code && one.said && ["diagnose", "repair"].includes(one.verb)).slice(-1)[0];
    if (failed) parts.push(make("p", { class: "ending bad" }, make("b", {}, say(failed.verb)), `: ${failed.said}`));
    if (job && ["diagnose", "repair"].includes(job.verb)) parts.push(make("p", { class: "ending live" }, make("span", { class: "pulse", "aria-hidden": "true" }), job.verb === "diagnose" ? say("Examining: a few short training runs, at most two minutes.") : say("Trying remedies from fresh weights; this takes a while."), " ",
      doer(say("Cancel"), () => send(`/api/jobs/${job.number}/cancel`))));
    else if (!diagnosis) parts.push(make("section", { class: "card ask-doctor" }, make("h2", {}, say("Does it learn what its data contain, and if not, why?")), make("p", {}, say("The doctor examines the configuration, the data, the first pass and a few short training runs, and compares the network with simple models.")),
      run.head?.running ? make("p", { class: "soft" }, say("It is still training: the doctor can examine it once it has finished.")) : doer(say("Examine"), () => send(runPath(run.id, "diagnose")), "strong")));
    if (diagnosis) parts.push(...verdict(diagnosis, job), ...repairs(repair), ...causes(diagnosis));
    place.replaceChildren(...parts);
    if (twin) place.append(twin.element);
  }

  function verdict(diagnosis, job) {
    const tone = VERDICTS[diagnosis.verdict] ?? "soft";
    return [make("section", { class: `card verdictcard ${tone}` }, make("h2", {}, say(`verdict ${diagnosis.verdict}`)), make("p", {}, told(diagnosis.sentence, verdictWords(diagnosis.verdict))), job || run.head?.running ? null : make("div", { class: "tools" }, ["ill", "refused"].includes(diagnosis.verdict) && !run.facts.repair ? doer(say("Try the remedies"), () => send(runPath(run.id, "repair")), "strong") : null, doer(say("Examine again"), () => send(runPath(run.id, "diagnose")))),
      ["ill", "refused"].includes(diagnosis.verdict) && !run.facts.repair ? make("p", { class: "soft" }, say("Remedies are tried from fresh weights with several seeds; only improvements beyond the noise are kept.")) : null)];
  }

  function causes(diagnosis) {
    const likely = diagnosis.findings.filter((finding) => finding.severity !== "note"), notes = diagnosis.findings.filter((finding) => finding.severity === "note");
    const cards = likely.slice(0, MOST).map((finding, i) => make("section", { class: `card cause ${finding.severity}` },
      make("h3", {}, `${i + 1}. ${findingTitle(finding)} `, finding.code ? make("a", { class: "code", href: `#${location.hash.slice(1)}`, "aria-hidden": "true", tabindex: -1 }, finding.code) : null),
      make("p", {}, finding.path ? make("code", {}, finding.path) : null, finding.path ? ": " : "", told(finding.message, findingCause(finding))),
      make("div", { class: "sure" }, make("meter", { min: 0, max: 1, value: finding.confidence, "aria-label": say("confidence that this is the cause") }), make("span", { class: "soft" }, say("{n} % confidence that this is the cause", { n: Math.round(finding.confidence * 100) }))),
      finding.evidence.length ? make("ul", { class: "evidence" }, ...finding.evidence.map((evidence) => make("li", {}, quantityWords(evidence.quantity), " ", make("b", {}, number(evidence.value)), evidence.threshold === null ? "" : make("span", { class: "soft" }, ` (${say("threshold")} ${number(evidence.threshold)})`)))) : null,
      finding.remedies.length ? make("div", { class: "remedies" }, ...finding.remedies.slice(0, 3).map(remedy)) : null));
    return [...cards, notes.length ? make("details", { class: "card" }, make("summary", {}, make("b", {}, say("{n} notes", { n: notes.length })), make("span", { class: "soft" }, ` ${say("harmless as long as it learns")}`)), make("ul", {}, ...notes.map((finding) => make("li", {}, finding.path ? make("code", {}, finding.path) : null, finding.path ? ": " : "", told(finding.message, findingCause(finding)))))) : ""];
  }

  function remedy(name) {
    const inside = make("div", {}), fold = make("details", { class: "remedy" }, make("summary", {}, remedyTitle(name)), inside);
    fold.addEventListener("toggle", async () => {
      if (!fold.open || inside.childElementCount) return;
      inside.replaceChildren(make("p", { class: "soft" }, say("computing…")));
      try {
        const made = await send(runPath(run.id, "remedy"), { remedy: name });
        inside.replaceChildren(make("p", {}, remedyReason(name, made.why)), diff(made.difference), doer(say("Apply: train a twin with the same seed"), () => begin(made.text), "strong"));
      } catch (error) { inside.replaceChildren(make("p", { class: "trouble" }, ...problemLines(error))); }
    });
    return fold;
  }

  function repairs(repair) {
    if (repair) {
      const helped = repair.remedies ?? [];
      return [make("section", { class: "card" }, make("h2", {}, say("Repair")), make("p", { lang: "en" }, repair.sentence), helped.length ? make("ul", {}, ...helped.map((one) => make("li", {}, make("b", {}, remedyTitle(one.name)), `: ${remedyReason(one.name, one.why)}`))) : null, repair.difference ? diff(repair.difference) : null,
        repair.difference && helped.length ? doer(say("Apply: train a twin with the same seed"), () => applyAll(helped.map((one) => one.name)), "strong") : null)];
    }
    return [];
  }

  async function applyAll(names) {
    let text = null;
    for (const name of names) text = (await send(runPath(run.id, "remedy"), { remedy: name, text })).text;
    await begin(text);
  }

  async function begin(text) {
    const name = `${run.facts.name}-twin`;
    const made = await send("/api/train", { text: text.replace(/^name: .*$/m, () => `name: ${JSON.stringify(name)}`), name });
    twin?.leave();
    twin = twinView(run, made.run);
    place.append(twin.element);
    twin.element.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth", block: "start" });
    twin.element.focus();
  }

  return { refreshed, heard: refreshed, leave: () => twin?.leave() };
}

function diff(text) {
  return make("pre", { class: "diff", tabindex: 0, "aria-label": say("the change") }, ...text.split("\n").filter((line) => !/^(---|\+\+\+)/.test(line)).map((line) => make("span", { class: line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : line.startsWith("@@") ? "soft" : "" }, `${line}\n`)));
}

// The curves of the patient and the twin, side by side, while the twin trains.
function twinView(run, id) {
  const story = new Story(), outcome = make("p", { class: "outcome", "aria-live": "polite" });
  const losses = chart({ title: say("Loss"), height: 220 }), scores = chart({ title: say("Score"), height: 220 });
  const element = make("section", { class: "card twin", tabindex: -1 }, make("h2", {}, say("The patient and its twin")), make("p", { class: "soft" }, make("bdi", {}, id)), outcome, make("div", { class: "pair" }, losses.element, scores.element), link(say("Open the twin"), `#run/${encodeURIComponent(id)}`, "button"));
  const curve = (from, name, colour) => ({ name, colour, xs: from.epochs.map((e) => e.epoch), ys: from.epochs.map((e) => e.loss) });
  const pickScore = (from) => { const all = [...from.metrics.values()].filter((s) => s.name !== "loss"); return all.find((s) => s.part !== "train") ?? all[0] ?? null; };
  function paint() {
    const xMax = Math.max(run.story.last?.epoch ?? 1, story.last?.epoch ?? 1);
    losses.update({ series: [curve(run.story, say("patient"), "s2"), curve(story, say("twin"), "s1")], xMax, mayLog: true });
    const [a, b] = [pickScore(run.story), pickScore(story)];
    scores.element.hidden = !a || !b;
    if (a && b) {
      scores.update({ series: [{ ...a, name: say("patient"), colour: "s2" }, { ...b, name: say("twin"), colour: "s1" }], xMax });
      const [was, is] = [a.ys[a.ys.length - 1], b.ys[b.ys.length - 1]], change = is - was;
      outcome.replaceChildren(`${number(was)} ⇒ `, make("b", { class: change > 0 ? "good" : "bad" }, number(is)), ` ${story.stopped ? "" : say("so far")}`);
    }
  }
  const leave = follow(id, (head, events) => { if (head.again && events.length) story.clear(); story.hear(events); if (events.length) paint(); });
  return { element, leave };
}
