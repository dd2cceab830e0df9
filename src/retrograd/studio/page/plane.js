// A network's outputs over the plane of its two inputs, at the epoch chosen by the slider.
import { runPath, send } from "./api.js";
import { make, number } from "./dom.js";
import { say } from "./words.js";

const SIZE = 300, AT_ONCE = 8;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const parts = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

// The outputs at every recorded step, requested from the bench when needed; a finished run's `plane.json` has some of them.
export class Planes {
  constructor(id, story) { Object.assign(this, { id, story, plane: null, samples: new Map(), wanted: [], isAsking: false, isNone: false, changed: null }); }

  // Those in plane.json, which are used if the weights were not recorded.
  stored(plane) {
    if (!plane?.samples.length) return;
    this.plane ??= plane;
    this.best = plane.best;
    if (!this.samples.size) this.loose = plane.samples;
  }

  // Request the outputs at some steps; the latest requests come first.
  want(steps) {
    const fresh = steps.filter((step) => !this.samples.has(step));
    this.wanted = [...fresh, ...this.wanted.filter((step) => !fresh.includes(step) && !this.samples.has(step))];
    this.ask();
  }

  async ask() {
    if (this.isAsking || this.isNone || !this.wanted.length) return;
    this.isAsking = true;
    const steps = this.wanted.slice(0, AT_ONCE);
    try {
      const { plane } = await send(runPath(this.id, "plane"), { steps });
      if (!plane) { this.isNone = true; return; }
      this.plane = { ...plane, samples: [] };
      for (const sample of plane.samples) this.samples.set(sample.epoch, sample); // counted in steps
      this.loose = null;
      this.wanted = this.wanted.filter((step) => !steps.includes(step));
      this.changed?.();
    } catch { this.isNone = true; } finally { this.isAsking = false; }
    this.ask();
  }

  at(step) {
    if (!this.samples.size) return this.loose?.reduce((best, one) => (one.epoch <= this.story.epochAt(step) + 1e-9 ? one : best), this.loose[0]) ?? null;
    let best = null;
    for (const [at, sample] of this.samples) if (best === null || (at <= step ? best[0] > step || at > best[0] : best[0] > step && at < best[0])) best = [at, sample];
    return { ...best[1], epoch: Math.round(this.story.epochAt(best[0])) };
  }
}

export function planeView(place, planes) {
  const canvas = make("canvas", { width: SIZE * 2, height: SIZE * 2, role: "img" }), note = make("p", { class: "soft" });
  const { plane } = planes;
  place.replaceChildren(make("h2", {}, plane.classes.length ? say("Decision boundary") : say("Output over the plane")), canvas, note);
  let shown = null;

  function show(step) {
    const sample = planes.at(step);
    if (!sample) return;
    const paper = parts(colour("card"));
    const key = `${sample.epoch} ${sample.shades.length} ${sample.shades.slice(0, 40)} ${paper}`;
    if (key === shown) return;
    shown = key;
    const colours = ["s1", "s2", "s3", "good", "bad", "loss"].map((name) => parts(colour(name)));
    const shades = bytes(sample.shades), winners = sample.winners ? bytes(sample.winners) : null;
    const image = new ImageData(plane.side, plane.side);
    shades.forEach((shade, i) => {
      const share = shade / 255;
      const isTwo = !winners && plane.classes.length;
      const tint = winners ? colours[winners[i] % colours.length] : isTwo ? colours[share >= 0.5 ? 1 : 0] : colours[0];
      const strength = winners ? 0.25 + 0.4 * share : isTwo ? 0.12 + 1.0 * Math.abs(share - 0.5) : share * 0.75;
      for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = paper[c] + (tint[c] - paper[c]) * strength;
      image.data[4 * i + 3] = 255;
    });
    const small = new OffscreenCanvas(plane.side, plane.side);
    small.getContext("2d").putImageData(image, 0, 0);
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = true;
    pen.drawImage(small, 0, 0, canvas.width, canvas.height);
    const across = (x) => (x - plane.low[0]) / (plane.high[0] - plane.low[0]) * canvas.width, up = (y) => canvas.height - (y - plane.low[1]) / (plane.high[1] - plane.low[1]) * canvas.height;
    for (const point of plane.points) {
      const tint = plane.classes.length ? colours[point.target % colours.length] : colours[0];
      pen.beginPath();
      pen.arc(across(point.x), up(point.y), 7, 0, 7);
      pen.fillStyle = `rgb(${tint})`;
      pen.fill();
      pen.lineWidth = 2.5;
      pen.strokeStyle = `rgb(${paper})`;
      pen.stroke();
    }
    const words = say("epoch {n}", { n: sample.epoch.toLocaleString("en") });
    note.textContent = `${words}${sample.epoch === planes.best ? `, ${say("kept")}` : ""} · ${plane.columns[0]} → (${number(plane.low[0], 2)} … ${number(plane.high[0], 2)}), ${plane.columns[1]} ↑ (${number(plane.low[1], 2)} … ${number(plane.high[1], 2)})`;
    canvas.setAttribute("aria-label", note.textContent);
  }
  show(Infinity);
  return { show };
}
