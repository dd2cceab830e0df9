"""Recurrent layers whose last state has forgotten the first steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms
from retrograd.network.layers.recurrent.recurrent import Recurrent

SHARE = threshold("B04", "through_time")
PART = 10  # the first tenth of the steps is compared with the last tenth
FEWEST = 2 * PART  # minimum number of steps: a tenth is then two steps


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
    """Going back in time, a delta is multiplied by a factor at every step. If none of it reaches the first steps of a
    sequence, the network cannot learn what they contain.

        share = rms of the delta at the first tenth of the steps / at the last tenth
    """

    code = "B04"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the recurrent layer with the strongest decay of the delta, if only its last state is read."""
        initial = program.start.pass_
        if initial is None:
            return
        faded: dict[str, tuple[float, int]] = {}
        truncated = set()
        for node in program.graph.nodes:
            layer = node.layer
            if not isinstance(layer, Recurrent) or layer.output != "last" or layer.bidirectional:
                continue
            delta = np.asarray(initial.deltas.get(node.inputs[0], np.zeros(0)), np.float64)
            if delta.ndim != 3 or delta.shape[1] < FEWEST:
                continue
            steps = np.sqrt(np.square(delta).mean((0, 2)))[:: -1 if layer.backwards else 1]
            tenth = delta.shape[1] // PART
            truncated |= {node.name} if layer.truncate else set()
            if steps[-tenth:].any():
                faded[node.name] = (float(steps[:tenth].mean() / steps[-tenth:].mean()), delta.shape[1])
        worst = min(faded, key=lambda name: faded[name][0], default=None)
        if worst is not None and faded[worst][0] < SHARE:
            share, steps_in_all = faded[worst]
            yield self.finding(
                program.graph.line(worst),
                "the first of {steps} steps receive {share:.2g} of the delta of the last ones: the network learns only "
                "from the end of a sequence",
                Evidence("delta at the first steps / at the last steps", share, SHARE),
                values={"steps": steps_in_all, "share": share},
                remedies=("pool_states", "more_updates")
                if worst not in truncated
                else ("no_truncation", "pool_states"),
                confidence=0.5,
            )
