"""Loss and metrics of weights on rows; metrics are scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from retrograd.backprop.backprop import Objective, compare, forward, total
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.target import Decoded, Labels, Quantities, Target
from retrograd.network.layer import Context
from retrograd.network.losses.loss import Loss
from retrograd.network.network import Network, Variables, take
from retrograd.network.precision import Precision, computing_in, in_precision
from retrograd.update.step import count

ROWS_AT_ONCE = 4096  # bounds the memory of a forward pass over a whole part


class Evaluator:
    """Measures a network on columns of rows, out of training, a bounded number of rows at a time.

    In float64 if that is the precision, else in float32: what trains in bfloat16 has float32 weights.
    """

    def __init__(
        self,
        network: Network,
        objectives: Sequence[Objective],
        preprocessing: Preprocessing | None,
        precision: Precision = "float32",
    ) -> None:
        self.network, self.objectives, self.preprocessing = network, tuple(objectives), preprocessing
        self.precision: Precision = precision
        self._measure = jax.jit(self._losses)
        self._forward = jax.jit(self._output)

    def outputs(self, variables: Variables, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the main output for every row."""
        needed = {name: columns[name] for name in self.network.columns}
        with computing_in(self.precision):
            given = (in_precision(chunk, self.precision) for chunk in chunks(needed))
            return np.concatenate([np.asarray(self._forward(*variables, chunk)) for chunk in given])

    def loss(self, variables: Variables, columns: Mapping[str, np.ndarray]) -> tuple[float, np.ndarray]:
        """Return the loss over all rows (each chunk weighed by its count) and the main output."""
        sums: dict[str, float] = {}
        counts: dict[str, float] = {}
        outputs = []
        for chunk in chunks(columns):
            with computing_in(self.precision):
                measured = self._measure(*variables, in_precision(chunk, self.precision))
                losses, counted, output = jax.device_get(measured)
            for name, value in losses.items():
                weight = float(counted.get(name, 1.0))
                sums[name] = sums.get(name, 0.0) + float(value) * weight
                counts[name] = counts.get(name, 0.0) + weight if name in counted else 1.0
            outputs.append(output)
        means = {name: np.float64(value / counts[name] if counts[name] else 0.0) for name, value in sums.items()}
        return float(total(self.objectives, means)), np.concatenate(outputs)  # type: ignore[arg-type]

    def scores(
        self, variables: Variables, columns: Mapping[str, np.ndarray], *, full: bool = False
    ) -> dict[str, float]:
        """Return loss and metrics: one metric that is quick, or with `full` all of the task's."""
        loss, output = self.loss(variables, columns)
        return {"loss": loss, **self.metrics(output, columns, full=full)}

    def metrics(self, output: np.ndarray, columns: Mapping[str, np.ndarray], *, full: bool) -> dict[str, float]:
        """Return the metrics of outputs against the rows' targets, in the units of the user's data."""
        target = self._target_of(output.shape)
        if target is None:
            return {}
        decoded = target.decode(output, from_logits=gives_logits(self.main.loss))
        if isinstance(target, Quantities):
            return regression_metrics(target.scaling.undo(columns["y"]), decoded.values, full, target.names)
        truth = np.asarray(columns["y"]).reshape(-1).astype(int)
        return class_metrics(truth, decoded, target, full)

    def metric_names(self, shape: Sequence[int]) -> tuple[str, ...]:
        """Return what is measured after an epoch where outputs have this shape."""
        target = self._target_of(shape)
        if target is None:
            return ("loss",)
        return ("loss", "r2" if isinstance(target, Quantities) else "accuracy")

    def _target_of(self, shape: Sequence[int]) -> Target | None:
        """Return the target that outputs of this shape predict, if they do."""
        target = self.preprocessing.target if self.preprocessing else None
        fits = target is not None and self.main.inputs[1:2] == ("y",) and tuple(shape[1:]) == (target.units,)
        return target if fits else None

    @property
    def main(self) -> Objective:
        """The objective on the network's last output, else the first."""
        own = [objective for objective in self.objectives if objective.inputs[0] == self.network.output]
        return (own or list(self.objectives))[0]

    def _losses(self, params: Any, state: Any, columns: Mapping[str, Array]) -> Any:
        record = forward(self.network, params, state, Context(), columns)
        losses, _ = compare(self.objectives, record.outputs, Context())
        return losses, count(self.network, self.objectives, columns), take(record.outputs, self.main.inputs[0])

    def _output(self, params: Any, state: Any, columns: Mapping[str, Array]) -> Any:
        return take(forward(self.network, params, state, Context(), columns).outputs, self.main.inputs[0])


def chunks(columns: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Yield the rows in portions."""
    rows = len(next(iter(columns.values())))
    for i in range(0, max(rows, 1), ROWS_AT_ONCE):
        yield {name: column[i : i + ROWS_AT_ONCE] for name, column in columns.items()}


def gives_logits(loss: Loss | Any) -> bool:
    """Return whether a network trained with this loss puts out logits (a hinge's scores count as such)."""
    return bool(getattr(loss, "from_logits", loss.kind == "hinge"))


def regression_metrics(
    truth: np.ndarray, found: np.ndarray | None, full: bool, names: Sequence[str] = ()
) -> dict[str, float]:
    """Return R², and with `full` the mean absolute and root mean squared error in the target's unit.

    Several targets are averaged; with `full` each one's own are there as well, under its name.
    """
    if found is None or len(truth) < 2 or not np.isfinite(found).all():
        return {}
    spread = ((truth - truth.mean(0)) ** 2).sum(0)
    unexplained = ((truth - found) ** 2).sum(0)
    scores = {"r2": float(np.mean(1 - unexplained / np.where(spread > 0, spread, 1)))}
    if not full:
        return scores
    scores |= _full_regression(truth, found)
    for i, name in enumerate(names if len(names) > 1 else ()):
        own = regression_metrics(truth[:, i : i + 1], found[:, i : i + 1], full)
        scores |= {f"{metric} of {name}": value for metric, value in own.items()}
    return scores


def class_metrics(truth: np.ndarray, decoded: Decoded, target: Labels, full: bool) -> dict[str, float]:
    """Return accuracy, and with `full` balanced accuracy, macro F1, log loss, and for two classes ROC AUC."""
    probabilities = np.asarray(decoded.probabilities)
    if not np.isfinite(probabilities).all():
        return {}
    scores = {"accuracy": float((probabilities.argmax(1) == truth).mean())}
    return {**scores, **_full_classes(truth, probabilities, target)} if full else scores


def _full_regression(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    from sklearn import metrics  # half a second to import: not before the first epoch

    return {
        "mean_absolute_error": float(metrics.mean_absolute_error(truth, found)),
        "root_mean_squared_error": float(metrics.root_mean_squared_error(truth, found)),
    }


def _full_classes(truth: np.ndarray, probabilities: np.ndarray, target: Labels) -> dict[str, float]:
    from sklearn import metrics

    found, present = probabilities.argmax(1), np.unique(truth)
    share = np.clip(probabilities, 1e-15, None)
    share = share / share.sum(1, keepdims=True)
    scores = {
        "balanced_accuracy": metrics.recall_score(truth, found, labels=present, average="macro", zero_division=0),
        "f1_macro": metrics.f1_score(truth, found, labels=present, average="macro", zero_division=0),
        "log_loss": metrics.log_loss(truth, share, labels=range(len(target.classes))),
    }
    if target.binary and len(present) == 2:
        scores["roc_auc"] = metrics.roc_auc_score(truth, probabilities[:, 1])
    return {name: float(value) for name, value in scores.items()}
