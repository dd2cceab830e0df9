"""How much a layer without weights loses of what the answers depend on: models are fitted before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.graph import Graph
from retrograd.diagnosis.judgement.levels import Rows, out_of_fold, references
from retrograd.diagnosis.judgement.score import r_squared
from retrograd.diagnosis.start import Start
from retrograd.network.scope import Node

LOST, KNOWN = threshold("S22", "lost"), threshold("S22", "known")
MOST_FEATURES = 500  # maximum number of values per row that the models read
MODELS = ("linear", "forest")


class Loss(NamedTuple):
    """A node, the scores of models on its inputs and on its outputs, and whether no weights precede it."""

    node: Node
    before: float
    after: float
    is_first: bool


def lossy(graph: Graph, start: Start, y: np.ndarray, classes: bool) -> Loss | None:
    """Return the layer that loses most; None if no layer loses more than the threshold.

    y: the answers of the probe's rows, class numbers [rows] or quantities [rows, ...]
    """
    initial, variables = start.pass_, start.variables
    if initial is None or variables is None:
        return None
    answers = np.asarray(y).reshape(len(y)).astype(int) if classes else np.asarray(y, np.float64).reshape(len(y), -1)
    constant = float(np.bincount(answers).max() / len(answers)) if classes else 0.0

    @cache
    def score(name: str) -> float:
        return _best_score(np.asarray(initial.outputs[name]), answers, classes)

    trained: set[str] = set()  # nodes with weights, or after weights
    losses = []
    for node in graph.nodes:
        has_weights = any(variables.params.get(node.name, {}))
        if has_weights or trained & {name.partition(".")[0] for name in node.inputs}:
            trained.add(node.name)
        if has_weights or len(node.inputs) != 1 or not _drops(initial.outputs, node):
            continue
        if score(node.inputs[0]) - constant >= KNOWN:
            losses.append(Loss(node, score(node.inputs[0]), score(node.name), node.name not in trained))
    worst = max(losses, key=lambda loss: loss.before - loss.after, default=None)
    return worst if worst is not None and worst.before - worst.after > LOST * (worst.before - constant) else None


def _drops(outputs: Mapping[str, Any], node: Node) -> bool:
    """Return whether a node does more than rearrange its input; activations are judged by other rules."""
    if node.inputs[0] not in outputs or node.name not in outputs or hasattr(node.layer, "initializer"):
        return False
    before, after = np.asarray(outputs[node.inputs[0]]), np.asarray(outputs[node.name])
    if before.dtype.kind != "f" or after.dtype.kind != "f":
        return False
    return after.size < before.size or not np.allclose(np.sort(after, axis=None), np.sort(before, axis=None))


def _best_score(values: np.ndarray, answers: np.ndarray, classes: bool) -> float:
    """Return the best out-of-fold score of models fitted on these values; for quantities, at least 0."""
    x = np.nan_to_num(np.asarray(values, np.float64).reshape(len(values), -1))
    if x.shape[1] > MOST_FEATURES:
        x = x[:, np.random.default_rng(0).permutation(x.shape[1])[:MOST_FEATURES]]
    rows = Rows(x, answers, np.arange(len(x)))
    models = references(classes, len(x), 0)
    guesses = [out_of_fold(models[name], rows, classes).answers for name in MODELS]
    if classes:
        return max(float(np.mean(guess == answers)) for guess in guesses)
    return max(0.0, *(r_squared(guess, answers) for guess in guesses))
