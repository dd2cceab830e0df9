"""Mistakes at a network's output that can be told before a step has run: networks that train, but badly.

Training warns of them, and the diagnosis has a symptom for each: both by these rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from retrograd.base.finding import Evidence, Severity
from retrograd.network.layer import Activation
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.network.network import Network, take
from retrograd.network.scope import Node
from retrograd.propagation.objective import Objective

PASSING = ("identity", "dropout", "spatial_dropout", "flatten", "reshape")  # hand on the values that they get
SHARES = ("sigmoid", "softmax", "hard_sigmoid")  # give values in [0, 1]
LOGARITHMS = ("log_softmax", "log_sigmoid")  # of shares: logits again, where a softmax follows
CROSS_ENTROPIES = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}  # and what gives what they read


class Mistake(NamedTuple):
    """A mistake at a node: what it is, what to do about it, and how likely it is why a network does not learn."""

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
            message = f"softmax over one unit is the constant {1 if node.layer.kind == 'softmax' else 0}, and no "
            yield Mistake(node.name, message + "gradient passes it", "use a sigmoid, or a unit for each class", 0.99,
                          "fault")  # fmt: skip


def squashed_twice(network: Network, objectives: Sequence[Objective]) -> Iterator[Mistake]:
    """Yield what squashes values to [0, 1] before something that squashes them once more: a layer, or a loss."""
    behind = [(source(network, node.inputs[0]), node.layer.kind) for node in network.nodes
              if node.layer.kind in (*SHARES, "log_softmax")]  # fmt: skip
    behind += [(source(network, each.inputs[0]), each.loss.kind) for each in objectives if acts_on_logits(each)]
    for node, again in behind:
        if node is not None and node.layer.kind in SHARES:
            yield Mistake(
                node.name,
                f"{node.layer.kind} squashes the outputs to [0, 1], and {again} once more: "
                "the loss has a floor far above 0",
                "leave it out" + (", or give the loss `from_logits: false`" if again in CROSS_ENTROPIES else ""),
                0.9,
            )


def unfit_pair(network: Network, objective: Objective, outputs: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield the last activation, if the loss does not expect its values; squashing twice is a mistake of its own.

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
                f"{kind} cuts or bends the logits before {loss}, which expects them as they are: "
                "classes whose logit it holds at a bound cannot be told apart"
            )
            yield Mistake(node.name, message, "leave it out", 0.9)
        return
    if loss not in CROSS_ENTROPIES:
        return
    expected = CROSS_ENTROPIES[loss]
    cure = f"put {expected} before it, or let the loss act on logits (`from_logits: true`)"
    if kind == "none":
        node = network.by_name[objective.inputs[0].partition(".")[0]]
        message = f"{loss} reads raw outputs as probabilities; with no {expected} they are clipped, without gradient"
        yield Mistake(node.name, message, cure, 0.95, "fault")
    elif kind not in (*SHARES, "log_softmax"):
        message = (
            f"{kind} gives no probabilities, and {loss} with from_logits: false expects them: "
            "values at 0 have a clipped logarithm and no gradient"
        )
        yield Mistake(node.name, message, cure, 0.92)
    elif kind == "softmax" and loss == "binary_cross_entropy" and outputs[node.name].shape[-1] > 1:
        message = (
            "softmax divides one probability among the units, and binary_cross_entropy compares each with a label of "
            "its own: no two labels can both be likely"
        )
        yield Mistake(node.name, message, cure, 0.85)
    elif kind == "sigmoid" and loss == "cross_entropy":
        message = "sigmoid gives each class a value of its own; cross_entropy expects shares that sum to 1 (softmax)"
        yield Mistake(node.name, message, cure, 0.3, "note")


def idle_units(objective: Objective, outputs: Mapping[str, Any], classes: int | None) -> Iterator[Mistake]:
    """Yield an output with units for classes that the data does not have."""
    if classes is None or not isinstance(objective.loss, CrossEntropy) or objective.inputs[1:2] != ("y",):
        return
    name = objective.inputs[0]
    units = take(outputs, name).shape[-1]
    if units > classes:
        message = "more units than the data has classes: the others only learn never to answer"
        evidence = (Evidence("units", units, classes),)
        yield Mistake(name.partition(".")[0], message, "`classes` fits", 0.1, evidence=evidence)


def acts_on_logits(objective: Objective) -> bool:
    """Return whether a loss makes probabilities of what it reads itself."""
    return bool(getattr(objective.loss, "from_logits", False))


def source(network: Network, reference: str) -> Node | None:
    """Return the node whose values arrive at a reference, past layers that hand them on; None for a column."""
    node = network.by_name.get(reference.partition(".")[0])
    while node is not None and node.layer.kind in PASSING:
        node = network.by_name.get(node.inputs[0].partition(".")[0])
    return node
