"""Remarks on a traced step, each with the numbers that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from retrograd.base.sentence import entry_setting
from retrograd.network.layer import Activation
from retrograd.network.layers import ReLU
from retrograd.network.losses import BinaryCrossEntropy, CrossEntropy
from retrograd.network.losses.loss import CLIP
from retrograd.network.network import take
from retrograd.present.exact import Figures
from retrograd.tracing.numbers import NodeNumbers, StepNumbers
from retrograd.tracing.update_lines import ROUNDING
from retrograd.update.adam import Adam

Rule = Callable[[StepNumbers, Figures], Iterator[str]]
LOGITS = entry_setting("from_logits", "true")
AFFINE = (
    "dense", "identity", "flatten", "reshape", "add", "concat", "conv1d", "conv2d", "conv2d_transpose", "average_pool",
    "global_average_pool", "adaptive_average_pool", "upsample",
)  # fmt: skip


def remarks(step: StepNumbers, f: Figures) -> tuple[str, ...]:
    """Return the remarks on a step, the most important first."""
    return tuple(sentence for rule in RULES for sentence in rule(step, f))


def _given_delta(step: StepNumbers, f: Figures) -> Iterator[str]:
    """A delta from outside increases or decreases the loss."""
    if step.outside is None:
        return
    reference, delta = step.outside
    true = step.begun_by_loss.get(reference)
    if true is None:
        return
    along = float(np.sum(np.asarray(true, np.float64) * delta))
    before = np.asarray(take({node.path: node.output for node in step.nodes}, reference))
    after = np.asarray(take(step.outputs_after, reference))
    moved = f"the output moves from {_values(before, f)} to {_values(after, f)}"
    losses = f"the loss from {f.number(step.loss)} to {f.number(step.loss_after)}"
    if along < 0:
        target = _target(step, reference)
        is_difference = target is not None and target.shape == before.shape and np.allclose(delta, target - before)
        why = (
            f"{_values(delta, f)} is target minus output ({_values(target, f)} - {_values(before, f, True)}), and the "
            "derivative of a loss of that difference is its negative"
            if is_difference and target is not None
            else f"the derivative of the loss by the output is {_values(true, f)}; the given delta points the other way"
        )
        yield f"This step ascends: {why}. Descending subtracts the derivative; {moved}, {losses}."
    elif along > 0:
        words = f"the loss itself would start from {_values(true, f)}"
        yield f"The given delta {_values(delta, f)} descends; {words}; {moved}, {losses}."


def _symmetric(step: StepNumbers, f: Figures) -> Iterator[str]:
    """Units with equal weights on both sides stay equal."""
    for node in step.nodes:
        reader = _dense_reader(step, node)
        if node.layer.kind != "dense" or node.delta is None or reader is None:
            continue
        weights = [*_columns(node.params), *_columns(node.grads)]
        sides = [*weights, np.reshape(node.delta, (-1, node.delta.shape[-1])), reader.params["weight"].T]
        rows = np.concatenate([*sides, reader.grads["weight"].T]).T  # a row per unit
        if len({row.tobytes() for row in rows + 0.0}) == len(rows):  # + 0.0: -0.0 equals 0.0
            continue
        first, groups = np.unique(rows, axis=0, return_inverse=True)
        most = max((np.flatnonzero(groups == i) for i in range(len(first))), key=len)
        if len(most) > 1:
            units = ", ".join(map(str, most[:6])) + (", ..." if len(most) > 6 else "")
            values = f" ({_values(node.delta[0][most][:3], f)})" if len(node.delta) == 1 else ""
            yield (
                f"{node.path}: units {units} have the same weights and receive identical deltas{values}, so they get "
                "the same update and stay identical for ever: together they act as one unit. Random initial weights "
                "break the symmetry."
            )


def _columns(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return the numbers of each unit of a dense node, one column each."""
    return [np.atleast_2d(arrays[name]) for name in ("weight", "bias") if name in arrays]


def _dense_reader(step: StepNumbers, node: NodeNumbers) -> NodeNumbers | None:
    """Return the dense node that alone reads a node's output, through functions that treat all units alike."""
    readers = [candidate for candidate in step.nodes if node.path in candidate.node.inputs]
    if len(readers) != 1 or any(part.source in {o.name for o in step.objectives} for part in node.contributions):
        return None
    (reader,) = readers
    if reader.layer.kind == "dense":
        return reader if reader.grads else None
    alike = (isinstance(reader.layer, Activation) and not reader.params) or reader.layer.kind == "identity"
    return _dense_reader(step, reader) if alike else None


def _linear(step: StepNumbers, f: Figures) -> Iterator[str]:
    """Affine maps one after another are one affine map."""
    weighted = [node for node in step.nodes if node.params]
    if len(weighted) > 1 and all(node.layer.kind in AFFINE for node in step.nodes):
        yield (
            f"There is no nonlinearity: the {len(weighted)} layers together are one linear map of the input plus a "
            "constant. However it is trained, such a network cannot represent XOR, nor anything else that no straight "
            "line separates."
        )


def _clipped_probability(step: StepNumbers, f: Figures) -> Iterator[str]:
    """A probability outside the clip has gradient 0."""
    for objective in step.objectives:
        loss = objective.loss
        if not isinstance(loss, (BinaryCrossEntropy, CrossEntropy)) or loss.from_logits or step.outside:
            continue
        y = objective.inputs[0]
        p = y / y.sum(-1, keepdims=True) if isinstance(loss, CrossEntropy) and loss.normalize else y
        outside = (p <= CLIP) | (p >= 1 - CLIP)
        if outside.any():
            first = float(p[outside][0])
            cut = 1 - CLIP if first > 0.5 else CLIP
            state = "is not a probability" if not 0 <= first <= 1 else "is at the edge"
            yield (
                f"{objective.name}: the output {f.number(first)} is read as a probability; it {state} and is clipped "
                f"to {cut!r}. The clipped value does not change with the output, so the gradient is 0 and nothing "
                f"learns from it. Give the loss the logits ({LOGITS}), or put a sigmoid or softmax before it."
            )


def _unreached(step: StepNumbers, f: Figures) -> Iterator[str]:
    """No loss reaches a node."""
    names = [node.path for node in step.nodes if node.delta is None]
    if names:
        yield f"No loss reaches {', '.join(names[:6])}: no delta, and its parameters get no gradient."


def _stopped_deltas(step: StepNumbers, f: Figures) -> Iterator[str]:
    """An activation blocks all deltas."""
    for node in step.nodes:
        if node.slope is None or node.delta is None or not isinstance(node.layer, Activation):
            continue
        slope = np.abs(np.asarray(node.slope, np.float64)).reshape(-1, node.slope.shape[-1])
        dead = int((slope.max(0) == 0).sum())
        if dead:
            why = "every input is negative" if node.layer == ReLU() else "the slope is 0"
            yield f"{node.path}: {dead} of {slope.shape[1]} units pass back no delta: {why} in all rows."
        elif slope.max() < 0.01:
            yield f"{node.path}: saturated; deltas shrink by the slope, at most {f.number(slope.max())}."


def _derived(step: StepNumbers, f: Figures) -> Iterator[str]:
    """A backward pass is derived automatically, or deliberately differs from the derivative."""
    derived = [node.path for node in step.nodes if node.layer.derivation == "jax.vjp"]
    if derived:
        yield f"Derived by jax.vjp, not written out: the backward pass of {', '.join(derived[:6])}."
    for node in step.nodes:
        if node.layer.surrogate:
            yield f"{node.path}: backward is deliberately not the derivative of forward: {node.layer.surrogate}."


def _clipped(step: StepNumbers, f: Figures) -> Iterator[str]:
    """Clipping changed the gradient."""
    if not step.optimizer.clips:
        return
    trained = [p for p in step.parameters if not p.frozen]
    before, after = (float(np.sqrt(sum(np.sum(np.square(g, dtype=np.float64)) for g in grads)))
                     for grads in ([p.whole for p in trained], [p.stages["clip"] for p in trained]))  # fmt: skip
    if after < before * (1 - ROUNDING):
        yield f"Clipping reduced the gradient's norm from {f.number(before)} to {f.number(after)}."


def _first_of_adam(step: StepNumbers, f: Figures) -> Iterator[str]:
    """The first step of Adam does not depend on the gradient's size."""
    if step.updates_so_far == 1 and isinstance(step.optimizer, Adam):
        yield (
            "The first step of Adam: m^/sqrt(v^) = g/|g|, so every number with a gradient moves by about the learning "
            f"rate {f.number(step.learning_rate)}, whatever the gradient's size."
        )


def _rose(step: StepNumbers, f: Figures) -> Iterator[str]:
    """The loss is larger after the step."""
    if step.outside is None and step.loss_after > step.loss:
        yield (
            f"The loss of these rows rose from {f.number(step.loss)} to {f.number(step.loss_after)}: the step "
            "overshot; try a smaller learning rate."
        )


def _frozen(step: StepNumbers, f: Figures) -> Iterator[str]:
    names = [parameter.path for parameter in step.parameters if parameter.frozen]
    if names:
        yield f"Frozen, and so not updated: {', '.join(names[:6])}."


RULES: tuple[Rule, ...] = (
    _given_delta, _clipped_probability, _symmetric, _linear, _rose, _unreached, _stopped_deltas, _clipped,
    _first_of_adam, _frozen, _derived,
)  # fmt: skip


def _target(step: StepNumbers, reference: str) -> np.ndarray | None:
    """Return the target of the loss on this output."""
    for objective in step.objectives:
        if objective.references[0] == reference:
            return objective.inputs[1]
    return None


def _values(array: np.ndarray, f: Figures, brackets: bool = False) -> str:
    """Return a few numbers."""
    flat = np.asarray(array).reshape(-1)
    write = f.factor if brackets and len(flat) == 1 else f.number
    return ", ".join(write(value) for value in flat[:4]) + (", ..." if len(flat) > 4 else "")
