"""Layers without weights that drop what the answers depend on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.judgement.levels import Rows, out_of_fold, references
from retrograd.diagnosis.judgement.score import r_squared
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.network.scope import Node

LOST, KNOWN = threshold("S22", "lost"), threshold("S22", "known")
MOST_FEATURES = 500  # of a layer's output that the models read
MODELS = ("linear", "forest")


class Loss(NamedTuple):
    """A node, what models reach with its inputs and with its outputs, and whether it reads the data themselves."""

    node: Node
    before: float
    after: float
    is_first: bool


@symptoms.register(
    "lost_on_the_way",
    examples=Examples(
        sick=setup("halves", network=[{"take": [2, 3]}, *HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", network=[{"take": [0, 1]}, *HEAD, {"dense": 1}]),
    ),
)
class LostOnTheWay(Symptom):
    """What a layer drops, no later layer brings back: a place that is averaged away, a length that is normalised, steps
    or features that are not taken. Models without a network are fitted on what goes in and on what comes out.

        lost = (score with its inputs - score with its outputs) / (score with its inputs - score of a constant)
    """

    code = "S22"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the layer without weights that loses most of what predicts the answers."""
        loss = lossy(program)
        if loss is not None:
            yield self.finding(
                program.graph.line(loss.node),
                "with what goes into it, models without a network score {before:.3g}; with what comes out, {after:.3g}",
                Evidence("score with its outputs", loss.after, loss.before),
                values={"before": loss.before, "after": loss.after},
                remedies=("without_lossy_layer",),
                confidence=0.8 if loss.is_first else 0.4,  # weights may learn to bring what a later layer keeps
            )


def lossy(program: Program) -> Loss | None:
    """Return the layer that loses most, if one loses more than the share that counts."""
    look, variables, y = program.start.pass_, program.start.variables, program.probe.rows.get("y")
    if look is None or variables is None or y is None or program.data.y is None or program.dataset.task == "multilabel":
        return None
    answers = np.asarray(y).reshape(len(y)).astype(int) if program.data.classifies else np.asarray(y, np.float64)
    answers = answers if program.data.classifies else answers.reshape(len(answers), -1)
    trained: set[str] = set()  # nodes after weights
    losses = []
    for node in program.graph.nodes:
        if any(variables.params.get(node.name, {})) or trained & {name.partition(".")[0] for name in node.inputs}:
            trained.add(node.name)
        if any(variables.params.get(node.name, {})) or len(node.inputs) != 1:
            continue
        inputs, outputs = look.outputs.get(node.inputs[0]), look.outputs.get(node.name)
        if inputs is None or outputs is None or not _drops(np.asarray(inputs), np.asarray(outputs), node):
            continue
        before, constant = _reached(np.asarray(inputs), answers, program.data.classifies)
        if before - constant < KNOWN:
            continue
        after, _ = _reached(np.asarray(outputs), answers, program.data.classifies)
        losses.append(Loss(node, before, after, node.name not in trained))
    worst = max(losses, key=lambda loss: loss.before - loss.after, default=None)
    constant = 0.0 if worst is None or not program.data.classifies else float(np.bincount(answers).max() / len(answers))
    if worst is None or worst.before - worst.after <= LOST * (worst.before - constant):
        return None
    return worst


def _drops(inputs: np.ndarray, outputs: np.ndarray, node: Node) -> bool:
    """Return whether a node changes more than the arrangement of its input; activations are judged by other rules."""
    if inputs.dtype.kind != "f" or outputs.dtype.kind != "f" or hasattr(node.layer, "initializer"):
        return False
    return outputs.size < inputs.size or not np.allclose(np.sort(outputs, axis=None), np.sort(inputs, axis=None))


def _reached(values: np.ndarray, answers: np.ndarray, classes: bool) -> tuple[float, float]:
    """Return the best score out of fold of models that read some values, and that of a constant."""
    x = np.nan_to_num(np.asarray(values, np.float64).reshape(len(values), -1))
    if x.shape[1] > MOST_FEATURES:
        x = x[:, np.random.default_rng(0).permutation(x.shape[1])[:MOST_FEATURES]]
    rows = Rows(x, answers, np.arange(len(x)))
    models = references(classes, len(x), 0)
    guesses = [out_of_fold(models[name], rows, classes).answers for name in MODELS]
    if classes:
        return max(float(np.mean(guess == answers)) for guess in guesses), float(np.bincount(answers).max() / len(x))
    return max(0.0, *(r_squared(guess, answers) for guess in guesses)), 0.0
