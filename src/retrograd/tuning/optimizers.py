"""The textbook comparison of optimizers on the user's data, each at its best learning rate."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from retrograd.base.keys import SEED_LIMIT
from retrograd.base.schema import parse_registered
from retrograd.data.dataset import Dataset
from retrograd.present.numbers import number
from retrograd.training.config.config import RunConfig, with_rate
from retrograd.training.loop.stop import watched
from retrograd.tuning.rate import Sweep, sweep, trial
from retrograd.tuning.trial import without_test
from retrograd.update.optimizer import optimizers

COMPARED: dict[str, Any] = {
    "SGD": "sgd",
    "momentum": {"sgd": {"momentum": 0.9}},
    "RMSprop": "rmsprop",
    "Adagrad": "adagrad",
    "Adam": "adam",
    "AdamW": "adamw",
}
SWEPT: int = 16
SEEDS: int = 3
HALF = 0.5  # share of the decrease from the first loss to the lowest loss of all optimizers


class Compared(NamedTuple):
    """One optimizer at its best rate: lowest loss per seed, the epoch at which it was halfway, and loss by epoch."""

    name: str
    rate: float
    losses: tuple[float, ...]
    half_way: int | None
    curve: tuple[float, ...]
    sweep: Sweep

    @property
    def mean(self) -> float:
        """The mean of the lowest losses."""
        return fmean(self.losses)

    @property
    def spread(self) -> float:
        """The standard deviation of the lowest losses over the seeds."""
        return stdev(self.losses) if len(self.losses) > 1 and math.isfinite(self.mean) else 0.0


class Comparison(NamedTuple):
    """The optimizers, best first, and a conclusion."""

    rows: tuple[Compared, ...]
    sentence: str

    def plain(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        names = ("name", "rate", "losses", "half_way", "curve")
        rows = [
            {name: getattr(row, name) for name in names} | {"swept": row.sweep.plain()["tried"]} for row in self.rows
        ]
        return {"sentence": self.sentence, "optimizers": rows}


def compare(
    config: RunConfig,
    dataset: Dataset,
    names: Sequence[str] = tuple(COMPARED),
    seeds: int = SEEDS,
    progress: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Train the same network from the same weights with each optimizer, at its own best rate, for several seeds."""
    rows = []
    for name in names:
        progress(name)
        optimizer = parse_registered(optimizers, COMPARED[name], "optimizer")
        variant = dataclasses.replace(config, optimizer=optimizer, search=None)
        result = sweep(variant, dataset, SWEPT)
        runs = [result.history]
        for seed in range(1, seeds):
            training = dataclasses.replace(config.training, seed=(config.training.seed + seed) % SEED_LIMIT)
            other = dataclasses.replace(with_rate(variant, result.best), training=training)
            runs.append(trial(other, without_test(dataset), result.best, config.training.epochs)[0])
        losses = tuple(min((watched(epoch) for epoch in run), default=math.inf) for run in runs)
        curve = tuple(watched(epoch) for epoch in result.history)
        rows.append(Compared(name, result.best, losses, None, curve, result))
    rows.sort(key=lambda row: row.mean)
    low = min(min(row.curve, default=math.inf) for row in rows)
    rows = [row._replace(half_way=half_way(row.curve, low)) for row in rows]
    return Comparison(tuple(rows), sentence(rows))


def half_way(curve: Sequence[float], low: float) -> int | None:
    """Return the first epoch at which a curve is halfway down from its first value to the lowest of all curves."""
    if not curve:
        return None
    goal = low + HALF * (curve[0] - low)
    return next((epoch for epoch, loss in enumerate(curve, 1) if loss <= goal), None)


def sentence(rows: Sequence[Compared]) -> str:
    """Return the conclusion: the best optimizer, and those that are as good within the spread over seeds."""
    best, *others = rows
    noise = {row.name: 2 * math.sqrt((best.spread**2 + row.spread**2) / max(len(row.losses), 1)) for row in others}
    as_good = [row.name for row in others if row.mean - best.mean <= noise[row.name]]
    winner = f"{best.name} at {number(best.rate, 6)} has the lowest loss, {number(best.mean, 4)}"
    return (
        f"{winner}; equally good within the spread over seeds: {', '.join(as_good)}"
        if as_good
        else f"{winner}, a difference larger than the spread over seeds"
    )
