"""Even a few rows cannot be memorised."""

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

ROWS, STEPS, BETWEEN = 16, 500, 50  # rows, updates, and updates between two scores
ENOUGH = threshold("B21", "score")
MARGIN = 0.02  # of accuracy or R²: a smaller shortfall is noise
HEAD, LAST = {"units": 16, "activation": "relu"}, {"units": 1}
RATE = 3e-3  # three times Adam's usual rate: 500 updates are few


@symptoms.register(
    "by_heart",
    examples=Examples(
        sick=setup("halves", network=[{"dense": {**HEAD, "weight": "zeros"}}, {"dense": {**LAST, "weight": "zeros"}}]),
        healthy=setup("halves", network=[{"dense": HEAD}, {"dense": 1}]),
        near_miss=setup("halves", network=[{"dense": HEAD}, {"dense": 1}], optimizer={"adam": 0.002},
                        training={"epochs": 1}),
    ),
)  # fmt: skip
class ByHeart(Symptom):
    """Any sound network memorises 16 rows. If it cannot, neither time nor data are lacking: optimizer, loss, initial
    weights or structure are wrong, and a run with Adam shows which.
    """

    code = "B21"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the score on 16 rows after 500 updates on them alone, if training fails on its own rows."""
        if program.prepared is None or program.data.y is None or program.start.variables is None or not _fails(program):
            return
        rows = few_rows(program)
        score = learned(program, program.runs.stepper, rows)
        if score is None or score >= ENOUGH:
            return
        adam = Stepper(program.prepared.network, program.graph.objectives, Adam(RATE))
        other = learned(program, adam, rows) or 0.0
        reached = Evidence("score on these rows, with its own optimizer", score, ENOUGH)
        if other >= ENOUGH:
            yield self.finding(
                "optimizer",
                "{rows} rows cannot be memorised in {steps} updates, but with Adam at a rate of "
                "{rate:g} they can: network and loss are sound, the optimizer is at fault",
                reached,
                values={"rows": ROWS, "steps": STEPS, "rate": RATE},
                remedies=("adam", "raise_rate", "lower_rate"),
                confidence=0.3,
            )
        else:
            yield self.finding(
                "network",
                "not even {rows} rows can be memorised in {steps} updates, not with Adam either: "
                "the fault lies in network, initial weights, loss or inputs, not in the optimizer",
                reached,
                Evidence("with Adam", other, ENOUGH),
                values={"rows": ROWS, "steps": STEPS},
                remedies=("default_initial_weights", "match_output", "scale_inputs", "hidden_relu"),
                confidence=0.3,
            )


def _fails(program: Program) -> bool:
    """Return whether a network is worse on its own training rows than a linear model, or ended in NaN."""
    observed = program.observed
    if observed is None:
        return False
    return bool(observed.broken) or observed.train_score < program.data.levels.train.get("linear", 0.0) - MARGIN


def few_rows(program: Program) -> dict[str, Any]:
    """Return 16 training rows spread from the smallest answer to the largest, so that each class is represented."""
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
