"""Recurrent layers that have forgotten the first steps in their last state."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms
from retrograd.network.layers.recurrent.recurrent import Recurrent

SHARE = threshold("B04", "through_time")
PART = 10  # the first and the last tenth of the steps are compared
FEWEST = 2 * PART  # minimum number of steps: a tenth is then two


def over_time(layer: str, **settings: object) -> list[object]:
    """Return a network that reads 40 features as the steps of a sequence."""
    pool = ["global_average_pool"] if settings.get("output") == "sequence" else []
    return [{"reshape": [40, 1]}, {layer: {"units": 4, **settings}}, *pool, {"dense": 1}]


@symptoms.register(
    "short_memory",
    examples=Examples(
        sick=setup("halves", {"features": 40}, network=over_time("lstm")),
        healthy=setup("halves", {"features": 40}, network=over_time("lstm", forget_bias=5.0)),
        near_miss=setup("halves", {"features": 40}, network=over_time("lstm", output="sequence")),
    ),
)
class ShortMemory(Symptom):
    """Backward through time, a delta is multiplied by a factor at every step: what the first steps of a sequence
    contain cannot be learned from the last state if no delta reaches them.

        share = rms of the loss's delta at the first tenth of the steps / at the last tenth
    """

    code = "B04"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the recurrent layer with the strongest decay of the delta, if only its last state is read."""
        look = program.start.pass_
        if look is None:
            return
        faded: dict[str, tuple[float, int]] = {}
        cut = set()
        for node in program.graph.nodes:
            layer = node.layer
            if not isinstance(layer, Recurrent) or layer.output != "last" or layer.bidirectional:
                continue
            delta = np.asarray(look.deltas.get(node.inputs[0], np.zeros(0)), np.float64)
            if delta.ndim != 3 or delta.shape[1] < FEWEST:
                continue
            steps = np.sqrt(np.square(delta).mean((0, 2)))[:: -1 if layer.backwards else 1]
            part = delta.shape[1] // PART
            cut |= {node.name} if layer.truncate else set()
            if steps[-part:].any():
                faded[node.name] = (float(steps[:part].mean() / steps[-part:].mean()), delta.shape[1])
        worst = min(faded, key=lambda name: faded[name][0], default=None)
        if worst is not None and faded[worst][0] < SHARE:
            share, steps_in_all = faded[worst]
            yield self.finding(
                program.graph.line(worst),
                "the first of {steps} steps get {share:.2g} of the delta of the last ones: the network learns from the "
                "end of a sequence only",
                Evidence("delta at the first steps / at the last steps", share, SHARE),
                values={"steps": steps_in_all, "share": share},
                remedies=("pool_states", "more_updates") if worst not in cut else ("no_truncation", "pool_states"),
                confidence=0.5,
            )
