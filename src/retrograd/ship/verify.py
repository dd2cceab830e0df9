"""Checking whether a file computes what the run's `predict` computes; if not, which node differs first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from retrograd.base.errors import ModelFileError
from retrograd.data.images.masks import Masks
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.target import Quantities
from retrograd.data.windows.levels import LEVEL, SPREAD, at_level
from retrograd.network.layer import Context
from retrograd.network.network import take
from retrograd.network.precision import computing_in, in_precision
from retrograd.propagation.backprop import forward
from retrograd.ship.distance import distance
from retrograd.ship.onnx.answers import LABEL, OUTPUT, PROBABILITIES, VALUES, wanted_answers
from retrograd.ship.onnx.inputs.door import EXACT
from retrograd.ship.onnx.session import run, session
from retrograd.ship.onnx.written import Written, inner_values, other_outputs
from retrograd.ship.samples import BATCHES
from retrograd.ship.ways import Case
from retrograd.training.use.link import link_of
from retrograd.training.use.predict import Model

ALLOWED = 1e-5  # relative to the largest number or 1, because float32 sums differ in order
LAST_BIT = 2e-7  # of a float32 computed by a logarithm or a sine


def verify(model: Model, written: Written, file: Any, cases: list[Case]) -> float:
    """Return the largest difference between a file and `predict`, over the cases, in batches of 1, 3 and 64.

    Raises:  ModelFileError naming the first node that differs
    """
    shipped = session(file)
    inner = session(written.open({name: value for name, value in inner_values(written).items()
                                  if name.startswith("column ")}))  # fmt: skip
    worst = 0.0
    for case in cases:
        for fed, columns in map(case.first, BATCHES):
            _check_columns(run(inner, fed), columns, written.door.rounded, case)
            found = written.answered(run(shipped, fed))
            answers, scores, reach = wanted_of(model, columns)
            for name, wanted in answers.items():
                apart = answers_apart(model.preprocessing.target, name, found[name], wanted, scores, columns, reach)
                if not apart <= ALLOWED:
                    raise _differing(model, written, fed, columns, case, name, apart)
                worst = max(worst, apart)
    return worst


def wanted_of(model: Model, columns: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return the expected outputs for columns by name, the scores from which labels are chosen, and the largest logit
    of each row, or 1, which determines the rounding error of its probabilities.
    """
    evaluator, target = model.evaluator, model.preprocessing.target
    output = evaluator.outputs(model.variables, columns)
    decoded = None
    if target is not None and target.kind in ("labels", "multilabel", "quantities", "masks"):
        decoded = model.preprocessing.decode(output, link=link_of(evaluator.main.loss))
        if decoded.values is not None:
            decoded = decoded._replace(values=at_level(decoded.values, columns))
    wanted = wanted_answers(target, decoded, output)
    others = other_outputs(model)
    outputs = node_outputs(model, columns) if others else {}
    wanted |= {f"{OUTPUT}_{name}": np.asarray(take(outputs, name)) for name in others}
    reach = np.ones(len(output))
    if PROBABILITIES in wanted and link_of(evaluator.main.loss) == "logit":
        reach = np.maximum(1, np.abs(output).reshape(len(output), -1).max(1))
    return wanted, wanted.get(PROBABILITIES, output), reach


def node_outputs(model: Model, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the output of every node of a single network."""
    precision = model.config.training.precision
    with computing_in(precision):
        needed = in_precision({name: columns[name] for name in model.network.columns}, precision)
        outputs: dict[str, Any] = jax.device_get(_all_outputs(model)(*model.variables, needed))
    return outputs


def _all_outputs(model: Model) -> Any:
    return jax.jit(lambda params, state, columns: forward(model.network, params, state, Context(), columns).outputs)


def _check_columns(found: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray], rounded: np.ndarray,
                   case: Case) -> None:  # fmt: skip
    """Raise unless the network gets the same inputs as in `predict`, to the last bit."""
    for name, wanted in columns.items():
        if f"column {name}" not in found:
            continue
        got = found[f"column {name}"]
        same, where = np.asarray(wanted).astype(got.dtype), "in its shape"
        if got.shape == same.shape:
            alike = alike_numbers(got, same, rounded if name == "x" else EXACT)
            if alike.all():
                continue
            row, *place = (int(i) for i in np.argwhere(~alike)[0])
            where = f"in row {row + 1}, place {place}: {got[row, *place]}, not {same[row, *place]}"
        message = f"the file's column {name} differs from the run's for {case.what}: {where}"
        raise ModelFileError(message, where="export", cure="nothing was written; --from-x omits preprocessing")


def alike_numbers(got: np.ndarray, wanted: np.ndarray, rounded: np.ndarray) -> np.ndarray:
    """Return where numbers are the same; `rounded` marks the features whose last bit may differ."""
    same: np.ndarray = got == wanted
    if got.dtype.kind != "f":
        return same
    same |= np.isnan(got) & np.isnan(wanted)
    return same | (rounded & np.isclose(got, wanted, rtol=LAST_BIT, atol=LAST_BIT)) if rounded.any() else same


def answers_apart(target: Any, name: str, got: np.ndarray, wanted: np.ndarray, scores: np.ndarray,
                  columns: Mapping[str, np.ndarray], reach: np.ndarray) -> float:  # fmt: skip
    """Return how far an output of the file is from the expected one.

    Quantities are compared in the network's unit too: next to a target in the millions, errors of a small one would not
    show. Probabilities are compared relative to their `reach` [rows]: if logits of 1000 differ in their last bit,
    probabilities differ by 1e-4.
    """
    if got.shape != wanted.shape:
        return float("inf")
    if name == LABEL:
        return labels_apart(target, got, wanted, scores, reach)
    if name == PROBABILITIES:
        return distance(wanted + (got - wanted) / reach[:, None], wanted)
    if name != VALUES:
        return distance(got, wanted)
    return max(distance(got, wanted), distance(*(as_network_says(target, each, columns) for each in (got, wanted))))


def as_network_says(target: Quantities, values: np.ndarray, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return quantities in the network's unit: the inverse of what `answers` adds."""
    if LEVEL in columns:
        times = values.shape[1] // columns[LEVEL].shape[1]
        level, spread = (np.tile(np.asarray(columns[name], np.float64), times) for name in (LEVEL, SPREAD))
        values = (values - level) / np.where(spread > 0, spread, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return target.scaling.apply(values)


def labels_apart(target: Any, got: np.ndarray, wanted: np.ndarray, scores: np.ndarray, reach: np.ndarray) -> float:
    """Return by how much the run finds the file's labels less likely than its own: close to 0 only in ties."""
    wrong = np.array([str(a) != str(b) for a, b in zip(got.ravel(), wanted.ravel(), strict=True)]).reshape(got.shape)
    if not wrong.any():
        return 0.0
    scale = reach[np.nonzero(wrong)[0]]
    if isinstance(target, MultiLabels):
        return float((np.abs(scores[wrong] - 0.5) / scale).max())
    numbers = {str(label): i for i, label in enumerate(target.values if isinstance(target, Masks) else target.classes)}
    if not {*map(str, got[wrong])} <= {*numbers}:
        return float("inf")
    chosen, rows = np.array([numbers[str(label)] for label in got[wrong]]), scores[wrong]
    less = rows.max(-1) - np.take_along_axis(rows, chosen[:, None], -1)[:, 0]
    return float((less / scale).max() / max(1.0, float(np.abs(scores).max())))


def _differing(model: Model, written: Written, fed: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray],
               case: Case, name: str, apart: float) -> ModelFileError:  # fmt: skip
    """Return an error that names the first node whose output differs from the run's."""
    first, cure = "", "nothing was written"
    if model.members == 1:
        wanted = node_outputs(model, columns)
        found = run(written.open(inner_values(written)), fed)
        for node in model.network:
            y = wanted[node.name]
            parts = {f"node {node.name}.{part}": each for part, each in y.items()} if isinstance(y, Mapping) else {
                f"node {node.name}": y}  # fmt: skip
            worst = max(distance(found[part], np.asarray(each)) for part, each in parts.items())
            if not worst <= ALLOWED:
                first = f"; the first node that differs is {node.name} ({node.layer.kind}), by {worst:.1e}"
                break
    rows = len(next(iter(columns.values())))
    message = f"the file's {name} differs from predict by {apart:.1e} for {rows} of {case.what}{first}"
    return ModelFileError(message, where=model.config.name, cure=cure)
