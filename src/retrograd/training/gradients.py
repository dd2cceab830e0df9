"""Checking the gradients of a prepared run on a few rows of its data."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from retrograd.base.errors import GradientError, Problem
from retrograd.checking.example import moved
from retrograd.checking.network import check_network
from retrograd.checking.point import Cost, Point
from retrograd.checking.report import CheckReport
from retrograd.network.network import Variables
from retrograd.training.prepare import Prepared
from retrograd.update.penalties import penalise

ROWS = 8  # training rows; two are enough to expose a mistake in a sum over the batch
FEWEST_ROWS = 2
EXPENSIVE = 5e7  # operations of one forward pass of ROWS rows; beyond this, FEWEST_ROWS are used
OFF = 0.05  # untrained parameters move by this share, so that a scale of 1 or a bias of 0 hides no term
SHAKE = 1e-2  # inputs move by this share of their spread


def check_prepared(
    prepared: Prepared, variables: Variables | None = None, *, entries: int | None = None, seed: int = 0
) -> CheckReport:
    """Check a run before it starts: at slightly perturbed initial parameters, or at the given trained ones."""
    rng = np.random.default_rng(seed)
    key = jax.random.key(prepared.config.training.seed)
    if variables is None:
        variables = moved(prepared.first(), rng, OFF)
    penalties = prepared.config.penalties
    extra = (lambda params: penalise(penalties, params)) if penalties else None
    batch = shaken(prepared, _batch(prepared, variables, key), rng)
    result = check_network(prepared.network, prepared.objectives, variables, batch, key, name=prepared.config.name,
                          extra=extra, entries=entries, seed=seed)  # fmt: skip
    return CheckReport((result,))


def shaken(prepared: Prepared, batch: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Return the batch with real inputs perturbed: equal ones, as in an image's background, are kinks of a maximum."""
    targets = {reference for objective in prepared.objectives for reference in objective.inputs[1:]}
    real = [name for name in prepared.network.columns if np.issubdtype(batch[name].dtype, np.floating)]
    moved = {
        name: batch[name] + (SHAKE * max(np.std(batch[name]), SHAKE) * rng.normal(size=batch[name].shape))
        for name in real
        if name not in targets
    }
    return {**batch, **{name: column.astype(batch[name].dtype) for name, column in moved.items()}}


def refuse_wrong(report: CheckReport) -> None:
    """Raise GradientError, naming the layers, if a gradient is wrong."""
    if report.verdict != "wrong":
        return
    faults = [fault for check in report.checks for fault in check.faults]
    cure = "`retrograd check` shows more; correct the layer's backward"
    problems = [Problem("", str(fault), cure) for fault in faults]
    problems += [Problem("", clause, cure) for clause in report.broken]
    wrong = [tensor for check in report.checks for tensor in check.tensors if tensor.verdict == "wrong"]
    unnamed = [Problem(tensor.path, f"its gradient is off by {tensor.largest:.1e}", cure) for tensor in wrong]
    raise GradientError(problems or unnamed)


def _batch(prepared: Prepared, variables: Variables, key: jax.Array) -> dict[str, Any]:
    """Return the first training rows: enough to test every sum, few where a pass is expensive."""
    columns = prepared.dataset.train
    rows = max(min(ROWS, prepared.batch_size), min(FEWEST_ROWS, prepared.dataset.rows["train"]))
    batch = {name: column[:rows] for name, column in columns.items()}
    with jax.enable_x64(True):
        cost = Cost.of(Point(prepared.network, prepared.objectives, variables, batch, key))
    return batch if cost.operations < EXPENSIVE else {name: c[:FEWEST_ROWS] for name, c in batch.items()}
