"""Whether a file computes what the run's `predict` computes; if not, which node is the first that differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from retrograd.base.errors import ModelFileError
from retrograd.data.windows.levels import at_level
from retrograd.network.layer import Context
from retrograd.network.network import take
from retrograd.network.precision import computing_in, in_precision
from retrograd.propagation.backprop import forward
from retrograd.ship.onnx.answers import LABEL, PROBABILITIES, wanted_answers
from retrograd.ship.onnx.layer import distance
from retrograd.ship.onnx.session import run, session
from retrograd.ship.onnx.written import Written, inner_values, other_outputs
from retrograd.ship.samples import BATCHES
from retrograd.ship.ways import Case
from retrograd.training.use.evaluate import gives_logits
from retrograd.training.use.predict import Model

ALLOWED = 1e-5  # of the largest number, or of 1: float32 sums in another order
LAST_BIT = 2e-7  # of a float32


def verify(model: Model, written: Written, file: Any, cases: list[Case]) -> float:
    """Return the largest difference between a file and `predict`, over the cases at batches of 1, 3 and 64.

    Raises:  ModelFileError naming the first node that differs
    """
    shipped = session(file)
    inner = session(written.open({name: value for name, value in inner_values(written).items()
                                  if name.startswith("column ")}))  # fmt: skip
    worst = 0.0
    for case in cases:
        for fed, columns in map(case.first, BATCHES):
            _check_columns(run(inner, fed), columns, case)
            found = run(shipped, fed)
            for name, wanted in wanted_of(model, columns).items():
                apart = _apart(name, found, wanted)
                if not apart <= ALLOWED:
                    raise _differing(model, written, fed, columns, case, name, apart)
                worst = max(worst, apart)
    return worst


def wanted_of(model: Model, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what a file should give for columns, by the names of its outputs."""
    evaluator, target = model.evaluator, model.preprocessing.target
    output = evaluator.outputs(model.variables, columns)
    decoded = None
    if target is not None and target.kind in ("labels", "multilabel", "quantities", "masks"):
        decoded = model.preprocessing.decode(output, from_logits=gives_logits(evaluator.main.loss))
        if decoded.values is not None:
            decoded = decoded._replace(values=at_level(decoded.values, columns))
    wanted = wanted_answers(target, decoded, output)
    others = other_outputs(model)
    outputs = node_outputs(model, columns) if others else {}
    return wanted | {f"output_{name}": np.asarray(take(outputs, name)) for name in others}


def node_outputs(model: Model, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return what every node of a single network gives."""
    precision = model.config.training.precision
    with computing_in(precision):
        needed = in_precision({name: columns[name] for name in model.network.columns}, precision)
        outputs: dict[str, Any] = jax.device_get(_all_outputs(model)(*model.variables, needed))
    return outputs


def _all_outputs(model: Model) -> Any:
    return jax.jit(lambda params, state, columns: forward(model.network, params, state, Context(), columns).outputs)


def _check_columns(found: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray], case: Case) -> None:
    """Raise unless the network reads what it reads in `predict`, to the last bit."""
    for name, wanted in columns.items():
        if f"column {name}" not in found:
            continue
        got = found[f"column {name}"]
        same = np.asarray(wanted).astype(got.dtype)
        if got.shape == same.shape and _alike(got, same):
            continue
        where = "in its shape"
        if got.shape == same.shape:
            row, *place = (int(i) for i in np.argwhere(got != same)[0])
            where = f"in row {row + 1}, place {place}: {got[row, *place]}, not {same[row, *place]}"
        message = f"the file's column {name} is not the run's for {case.what}: {where}"
        raise ModelFileError(message, where="export", cure="nothing was written; --from-x leaves preprocessing out")


def _alike(got: np.ndarray, wanted: np.ndarray) -> bool:
    """Tell whether arrays are the same; of logarithms and sines libraries may differ in the last bit."""
    if got.dtype.kind != "f":
        return bool((got == wanted).all())
    return np.array_equal(got, wanted, equal_nan=True) or np.allclose(got, wanted, rtol=LAST_BIT, atol=LAST_BIT)


def _apart(name: str, found: Mapping[str, np.ndarray], wanted: np.ndarray) -> float:
    """Return how far an output lies from what it should be; a label may differ where two are as likely."""
    got = found[name]
    if name == LABEL and got.shape == wanted.shape:
        wrong = np.array([str(a) != str(b) for a, b in zip(got.ravel(), wanted.ravel(), strict=True)])
        if not wrong.any():
            return 0.0
        shares = found.get(PROBABILITIES)
        if shares is None:  # pixels: as many as a tie in a hundred thousand
            return 0.0 if wrong.mean() <= ALLOWED else float(wrong.mean())
        if got.ndim == 2:
            return float(np.abs(shares.ravel()[wrong] - 0.5).max())
        ordered = np.sort(shares[wrong], -1)
        return float((ordered[:, -1] - ordered[:, -2]).max())
    return distance(got, np.asarray(wanted))


def _differing(model: Model, written: Written, fed: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray],
               case: Case, name: str, apart: float) -> ModelFileError:  # fmt: skip
    """Return the error that names the first node whose output is not the run's."""
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
