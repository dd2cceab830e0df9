"""The search for a learning rate: many for a few epochs, the best six for a quarter of the run, two in full."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from retrograd.data.dataset import Dataset
from retrograd.present.numbers import number
from retrograd.record.events import Epoch
from retrograd.training.config.config import RunConfig, with_rate
from retrograd.training.in_memory import trained_in_memory
from retrograd.training.loop.stop import watched
from retrograd.training.prepare import prepare
from retrograd.tuning.trial import without_test
from retrograd.update.optimizer import optimizers

RATES = 32
RANGE = {"sgd": (1e-4, 10.0), "adagrad": (1e-4, 10.0), "adadelta": (1e-3, 100.0)}  # plain gradients allow larger steps
USUAL = (1e-5, 1.0)
NEAR = 1.05  # a rate is equally good up to this multiple of the lowest loss
# Shares of the epochs, and the number of rates trained for them. On 900 linear networks these missed the best rate as
# rarely as halving by thirds, which costs 5.7 runs; six or more rates for a quarter matter more than a long round 1.
ROUNDS = ((1 / 24, None), (1 / 4, 6), (1, 2))


class Tried(NamedTuple):
    """A rate: its lowest loss in the last rung that it reached, and the epochs of that rung."""

    rate: float
    loss: float  # infinite if training diverged
    epochs: int


class Sweep(NamedTuple):
    """Rates in ascending order, the chosen rate and the reason, and the epochs of its full run."""

    optimizer: str
    tried: tuple[Tried, ...]
    best: float
    why: str
    history: tuple[Epoch, ...]
    updates: int  # of all trials together

    def plain(self) -> dict[str, Any]:
        """Return the sweep as JSON values."""
        return {
            "optimizer": self.optimizer,
            "learning_rate": self.best,
            "why": self.why,
            "updates": self.updates,
            "tried": [trial._asdict() for trial in self.tried],
        }


def sweep(config: RunConfig, dataset: Dataset, count: int = RATES) -> Sweep:
    """Find the learning rate that trains best among `count` rates in the usual range of the optimizer.

    All rates train from the same weights with one compiled program. The test part is not used, and the guard only stops
    runs: if it reduced a rate, that would be another rate.
    """
    name = optimizers.name_of(type(config.optimizer))
    low, high = RANGE.get(name, USUAL)
    rates = [float(f"{low * (high / low) ** (i / (count - 1)):.3g}") for i in range(count)]
    dataset = without_test(dataset)
    tried: dict[float, Tried] = {}
    histories: dict[float, tuple[Epoch, ...]] = {}
    updates, remaining = 0, rates
    steps = rounds(config.training.epochs, count)
    for rung, (kept, epochs) in enumerate(steps):
        remaining = sorted(remaining if rung == 0 else sorted(remaining, key=lambda rate: tried[rate].loss)[:kept])
        for rate in remaining:
            histories[rate], steps_taken = trial(config, dataset, rate, epochs)
            updates += steps_taken
            losses = [watched(epoch) for epoch in histories[rate]]
            tried[rate] = Tried(rate, min(losses, default=math.inf), epochs)
    best = min(remaining, key=lambda rate: tried[rate].loss)
    all_tried = tuple(tried[rate] for rate in rates)
    return Sweep(name, all_tried, best, reason(all_tried, best, steps), histories[best], updates)


def rounds(epochs: int, count: int) -> list[tuple[int, int]]:
    """Return the number of rates and epochs of each round: together less than five full runs, given 24 epochs."""
    lengths: dict[int, int] = {}
    for share, most in ROUNDS:
        lengths.setdefault(max(1, int(share * epochs)), min(most or count, count))
    return [(number, length) for length, number in lengths.items()]


def trial(config: RunConfig, dataset: Dataset, rate: float, epochs: int) -> tuple[tuple[Epoch, ...], int]:
    """Train with one rate; return the epochs (none if training diverged) and the number of updates."""
    training = dataclasses.replace(config.training, epochs=epochs, guard="stop", goal=None, convergence=None)
    variant = with_rate(dataclasses.replace(config, training=training, search=None), rate)
    outcome = trained_in_memory(prepare(variant, dataset))
    is_sound = outcome.error is None and outcome.stop.reason != "diverged"
    return outcome.history if is_sound else (), outcome.history[-1].step if outcome.history else 0


def reason(tried: Sequence[Tried], best: float, steps: Sequence[tuple[int, int]]) -> str:
    """Explain why a rate was chosen, and how the others compare."""
    epochs = steps[-1][1]
    (first, length), *later = steps
    winner = {rate.rate: rate for rate in tried}[best]
    parts = [f"the lowest loss, {number(winner.loss, 4)}, after {epochs:,} epoch{'s' * (epochs != 1)}"]
    near = [t.rate for t in tried if t.rate != best and t.epochs == epochs and t.loss <= NEAR * winner.loss]
    parts += [f"equally good within 5 %: {', '.join(f'{number(rate, 6)}' for rate in near)}"] if near else []
    diverged = [trial.rate for trial in tried if math.isinf(trial.loss)]
    parts += [f"training diverges from {number(min(diverged), 6)} on"] if diverged and min(diverged) > best else []
    parts += ["every rate diverges: check the data and the network first"] if len(diverged) == len(tried) else []
    if best in (tried[0].rate, tried[-1].rate):
        parts.append("it is at an end of the range tried: the best rate may be outside")
    further = [f"the best {count} for {more:,}" for count, more in later]
    parts.append(", ".join([f"{first} rates were trained for {length:,} epoch{'s' * (length != 1)}", *further]))
    return "; ".join(parts)
