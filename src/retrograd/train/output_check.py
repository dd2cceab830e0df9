"""Mistakes at a network's output that can be told before a step has run: networks that train, but badly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from retrograd.backprop.backprop import Objective
from retrograd.base.finding import Evidence, Finding
from retrograd.network.layer import Activation
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.network.network import Network, take
from retrograd.network.scope import Node

PASSING = ("identity", "dropout", "flatten", "reshape")  # hand on the values that they get
HARMLESS = ("identity", "log_softmax", "log_sigmoid")  # logits again


def check_output(
    network: Network, objectives: Sequence[Objective], outputs: Mapping[str, Any], classes: int | None
) -> tuple[Finding, ...]:
    """Return findings on a network, its objectives, the specs of its outputs and the number of classes, if known."""
    found = [*softmax_twice(network)]
    for objective in objectives:
        found += activation_before_logits(network, objective)
        found += idle_units(objective, outputs, classes)
    return tuple(found)


def activation_before_logits(network: Network, objective: Objective) -> Iterator[Finding]:
    """Yield a finding on an activation whose output goes into a loss on logits, which applies its own."""
    node = source(network, objective.inputs[0])
    if not getattr(objective.loss, "from_logits", False) or node is None:
        return
    kind = node.layer.kind
    if isinstance(node.layer, Activation) and kind not in HARMLESS:
        message = (
            f"{kind} stands before {objective.loss.kind}, which acts on logits and so bends its values again; "
            f"leave it out, or give the loss `from_logits: false` after a sigmoid or softmax"
        )
        yield Finding("activation_before_logits", node.name, message, (), ("drop_last_activation",), "fault")


def softmax_twice(network: Network) -> Iterator[Finding]:
    """Yield a finding on each softmax of a softmax, which makes all classes nearly equally likely."""
    for node in network.nodes:
        if node.layer.kind not in ("softmax", "log_softmax"):
            continue
        before = source(network, node.inputs[0])
        if before is not None and before.layer.kind == "softmax":
            message = f"a softmax of the softmax {before.name}: it flattens the probabilities; keep one of them"
            yield Finding("softmax_twice", node.name, message, (), ("drop_last_activation",), "fault")


def idle_units(objective: Objective, outputs: Mapping[str, Any], classes: int | None) -> Iterator[Finding]:
    """Yield a finding on output units for classes that the data does not have."""
    if classes is None or not isinstance(objective.loss, CrossEntropy) or objective.inputs[1:2] != ("y",):
        return
    name = objective.inputs[0]
    units = take(outputs, name).shape[-1]
    if units > classes:
        message = "more units than the data has classes: the others only learn never to answer; `classes` fits"
        evidence = (Evidence("units", units, classes),)
        yield Finding("idle_output_units", name, message, evidence, ("fit_output_units",), "note")


def source(network: Network, reference: str) -> Node | None:
    """Return the node whose values arrive at a reference, past layers that hand them on; None for a column."""
    node = network.by_name.get(reference.partition(".")[0])
    while node is not None and node.layer.kind in PASSING:
        node = network.by_name.get(node.inputs[0].partition(".")[0])
    return node
