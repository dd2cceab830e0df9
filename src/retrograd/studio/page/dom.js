// Elements and words: text is never markup.
import { say } from "./words.js";

export const make = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
export const draw = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) { if (value) element.addEventListener(key.slice(2), value); }
    else if (key === "value" && "value" in element) element.value = value;
    else if (value === true) element.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const button = (words, onclick, kind = "", more = {}) => make("button", { type: "button", class: kind, onclick, ...more }, words);
export const link = (words, hash, kind = "") => make("a", { href: hash, class: kind }, words);

// A button that waits for its action, and shows errors next to it.
export function doer(words, action, kind = "") {
  const trouble = make("span", { class: "trouble", role: "alert" });
  const press = button(words, async () => {
    press.disabled = true;
    trouble.replaceChildren();
    try { await action(); } catch (error) { trouble.replaceChildren(...problemLines(error)); }
    press.disabled = false;
  }, kind);
  return make("span", { class: "doer" }, press, trouble);
}

export function problemLines(error) {
  const problems = error.problems ?? [{ where: "", message: String(error.message ?? error), cure: "" }];
  return problems.map(({ where, message, cure }) => make("span", { class: "problem" },
    where ? make("code", {}, where) : null, where ? ": " : "", message, cure ? make("span", { class: "cure" }, ` → ${cure}`) : null));
}

// ------------------------------------------------------------------ numbers
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value;
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(Math.max(1, digits - 2)).replace("e+", "e").replace("-", "−").replace("e-", "e−");
  return value.toPrecision(digits).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "").replace("-", "−");
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function ago(iso) {
  if (!iso) return "";
  const seconds = (Date.now() - new Date(iso)) / 1000;
  if (seconds < 90) return say("just now");
  if (seconds < 5400) return say("{n} min ago", { n: Math.round(seconds / 60) });
  if (seconds < 129600) return say("{n} h ago", { n: Math.round(seconds / 3600) });
  return new Date(iso).toLocaleDateString();
}

const METRICS = { accuracy: "accuracy", r2: "R²", loss: "loss", auc: "AUC", mean_auc: "mean AUC", iou: "IoU", map: "mAP" };
const PARTS = { train: "training rows", valid: "held-out rows", test: "test rows" };
export const metricName = (name) => say(METRICS[name] ?? name.replaceAll("_", " "));
export const partName = (part) => say(PARTS[part] ?? part);
export const isShare = (metric) => metric === "accuracy";
export const score = (metric, value) => (isShare(metric) && typeof value === "number" ? `${(value * 100).toFixed(value > 0.9995 || value < 0.0005 ? 0 : 1)} %` : number(value));

// A sentence from the program, in English; on a Chinese page, preceded by its translation.
export const told = (sentence, meaning) => (meaning ? make("span", {}, meaning, make("span", { class: "line soft", lang: "en" }, sentence)) : sentence);

export function announce(words) { document.getElementById("said").textContent = words; }

export function badge(state) {
  const tones = { running: "live", waiting: "soft", finished: "good", interrupted: "act", unreadable: "bad" };
  return make("span", { class: `badge ${tones[state] ?? "soft"}` }, say(state));
}

export const VERDICTS = { healthy: "good", ill: "bad", hopeless: "act", refused: "bad", undecided: "soft" };
