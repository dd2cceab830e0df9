"""Mistakes at a network's output that show before the first step: networks that train, but badly.

Training warns of them, and the diagnosis has a symptom for each; both use these rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from retrograd.base.finding import Evidence, Severity
from retrograd.base.sentence import entry_setting
from retrograd.network.layer import Activation
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.network.network import Network, take
from retrograd.network.scope import Node
from retrograd.propagation.objective import Objective

PASSING = ("identity", "dropout", "spatial_dropout", "flatten", "reshape")  # pass their values through
SHARES = ("sigmoid", "softmax", "hard_sigmoid")  # outputs in [0, 1]
PROBABILITIES = ", or give the loss " + entry_setting("from_logits", "false")
LOGARITHMS = ("log_softmax", "log_sigmoid")  # of shares: valid logits where a softmax follows
CROSS_ENTROPIES = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}  # and the activation each expects


class Mistake(NamedTuple):
    """A mistake at a node: what it is, its cure, and the confidence that it keeps the network from learning."""

    node: str
    message: str
    cure: str
    confidence: float
    severity: Severity = "risk"
    evidence: tuple[Evidence, ...] = ()


def mistakes(
    network: Network, objectives: Sequence[Objective], outputs: Mapping[str, Any], classes: int | None
) -> Iterator[Mistake]:
    """Yield the mistakes of a network, given the specs of its outputs and the number of classes, if known."""
    yield from constant_softmax(network, outputs)
    yield from squashed_twice(network, objectives)
    for objective in objectives:
        yield from unfit_pair(network, objective, outputs)
        yield from idle_units(objective, outputs, classes)


def constant_softmax(network: Network, outputs: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield softmax layers whose last axis has one element."""
    for node in network.nodes:
        if node.layer.kind in ("softmax", "log_softmax") and outputs[node.name].shape[-1] == 1:
            message = f"softmax over one unit is the constant {1 if node.layer.kind == 'softmax' else 0}; no gradient "
            yield Mistake(node.name, message + "passes through it", "use a sigmoid, or one unit per class", 0.99,
                          "fault")  # fmt: skip


def squashed_twice(network: Network, objectives: Sequence[Objective]) -> Iterator[Mistake]:
    """Yield nodes that squash values to [0, 1] before a layer or a loss that squashes them again."""
    squashers = [(source(network, node.inputs[0]), node.layer.kind) for node in network.nodes
                 if node.layer.kind in (*SHARES, "log_softmax")]  # fmt: skip
    squashers += [(source(network, o.inputs[0]), o.loss.kind) for o in objectives if acts_on_logits(o)]
    for node, squasher in squashers:
        if node is not None and node.layer.kind in SHARES:
            yield Mistake(
                node.name,
                f"{node.layer.kind} squashes the outputs to [0, 1], and {squasher} squashes them again: "
                "the loss cannot get near 0",
                "remove it" + (PROBABILITIES if squasher in CROSS_ENTROPIES else ""),
                0.9,
            )


def unfit_pair(network: Network, objective: Objective, outputs: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield the last activation if its values do not suit the loss; squashing twice is a separate mistake.

    A sigmoid before the cross-entropy of several classes is tolerated: its values are divided by their sum.
    """
    node, loss = source(network, objective.inputs[0]), objective.loss.kind
    if node is None:
        return
    kind = node.layer.kind if isinstance(node.layer, Activation) else "none"
    harmless = LOGARITHMS if loss != "binary_cross_entropy" else ()
    if acts_on_logits(objective):
        if kind not in ("none", *SHARES, *harmless):
            message = (
                f"{kind} clips or bends the logits before {loss}, which expects raw logits: "
                "classes whose logits are clipped to the same bound cannot be distinguished"
            )
            yield Mistake(node.name, message, "remove it", 0.9)
        return
    if loss not in CROSS_ENTROPIES:
        return
    expected = CROSS_ENTROPIES[loss]
    cure = f"put {expected} before it, or let the loss act on logits (" + entry_setting("from_logits", "true") + ")"
    if kind == "none":
        node = network.by_name[objective.inputs[0].partition(".")[0]]
        message = (
            f"{loss} reads raw outputs as probabilities; without {expected} they are clipped and lose their gradient"
        )
        yield Mistake(node.name, message, cure, 0.95, "fault")
    elif kind not in (*SHARES, "log_softmax"):
        message = (
            f"{kind} does not output probabilities, which {loss} with from_logits: false expects: "
            "values at 0 have a clipped logarithm and no gradient"
        )
        yield Mistake(node.name, message, cure, 0.92)
    elif kind == "softmax" and loss == "binary_cross_entropy" and outputs[node.name].shape[-1] > 1:
        message = (
            "softmax divides one probability among the units, but binary_cross_entropy compares each with its own "
            "label: no two labels can both be likely"
        )
        yield Mistake(node.name, message, cure, 0.85)
    elif kind == "sigmoid" and loss == "cross_entropy":
        message = "sigmoid scores each class independently; cross_entropy expects shares that sum to 1 (softmax)"
        yield Mistake(node.name, message, cure, 0.3, "note")


def idle_units(objective: Objective, outputs: Mapping[str, Any], classes: int | None) -> Iterator[Mistake]:
    """Yield an output with units for classes that the data does not have."""
    if classes is None or not isinstance(objective.loss, CrossEntropy) or objective.inputs[1:2] != ("y",):
        return
    name = objective.inputs[0]
    units = take(outputs, name).shape[-1]
    if units > classes:
        message = "more units than the data has classes: the extra ones only learn never to answer"
        evidence = (Evidence("units", units, classes),)
        yield Mistake(
            name.partition(".")[0], message, "use " + entry_setting("units", "classes"), 0.1, evidence=evidence
        )


def acts_on_logits(objective: Objective) -> bool:
    """Return whether a loss turns logits into probabilities itself."""
    return bool(getattr(objective.loss, "from_logits", False))


def source(network: Network, reference: str) -> Node | None:
    """Return the node whose values reach a reference, skipping layers that pass them through; None for a column."""
    node = network.by_name.get(reference.partition(".")[0])
    while node is not None and node.layer.kind in PASSING:
        node = network.by_name.get(node.inputs[0].partition(".")[0])
    return node
