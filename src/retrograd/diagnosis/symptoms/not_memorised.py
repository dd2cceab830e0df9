"""A network that cannot even memorise a few rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.judgement.score import score
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms
from retrograd.network.network import Variables
from retrograd.update.adam import Adam
from retrograd.update.step import Stepper

ROWS, STEPS, BETWEEN = 16, 500, 50  # rows, updates, and updates between two measurements
ENOUGH = threshold("B21", "score")
MARGIN = 0.02  # of accuracy or R²: a smaller shortfall is noise
HEAD, LAST = {"units": 16, "activation": "relu"}, {"units": 1}
RATE = 3e-3  # three times Adam's usual rate: 500 updates are few


@symptoms.register(
    "not_memorised",
    examples=Examples(
        sick=setup("halves", network=[{"dense": {**HEAD, "weight": "zeros"}}, {"dense": {**LAST, "weight": "zeros"}}]),
        healthy=setup("halves", network=[{"dense": HEAD}, {"dense": 1}]),
        near_miss=setup("halves", network=[{"dense": HEAD}, {"dense": 1}], optimizer={"adam": 0.002},
                        training={"epochs": 1}),
    ),
)  # fmt: skip
class NotMemorised(Symptom):
    """Any sound network can memorise 16 rows. If it cannot, the cause is not a lack of time or data: optimizer, loss,
    initial weights or structure are wrong. A run with Adam shows whether it is the optimizer.
    """

    code = "B21"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the score on 16 rows after 500 updates on them alone, if the run fails even on its training rows."""
        if program.prepared is None or program.data.y is None or program.start.variables is None or not _fails(program):
            return
        rows = few_rows(program)
        score = learned(program, program.runs.stepper, rows)
        if score is None or score >= ENOUGH:
            return
        stepper = Stepper(program.prepared.network, program.graph.objectives, Adam(RATE))
        adam_score = learned(program, stepper, rows) or 0.0
        evidence = Evidence("score on these rows with the configured optimizer", score, ENOUGH)
        if adam_score >= ENOUGH:
            yield self.finding(
                "optimizer",
                "{rows} rows cannot be memorised in {steps} updates, but they can with Adam at a rate of {rate:g}: "
                "network and loss are sound, the optimizer is at fault",
                evidence,
                values={"rows": ROWS, "steps": STEPS, "rate": RATE},
                remedies=("adam", "raise_rate", "lower_rate"),
                confidence=0.3,
            )
        else:
            yield self.finding(
                "network",
                "not even {rows} rows can be memorised in {steps} updates, nor can they with Adam: "
                "the fault lies in the network, initial weights, loss or inputs, not in the optimizer",
                evidence,
                Evidence("with Adam", adam_score, ENOUGH),
                values={"rows": ROWS, "steps": STEPS},
                remedies=("default_initial_weights", "match_output", "scale_inputs", "hidden_relu"),
                confidence=0.3,
            )


def _fails(program: Program) -> bool:
    """Return whether a network is worse than a linear model on its own training rows, or ended in NaN."""
    observed = program.observed
    if observed is None:
        return False
    return bool(observed.broken) or observed.train_score < program.data.levels.train.get("linear", 0.0) - MARGIN


def few_rows(program: Program) -> dict[str, Any]:
    """Return 16 training rows, evenly spaced from the smallest answer to the largest so as to represent each class."""
    answers = np.asarray(program.dataset.train["y"]).reshape(program.dataset.rows["train"], -1)[:, 0]
    places = np.linspace(0, len(answers) - 1, min(ROWS, len(answers))).astype(int)
    chosen = np.sort(np.argsort(answers, kind="stable")[places])
    return {name: column[chosen] for name, column in program.dataset.train.items()}


def learned(program: Program, stepper: Stepper, rows: dict[str, Any]) -> float | None:
    """Return the best score on these rows while training on them alone; None if all their answers are equal."""
    answers = np.asarray(rows["y"])
    if (answers == answers[:1]).all() or program.start.variables is None:
        return None
    train = stepper.start(program.start.variables, jax.random.key(program.config.training.seed))
    best = -np.inf
    for _ in range(STEPS // BETWEEN):
        for _ in range(BETWEEN):
            train, _ = stepper.single(train, rows)
        scorer = program.runs.scorer
        outputs = scorer.central(scorer.evaluator.outputs(Variables(train.params, train.state), rows))
        best = max(best, score(outputs, answers, program.dataset.task, program.runs.scorer.logits))
        if best >= ENOUGH:
            break
    return best
