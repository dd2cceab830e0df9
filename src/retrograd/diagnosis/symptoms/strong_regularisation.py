"""Penalties, weight decay, dropout and label smoothing that outweigh the data."""

from __future__ import annotations

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms
from retrograd.update.penalties import penalise
from retrograd.update.selection import is_weight

MOST_DROPPED, MOST_DECAY = threshold("S14", "dropped"), threshold("S14", "decay")
MOST_SMOOTHED = threshold("S14", "smoothed")
DROPPING = ("dropout", "spatial_dropout", "token_dropout")
FEWEST_UNITS = 4  # at the usual rate of 0.5, one pass in sixteen has no unit left
HEAD = [{"dense": {"units": 16, "activation": "relu"}}]


@symptoms.register(
    "strong_regularisation",
    examples=Examples(
        sick=setup("halves", network=[*HEAD, {"dense": 1}], penalties=[{"l2": 5.0}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}], penalties=[{"l2": 0.0001}]),
        near_miss=setup("halves", network=[*HEAD, {"dropout": 0.3}, {"dense": 1}]),
    ),
)
class StrongRegularisation(Symptom):
    """Penalties above the loss pull all weights to 0. Dropout above one half, on few units or on the output, hides the
    signal, and so does strong label smoothing. Weight decay in the gradient is a penalty of decay / 2 |w|^2; decoupled
    decay keeps all weights below 1 / decay if steps are of the learning rate's size.
    """

    code = "S14"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield penalties and weight decay that outweigh the initial loss, and too strong dropout and smoothing."""
        yield from self._penalties(program)
        yield from self._decay(program)
        yield from self._smoothing(program)
        for node in program.graph.nodes:
            rate = float(getattr(node.layer, "rate", 0.0) or 0.0) if node.layer.kind in DROPPING else 0.0
            if not rate or program.graph.specs is None:
                continue
            units, at_end = program.graph.specs[node.name].shape[-1], node not in program.graph.hidden
            if rate > MOST_DROPPED or units <= FEWEST_UNITS or at_end:
                where = (
                    "the output" if at_end else f"{units} {'tokens' if node.layer.kind == 'token_dropout' else 'units'}"
                )
                yield self.finding(
                    program.graph.line(node),
                    "dropout of {rate:g} on {where}",
                    Evidence("share dropped", rate, MOST_DROPPED),
                    values={"rate": rate, "where": where},
                    remedies=("less_regularisation",),
                    confidence=0.6 if rate >= MOST_DROPPED else 0.4,
                )

    def _penalties(self, program: Program) -> Iterator[Finding]:
        if not program.config.penalties or program.start.loss is None or program.start.variables is None:
            return
        value = float(jnp.asarray(penalise(program.config.penalties, program.start.variables.params)[0]))
        loss = program.start.loss
        if value > loss:
            yield self.finding(
                "penalties",
                "at the initial weights, the penalties are {value:.3g}, but the data loss is only {loss:.3g}",
                Evidence("penalties / loss", value / max(loss, 1e-12), threshold("S14", "penalties")),
                values={"value": value, "loss": loss},
                remedies=("less_regularisation",),
                confidence=0.75,
            )

    def _decay(self, program: Program) -> Iterator[Finding]:
        optimizer = program.config.optimizer
        decay, loss, variables = optimizer.weight_decay, program.start.loss, program.start.variables
        if not decay or loss is None or variables is None or program.prepared is None:
            return
        if optimizer.decoupled:
            shrinkage = (
                program.mean_rate * decay * program.prepared.steps
            )  # a weight without gradient shrinks to exp(-shrinkage)
            if decay > MOST_DECAY and shrinkage > 1:
                yield self.finding(
                    "optimizer.weight_decay",
                    "a weight decay of {decay:g} keeps all weights below about {largest:.2g}, but some need about "
                    "{needed:.2g}",
                    Evidence("weight decay", decay, MOST_DECAY),
                    values={"decay": decay, "largest": 1 / decay, "needed": 1 / MOST_DECAY},
                    remedies=("less_regularisation",),
                    confidence=0.8,
                )
            return
        weights = [value for params in variables.params.values() for n, value in params.items() if is_weight(n, value)]
        value = decay / 2 * float(sum(np.sum(np.square(np.asarray(weight, np.float64))) for weight in weights))
        if value > loss:
            yield self.finding(
                "optimizer.weight_decay",
                "at the initial weights, a weight decay of {decay:g} is a penalty of {value:.3g}, but the data loss is "
                "only {loss:.3g}",
                Evidence("decay / 2 |w|^2 / loss", value / max(loss, 1e-12), threshold("S14", "penalties")),
                values={"decay": decay, "value": value, "loss": loss},
                remedies=("less_regularisation",),
                confidence=0.75,
            )

    def _smoothing(self, program: Program) -> Iterator[Finding]:
        share = float(getattr(program.graph.loss, "label_smoothing", 0.0) or 0.0)
        if share > MOST_SMOOTHED:
            yield self.finding(
                "loss.label_smoothing",
                "label smoothing of {share:g} leaves only {left:.2g} of a target for its class",
                Evidence("label smoothing", share, MOST_SMOOTHED),
                values={"share": share, "left": 1 - share},
                remedies=("less_regularisation",),
                confidence=0.6,
            )
