"""Initial weights that are all equal, or of the wrong scale."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

ALIKE, SCALE, OVERALL = (threshold("S06", name) for name in ("spread", "scale", "overall"))
TABLES = ("embedding", "learned_positions")  # their vectors are looked up, not multiplied


def dense(units: int, weight: object, activation: str | None = "tanh") -> dict[str, object]:
    """Return a dense entry with these initial weights."""
    return {"dense": {"units": units, "weight": weight, **({"activation": activation} if activation else {})}}


@symptoms.register(
    "initial_weights",
    examples=Examples(
        sick=setup("halves", network=[dense(6, {"constant": 1.0}), {"dense": 1}]),
        healthy=setup("halves", network=[{"dense": {"units": 6, "activation": "tanh"}}, {"dense": 1}]),
        near_miss=setup("halves", network=[{"dense": {"units": 6, "activation": "tanh"}}, dense(1, "zeros", None)]),
    ),
)
class InitialWeights(Symptom):
    """Equal weights stay equal for ever: units that compute the same value get the same gradient. Weights far from the
    scale sqrt(gain / fan_in) multiply signals and deltas by a factor at every layer. Zeros in the last layer are
    harmless.
    """

    code = "S06"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the layers whose weights are all equal or of the wrong scale."""
        if program.start.variables is None or program.start.is_pretrained:
            return
        factor = 1.0
        for node in program.start.weighted:
            weight = np.asarray(program.start.variables.params[node.name]["weight"], np.float64)
            last = node is program.start.weighted[-1]
            if weight.ndim < 2 or node.layer.kind in TABLES:
                continue
            size, spread = np.abs(weight).max(), weight.std()
            if weight.size == 1:
                continue
            if spread <= ALIKE * max(size, 1e-30):
                zero = size == 0
                if not last:
                    yield self._alike(program, node, size)
                factor *= 1.0 if zero else size
                continue
            ratio = spread / self._expected(program, node, weight)
            factor *= ratio
            if not last and not 1 / SCALE <= ratio <= SCALE:
                yield self._scale(program, node, ratio)
        if not 1 / OVERALL <= factor <= OVERALL and len(program.start.weighted) > 2:
            grows = "grow" if factor > 1 else "shrink"
            yield self.finding(
                "network",
                "signals {grows} through {layers} layers",
                Evidence("total factor of the initial weights", factor, OVERALL if factor > 1 else 1 / OVERALL),
                values={"grows": grows, "layers": len(program.start.weighted)},
                remedies=("default_initial_weights",),
                confidence=min(0.9, 0.5 + 0.1 * abs(math.log10(max(factor, 1e-30)))),
            )

    def _alike(self, program: Program, node: object, size: float) -> Finding:
        what = "0" if size == 0 else f"{size:.4g}"
        return self.finding(
            f"{program.graph.line(node)}/weight",  # type: ignore[arg-type]
            "every initial weight is {what} (symmetric initialisation): all units compute the same "
            "value and always will",
            Evidence("spread of the weights", 0.0, ALIKE),
            values={"what": what},
            remedies=("default_initial_weights",),
            severity="fault",
            confidence=0.97,
        )

    def _scale(self, program: Program, node: object, ratio: float) -> Finding:
        larger = "larger" if ratio > 1 else "smaller"
        times = ratio if ratio > 1 else 1 / ratio
        return self.finding(
            f"{program.graph.line(node)}/weight",  # type: ignore[arg-type]
            "the initial weights are {times:.3g} times {larger} than the scale that preserves signals",
            Evidence("standard deviation / sqrt(gain / fan_in)", ratio, SCALE if ratio > 1 else 1 / SCALE),
            values={"times": times, "larger": larger},
            remedies=("default_initial_weights",),
            confidence=0.55 + 0.3 * min(1.0, math.log10(times)),
        )

    def _expected(self, program: Program, node: object, weight: np.ndarray) -> float:
        """Return the deviation that preserves the scale of signals, by the next layer's rule: He, LeCun or Glorot."""
        receptive = int(np.prod(weight.shape[:-2])) if weight.ndim > 2 else 1
        fan_in, fan_out = weight.shape[-2] * receptive, weight.shape[-1] * receptive
        after = next((n for n in program.graph.nodes if n.inputs and n.inputs[0] == node.name), None)  # type: ignore[attr-defined]
        rule = getattr(after.layer, "initializer", "") if after else ""
        if rule.startswith("he"):
            return math.sqrt(2 / fan_in)
        return math.sqrt(1 / fan_in) if rule.startswith("lecun") else math.sqrt(2 / (fan_in + fan_out))
