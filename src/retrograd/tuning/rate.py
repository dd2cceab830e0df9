"""The learning rate: many rates for a few epochs, the best six for a quarter of the run, the best two to its end."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from retrograd.data.dataset import Dataset
from retrograd.record.events import Epoch
from retrograd.training.config.config import RunConfig, with_rate
from retrograd.training.in_memory import trained_in_memory
from retrograd.training.loop.stop import watched
from retrograd.training.prepare import prepare
from retrograd.tuning.trial import without_test
from retrograd.update.optimizer import optimizers

RATES = 32
RANGE = {"sgd": (1e-4, 10.0), "adagrad": (1e-4, 10.0), "adadelta": (1e-3, 100.0)}  # plain gradients take larger steps
USUAL = (1e-5, 1.0)
NEAR = 1.05  # times the lowest loss: up to here, a rate is as good
# Shares of the epochs, and how many rates reach them. On 900 linear networks these missed the best rate as seldom as
# halving by thirds, which costs 5.7 runs; six or more rates for a quarter count more than a long first round.
ROUNDS = ((1 / 24, None), (1 / 4, 6), (1, 2))


class Tried(NamedTuple):
    """A rate: its lowest loss in the last rung that it reached, after how many epochs."""

    rate: float
    loss: float  # infinite where training diverged
    epochs: int


class Sweep(NamedTuple):
    """Rates in ascending order, the chosen rate and the reason; the epochs of the whole run."""

    optimizer: str
    tried: tuple[Tried, ...]
    best: float
    why: str
    history: tuple[Epoch, ...]
    updates: int  # of all trials together

    def plain(self) -> dict[str, Any]:
        """Return the sweep as plain types, for JSON."""
        return {
            "optimizer": self.optimizer,
            "learning_rate": self.best,
            "why": self.why,
            "updates": self.updates,
            "tried": [trial._asdict() for trial in self.tried],
        }


def sweep(config: RunConfig, dataset: Dataset, count: int = RATES) -> Sweep:
    """Return the learning rate that trains best among `count` rates in the optimizer's usual range.

    A rung's rates train from the same weights in one compiled program. The test part is not used, and the guard
    only stops runs: a rate lowered by it would be another rate.
    """
    name = optimizers.name_of(type(config.optimizer))
    low, high = RANGE.get(name, USUAL)
    rates = [float(f"{low * (high / low) ** (i / (count - 1)):.3g}") for i in range(count)]
    dataset = without_test(dataset)
    tried: dict[float, Tried] = {}
    histories: dict[float, tuple[Epoch, ...]] = {}
    updates, left = 0, rates
    steps = rounds(config.training.epochs, count)
    for rung, (many, epochs) in enumerate(steps):
        left = sorted(left if rung == 0 else sorted(left, key=lambda rate: tried[rate].loss)[:many])
        for rate in left:
            histories[rate], steps_taken = trial(config, dataset, rate, epochs)
            updates += steps_taken
            losses = [watched(epoch) for epoch in histories[rate]]
            tried[rate] = Tried(rate, min(losses, default=math.inf), epochs)
    best = min(left, key=lambda rate: tried[rate].loss)
    every = tuple(tried[rate] for rate in rates)
    return Sweep(name, every, best, reason(every, best, steps), histories[best], updates)


def rounds(epochs: int, count: int) -> list[tuple[int, int]]:
    """Return the number of rates of each round, and its epochs: less than five whole runs where there are 24 epochs."""
    lengths: dict[int, int] = {}
    for share, most in ROUNDS:
        lengths.setdefault(max(1, int(share * epochs)), min(most or count, count))
    return [(many, length) for length, many in lengths.items()]


def trial(config: RunConfig, dataset: Dataset, rate: float, epochs: int) -> tuple[tuple[Epoch, ...], int]:
    """Return the epochs of one training with a rate, none if it diverged, and its number of updates."""
    training = dataclasses.replace(config.training, epochs=epochs, guard="stop", goal=None, convergence=None)
    changed = with_rate(dataclasses.replace(config, training=training, search=None), rate)
    outcome = trained_in_memory(prepare(changed, dataset))
    is_sound = outcome.error is None and outcome.stop.reason != "diverged"
    return outcome.history if is_sound else (), outcome.history[-1].step if outcome.history else 0


def reason(tried: Sequence[Tried], best: float, steps: Sequence[tuple[int, int]]) -> str:
    """Return in words why a rate was chosen, and how the others compare."""
    whole = steps[-1][1]
    (many, length), *later = steps
    first = {rate.rate: rate for rate in tried}[best]
    words = [f"{best:g} has the lowest loss, {first.loss:.4g}, after {whole} epoch{'s' * (whole != 1)}"]
    near = [t.rate for t in tried if t.rate != best and t.epochs == whole and t.loss <= NEAR * first.loss]
    words += [f"as good within 5 %: {', '.join(f'{rate:g}' for rate in near)}"] if near else []
    broken = [trial.rate for trial in tried if math.isinf(trial.loss)]
    words += [f"from {min(broken):g} on training diverges"] if broken and min(broken) > best else []
    words += ["every rate diverges: check the data and the network first"] if len(broken) == len(tried) else []
    if best in (tried[0].rate, tried[-1].rate):
        words.append("it lies at an end of the range tried: the best rate may lie beyond")
    kept = [f"the best {many} for {length}" for many, length in later]
    words.append(", ".join([f"{many} rates were trained for {length} epoch{'s' * (length != 1)}", *kept]))
    return "; ".join(words)
