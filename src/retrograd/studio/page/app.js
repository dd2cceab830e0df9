// The frame: header, addresses, language and colours.
import { onStanding, read, repeat } from "./api.js";
import { button, link, make } from "./dom.js";
import { compareScreen } from "./compare.js";
import { newScreen } from "./new.js";
import { runScreen } from "./run.js";
import { runsScreen } from "./runs.js";
import { language, say, setLanguage } from "./words.js";

const main = document.getElementById("main"), bar = document.getElementById("bar"), banner = document.getElementById("banner");
let leave = null, jobs = [];

const SCREENS = {
  runs: () => runsScreen(main),
  new: (from) => newScreen(main, from),
  run: (id, verb = "", ...rest) => runScreen(main, decodeURIComponent(id), verb, rest),
  compare: (ids = "") => compareScreen(main, ids.split(",").filter(Boolean).map(decodeURIComponent)),
};

function show() {
  const [screen, ...rest] = location.hash.slice(1).split("/");
  leave?.();
  leave = null;
  if (!SCREENS[screen]) { location.replace("#runs"); return; }
  main.replaceChildren();
  main.className = `screen ${screen}`;
  leave = SCREENS[screen](...rest) ?? null;
  header(screen);
  window.scrollTo(0, 0);
}

function header(screen) {
  const tab = (words, hash, name) => { const a = link(words, hash); if (name === screen) a.setAttribute("aria-current", "page"); return a; };
  bar.replaceChildren(
    make("a", { href: "#runs", class: "brand", "aria-label": "retrograd studio" }, make("img", { src: "/icon.svg", alt: "", width: 26, height: 26 }), make("span", {}, "retrograd ", make("b", {}, "studio"))),
    make("nav", { "aria-label": say("screens") }, tab(say("Runs"), "#runs", "runs"), tab(say("New"), "#new", "new")),
    make("span", { class: "busy", id: "busy" }),
    make("span", { class: "choices" }, colours(), button(language() === "zh" ? "English" : "中文", () => { setLanguage(language() === "zh" ? "en" : "zh"); start(); }, "plain", { lang: language() === "zh" ? "en" : "zh" })));
  busy();
}

function busy() {
  const place = document.getElementById("busy");
  if (!place) return;
  const active = jobs.filter((job) => job.state !== "ended");
  const running = active.find((job) => job.state === "running");
  place.replaceChildren(...(running ? [make("span", { class: "pulse", "aria-hidden": "true" }), link(`${say(running.verb)} · ${running.run}`, `#run/${encodeURIComponent(running.run)}`),
    active.length > 1 ? make("span", { class: "soft" }, ` +${active.length - 1} ${say("waiting")}`) : ""] : []));
}

// ------------------------------------------------------------------ light and dark: from the system, or as chosen
const MODES = ["auto", "light", "dark"], SIGNS = { auto: "◐", light: "☀", dark: "☾" };
function colours() {
  const mode = localStorage.getItem("retrograd-colours") ?? "auto";
  return button(SIGNS[mode], () => {
    localStorage.setItem("retrograd-colours", MODES[(MODES.indexOf(mode) + 1) % MODES.length]);
    paint();
    header(location.hash.slice(1).split("/")[0]);
    bar.querySelector(".choices button").focus();
  }, "plain", { "aria-label": say(`colours: ${mode}`), title: say(`colours: ${mode}`) });
}

function paint() {
  const mode = localStorage.getItem("retrograd-colours") ?? "auto";
  for (const sheet of document.styleSheets) {
    for (const rule of sheet.cssRules) {
      if (rule instanceof CSSMediaRule && (rule.wasDark ||= rule.conditionText.includes("prefers-color-scheme: dark"))) {
        rule.media.mediaText = mode === "auto" ? "screen and (prefers-color-scheme: dark)" : mode === "dark" ? "screen" : "not all";
      }
    }
  }
  document.documentElement.style.colorScheme = mode === "auto" ? "" : mode;
}

function start() {
  document.documentElement.lang = language();
  document.getElementById("skip").textContent = say("Skip to the content");
  show();
}

onStanding((standing) => {
  banner.hidden = standing === "open";
  banner.textContent = standing === "gone" ? say("The studio is not responding. Runs continue; restart it with: retrograd studio")
    : standing === "refused" ? say("This page has no token. Open the address that `retrograd studio` printed.") : "";
});
document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
window.addEventListener("hashchange", show);
paint();
start();
repeat(async () => { jobs = (await read("/api/state")).jobs; busy(); return jobs; }, (all) => (all.some((job) => job.state !== "ended") ? 1000 : 3000));
