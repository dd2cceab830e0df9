"""A custom layer or loss whose backward is not the derivative of its forward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jax import Array

from retrograd.base.finding import Evidence, Finding
from retrograd.checking.slopes import WRONG
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms
from retrograd.network.layer import Backward, Params
from retrograd.network.layers.activations.tanh import Tanh
from retrograd.network.layers.dense import Dense
from retrograd.training.gradients import check_prepared

TESTED = "retrograd.network."  # modules of the layers and losses in the package
ENTRIES = 16  # checked entries of each tensor


@dataclass(frozen=True)
class _Own(Dense):
    """A correct custom layer."""


@dataclass(frozen=True)
class _BiasTwice(Dense):
    """A custom layer that counts its bias twice in the backward pass."""

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """Return the result of Dense with a doubled bias gradient."""
        right = super().backward(params, tape, dy)
        return Backward(right.inputs, {**right.grads, "bias": 2 * right.grads["bias"]})


@symptoms.register(
    "wrong_gradient",
    examples=Examples(
        sick=setup("line", network=[_BiasTwice(4, Tanh()), {"dense": 1}]),
        healthy=setup("line", network=[{"dense": {"units": 4, "activation": "tanh"}}, {"dense": 1}]),
        near_miss=setup("line", network=[_Own(4, Tanh()), {"dense": 1}]),
    ),
)
class WrongGradient(Symptom):
    """The gradient is not the derivative of the loss: training descends on another function.

    error = |g - g_differences| / max(|g|, |g_differences|), in float64, tensor by tensor
    """

    code = "B17"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the faulty layers, if the network has layers or losses from outside the package."""
        if program.prepared is None:
            return
        parts = [
            *(node.layer for node in program.graph.nodes),
            *(objective.loss for objective in program.graph.objectives),
        ]
        if all(type(part).__module__.startswith(TESTED) for part in parts):
            return
        report = check_prepared(program.prepared, entries=ENTRIES)
        if report.verdict != "wrong":
            return
        worst = max((tensor.largest for check in report.checks for tensor in check.tensors), default=0.0)
        faults = [
            (program.graph.line(fault.path), fault.words, fault.error)
            for check in report.checks
            for fault in check.faults
        ]
        for place, words, error in faults or [("network", "a gradient is wrong", worst)]:
            yield self.finding(
                place,
                "{words}: backward is not the derivative of forward; `retrograd check` shows where",
                Evidence("relative error of the gradient", error, WRONG),
                values={"words": words},
                severity="fault",
                confidence=0.97,
            )
