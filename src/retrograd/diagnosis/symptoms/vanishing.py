"""Gradients that do not reach the first layers."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

PER_LAYER, OVERALL = threshold("B04", "per_layer"), threshold("B04", "overall")


def stack(depth: int, activation: str) -> list[dict[str, object]]:
    """Return a stack of identical layers."""
    return [{"dense": {"units": 8, "activation": activation}} for _ in range(depth)]


@symptoms.register(
    "vanishing",
    examples=Examples(
        sick=setup("halves", network=[*stack(8, "sigmoid"), {"dense": 1}]),
        healthy=setup("halves", network=[*stack(8, "tanh"), {"dense": 1}]),
        near_miss=setup("halves", network=[*stack(2, "sigmoid"), {"dense": 1}]),
    ),
)
class Vanishing(Symptom):
    """Relative gradients |g| / |w| shrink from layer to layer going back, so that the first layers hardly learn."""

    code = "B04"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the factor per layer, at the initial weights."""
        sizes = program.start.relative_gradients
        if len(sizes) < 3:
            return
        overall = sizes[0] / sizes[-1]
        per_layer = overall ** (1 / (len(sizes) - 1))
        if overall < OVERALL and per_layer < PER_LAYER:
            yield self.finding(
                program.graph.line(program.start.weighted[0]),
                "the relative gradient of the first layer is {overall:.2g} times that of the last: a factor of "
                "{per_layer:.2g} at each of {layers} layers",
                Evidence("factor per layer", per_layer, PER_LAYER),
                Evidence("first / last", overall, OVERALL),
                values={"overall": overall, "per_layer": per_layer, "layers": len(sizes) - 1},
                remedies=("hidden_relu", "default_initial_weights", "fewer_layers", "normalise"),
                confidence=0.5,
            )
