"""The answers of a network with two inputs over the input plane, at several epochs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from retrograd.data.tables.columns import NumberColumn
from retrograd.data.tables.inputs import ArrayInputs, TableInputs
from retrograd.data.tables.scaling import Scaling
from retrograd.data.tables.target import Labels, Quantities
from retrograd.network.network import Variables
from retrograd.record.plane import Plane, Point, Sample
from retrograd.training.loop.loop import Fitted
from retrograd.training.loop.saved import named
from retrograd.training.prepare import Prepared
from retrograd.training.use.confusion import class_name
from retrograd.training.use.evaluate import Evaluator
from retrograd.training.use.link import link_of
from retrograd.training.use.residuals import short
from retrograd.update.step import SMALL_STEP, Stepper, TrainState

SIDE = 48  # cells
MARGIN = 0.08  # of the training rows' range, on each side
GROWTH = 1.25  # ratio of the steps at which weights are kept: about 10 per decade
PLANE = "plane"  # first segment of the arrays' names in a checkpoint
MOST_SAMPLES, MOST_POINTS, MOST_CLASSES = 8, 200, 10


class PlaneSampler:
    """Keeps weights at ends of epochs evenly spaced on a logarithmic scale, and computes their answers on the plane.

    Used only if answering for all cells costs less than a small training step: `may_sample`.
    """

    def __init__(self, prepared: Prepared, evaluator: Evaluator, first: Variables) -> None:
        self.prepared, self.evaluator = prepared, evaluator
        self.kept = {0: _copied(first)}  # by step

    def __call__(self, stepper: Stepper, train: TrainState, batch: Callable[[], Mapping[str, Any]]) -> None:
        """Keep the weights at the end of an epoch if they are due."""
        step = int(train.step)
        if step >= GROWTH * max(self.kept):
            self.kept[step] = _copied(Variables(train.params, train.state))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the kept weights by name, for a checkpoint; the initial ones are left out."""
        later = ((step, variables) for step, variables in self.kept.items() if step)
        return {name: leaf for step, variables in later for name, leaf in named(f"{PLANE}/{step}", variables)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore the kept weights from a checkpoint."""
        form = self.kept[0]
        for step in sorted({int(name.split("/")[1]) for name in arrays if name.startswith(f"{PLANE}/")}):
            leaves = [arrays[name] for name, _ in named(f"{PLANE}/{step}", form)]
            self.kept[step] = jax.tree.unflatten(jax.tree.structure(form), leaves)

    def plane(self, fitted: Fitted) -> Plane | None:
        """Return the answers before training, at some epochs, and with the best weights."""
        epochs = {0: 0} | {epoch.step: epoch.epoch for epoch in fitted.history}
        weights = {epochs[step]: variables for step, variables in self.kept.items() if step in epochs}
        best = fitted.best.epoch if fitted.best else None
        if best is not None:
            weights[best] = fitted.variables
        return self.drawn({epoch: weights[epoch] for epoch in spread(sorted(weights), best)}, best)

    def drawn(
        self, weights: Mapping[int, Variables], best: int | None, ends: tuple[float, float] | None = None
    ) -> Plane | None:
        """Return the answers of weights by epoch; a quantity is shaded between `ends`, by default its extremes.

        None if the output does not predict the target.
        """
        low, high, x = self.grid()
        outputs = {epoch: self.evaluator.outputs(variables, {"x": x}) for epoch, variables in weights.items()}
        if self.evaluator.metric_names(next(iter(outputs.values())).shape) == ("loss",):
            return None
        answers = {epoch: self._answers(output) for epoch, output in outputs.items()}
        finite = [v[np.isfinite(v)] for v, _ in answers.values()]
        values = (float(min(v.min(initial=np.inf) for v in finite)), float(max(v.max(initial=-np.inf) for v in finite)))
        dataset, target = self.prepared.dataset, self.prepared.dataset.preprocessing.target
        is_labels = isinstance(target, Labels)
        if ends is None or is_labels:
            ends = (0.0, 1.0) if is_labels or not all(map(np.isfinite, values)) else values
        names = dataset.preprocessing.features
        return Plane(
            columns=(class_name(names[0]), class_name(names[1])),
            low=low,
            high=high,
            side=SIDE,
            target=class_name(target.names[0]) if target else "",
            classes=tuple(map(class_name, dataset.classes or ())) if is_labels else (),
            values=ends,
            rows=dataset.rows["train"],
            points=self.points(),
            samples=tuple(_sample(epoch, *answers[epoch], ends) for epoch in weights),
            best=best,
        )

    def grid(self) -> tuple[tuple[float, float], tuple[float, float], np.ndarray]:
        """Return the bounds of the plane in the columns' units, and the network's input at the centre of each cell.

        Shapes:  x [side * side, 2], the row of the largest second input first
        """
        rows = self._scaling().undo(self.prepared.dataset.train["x"])
        low, high = rows.min(0), rows.max(0)
        margin = np.where(high > low, MARGIN * (high - low), 1.0)
        low, high = low - margin, high + margin
        middles = [np.linspace(low[i], high[i], 2 * SIDE + 1)[1::2] for i in range(2)]
        across, up = np.meshgrid(middles[0], middles[1][::-1])
        x = self._scaling().apply(np.column_stack([across.ravel(), up.ravel()]))
        ends = [(float(end[0]), float(end[1])) for end in (low, high)]
        return ends[0], ends[1], x.astype(self.prepared.dataset.train["x"].dtype)

    def _scaling(self) -> Scaling:
        scaling = scaling_of(self.prepared)
        assert scaling is not None
        return scaling

    def _answers(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a value for each cell, and with more than two classes the most likely one."""
        with np.errstate(all="ignore"):
            decoded = self.prepared.dataset.preprocessing.decode(outputs, link=link_of(self.evaluator.main.loss))
        if decoded.probabilities is None:
            return np.asarray(decoded.values)[:, 0], None
        share = decoded.probabilities
        return (share[:, 1], None) if share.shape[1] == 2 else (share.max(1), share.argmax(1))

    def points(self) -> tuple[Point, ...]:
        """Return an even selection of the training rows."""
        dataset = self.prepared.dataset
        chosen = np.unique(np.linspace(0, dataset.rows["train"] - 1, MOST_POINTS).astype(int))
        rows = self._scaling().undo(dataset.train["x"][chosen])
        truth = np.asarray(dataset.train["y"][chosen], np.float64).reshape(len(chosen), -1)
        target = dataset.preprocessing.target
        truth = target.scaling.undo(truth) if isinstance(target, Quantities) else truth
        return tuple(Point(*(short(v) for v in (*row, y[0]))) for row, y in zip(rows, truth, strict=True))


def may_sample(prepared: Prepared, first: Variables) -> bool:
    """Return whether a network has two numeric inputs and one answer, and is so small that evaluation costs nothing.

    `first` are its weights, or their specs.
    """
    target = prepared.dataset.preprocessing.target
    if scaling_of(prepared) is None or set(prepared.network.columns) - {"x"}:
        return False
    if not (isinstance(target, Labels) and len(target.classes) <= MOST_CLASSES) and not (
        isinstance(target, Quantities) and target.units == 1
    ):
        return False
    parameters = sum(leaf.size for leaf in jax.tree.leaves(first.params))
    return prepared.evaluator().main.inputs[1:2] == ("y",) and 2 * parameters * SIDE**2 <= SMALL_STEP


def scaling_of(prepared: Prepared) -> Scaling | None:
    """Return the scaling of x [rows, 2] if its features are two numbers of the user's data."""
    inputs, x = prepared.dataset.preprocessing.inputs, prepared.dataset.train.get("x")
    if x is None or getattr(x, "shape", ())[1:] != (2,):
        return None
    if isinstance(inputs, ArrayInputs):
        return inputs.scaling
    if not isinstance(inputs, TableInputs) or len(inputs.columns) != 2:
        return None
    scalings = [c.scaling for c in inputs.columns if isinstance(c, NumberColumn) and not c.flag]
    if len(scalings) != 2:
        return None
    offset, scale = (tuple(getattr(scaling, part)[0] for scaling in scalings) for part in ("offset", "scale"))
    return Scaling(offset, scale, scalings[0].clip)


def spread(epochs: list[int], best: int | None) -> list[int]:
    """Return the first, last and best epoch, and others spaced evenly between them on a logarithmic scale."""
    selected = {epochs[0], epochs[-1], *([] if best is None else [best])}
    places = np.log1p(epochs)
    while len(selected) < min(MOST_SAMPLES, len(epochs)):  # add the epoch farthest from those selected
        distances = np.abs(places[:, None] - np.log1p(sorted(selected))[None]).min(1)
        selected.add(epochs[int(distances.argmax())])
    return sorted(selected)


def _sample(epoch: int, values: np.ndarray, winners: np.ndarray | None, ends: tuple[float, float]) -> Sample:
    share = np.nan_to_num((values - ends[0]) / ((ends[1] - ends[0]) or 1.0), nan=0.0)
    return Sample(epoch, _text(np.round(255 * share.clip(0, 1))), "" if winners is None else _text(winners))


def _text(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.astype(np.uint8).tobytes()).decode()


def _copied(variables: Variables) -> Variables:
    """Return a copy of the weights: the next step reuses the memory of the arrays."""
    return Variables(*jax.tree.map(lambda leaf: np.array(leaf), tuple(variables)))
