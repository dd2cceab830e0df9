// The state of a run according to its log so far.
const figure = (value) => (value === "nan" ? NaN : value === "inf" ? Infinity : value === "-inf" ? -Infinity : value);

export class Story {
  constructor() { this.clear(); }

  clear() {
    Object.assign(this, { started: null, stopped: null, epochs: [], notes: [], acts: [], health: [], metrics: new Map(), phase: "", steps: [], version: 0 });
  }

  hear(events) {
    for (const event of events) this[`_${event.kind}`]?.(event);
    if (events.length) this.version += 1;
  }

  _started(event) { this.clear(); this.started = event; }
  _resumed() { this.stopped = null; this.steps = []; }
  _phase(event) { this.phase = event.name; }
  _progress(event) { event.loss = figure(event.loss); this.steps.push(event); }
  _note(event) { this.notes.push(event.text); }
  _intervention(event) { this.acts.push(event); }
  _health(event) { this.health.push(event); }
  _stopped(event) { this.stopped = event; }
  _epoch(event) {
    event.loss = figure(event.loss);
    this.epochs.push(event);
    this.steps = [];
    for (const [part, metrics] of Object.entries(event.metrics)) {
      for (const [name, value] of Object.entries(metrics)) {
        const key = `${part}/${name}`;
        if (!this.metrics.has(key)) this.metrics.set(key, { part, name, xs: [], ys: [] });
        const series = this.metrics.get(key);
        series.xs.push(event.epoch);
        series.ys.push(figure(value));
      }
    }
  }

  get last() { return this.epochs[this.epochs.length - 1] ?? null; }

  // The current position of training in epochs, and steps per epoch.
  get now() { return this.steps.length ? this.epochAt(this.steps[this.steps.length - 1].step) : this.last?.epoch ?? 0; }
  get perEpoch() { return this.started?.epochs ? this.started.steps / this.started.epochs : this.last ? this.last.step / this.last.epoch : 0; }

  // The last step up to the end of an epoch.
  stepAt(epoch) {
    const { epochs } = this;
    let low = 0, high = epochs.length;
    while (low < high) { const middle = (low + high) >> 1; if (epochs[middle].epoch <= epoch) low = middle + 1; else high = middle; }
    return low ? epochs[low - 1].step : 0;
  }

  // The position of a step on the axis of epochs.
  epochAt(step) {
    const { epochs } = this;
    let low = 0, high = epochs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (epochs[middle].step < step) low = middle + 1; else high = middle;
    }
    const before = low ? epochs[low - 1] : { step: 0, epoch: 0 }, after = epochs[low];
    if (!after) return before.epoch + (this.perEpoch ? (step - before.step) / this.perEpoch : 0);
    return before.epoch + (after.epoch - before.epoch) * (step - before.step) / Math.max(1, after.step - before.step);
  }

  healthAt(epoch) {
    const { health } = this;
    let low = 0, high = health.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (this.epochAt(health[middle].step) <= epoch + 1e-9) low = middle; else high = middle - 1; }
    return health[low] ?? null;
  }

  pace() { // epochs a second, lately
    const { epochs } = this, last = epochs[epochs.length - 1];
    if (!last) return null;
    const since = epochs[Math.max(0, epochs.length - 40)];
    return last.seconds > since.seconds ? (last.epoch - since.epoch) / (last.seconds - since.seconds) : last.epoch / Math.max(last.seconds, 1e-9);
  }
}
