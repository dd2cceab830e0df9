"""Reasons to stop: small rules over the history; the first one met names the reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from retrograd.base.errors import ConfigError
from retrograd.present.numbers import number
from retrograd.record.events import Epoch, Metrics
from retrograd.training.config.settings import Convergence, EarlyStopping, Goal, TrainingSettings

# metrics where lower is better
FALLING = ("loss", "mean_absolute_error", "root_mean_squared_error", "log_loss", "error_rate")


EXPECTED_ERRORS = 0.05  # wrong rows in a whole validation part
FOUR_DIGITS = 5e-5  # a score closer to 1 prints as 1.000


class Stop(NamedTuple):
    """Why training ended: a fixed name, and a sentence with the numbers."""

    reason: str
    sentence: str


Rule = Callable[[Sequence[Epoch]], Stop | None]


def watched(epoch: Epoch) -> float:
    """Return the loss that decides which weights are best: on the validation part, else on the training part."""
    return epoch.metrics.get("valid", {}).get("loss", epoch.loss)


def rules(settings: TrainingSettings, valid_rows: int = 0) -> list[Rule]:
    """Return the configured rules; `valid_rows` is the number of validation rows, 0 for none."""
    stopping_rules: list[Rule] = []
    if settings.goal:
        stopping_rules.append(_goal(settings.goal))
    if settings.convergence:
        stopping_rules.append(_converged(settings.convergence))
    if settings.early_stopping:
        if settings.early_stopping.stop_when_perfect and valid_rows:
            stopping_rules.append(_perfect(valid_rows))
        stopping_rules.append(_early(settings.early_stopping))
    if settings.time_limit:
        stopping_rules.append(_time(settings.time_limit))
    return stopping_rules


def check_goal(goal: Goal, part: str, names: Sequence[str]) -> None:
    """Raise ConfigError if the metric of a goal is not measured on this part of the data."""
    if goal_score(goal, {part: dict.fromkeys(names, 0.0)}) is None:
        have = ", ".join(f"{part}.{name}" for name in names)
        raise ConfigError(f"unknown metric '{goal.metric}'", where="training.goal.metric", cure=f"have: {have}")


def goal_score(goal: Goal, measured: Metrics) -> tuple[str, float] | None:
    """Return the full name and the value of a goal's metric, if it was measured."""
    scores = {f"{part}.{name}": value for part, metrics in measured.items() for name, value in metrics.items()}
    names = (goal.metric, f"valid.{goal.metric}", f"train.{goal.metric}")
    return next(((name, scores[name]) for name in names if name in scores), None)


def _goal(goal: Goal) -> Rule:
    def rule(history: Sequence[Epoch]) -> Stop | None:
        measured = goal_score(goal, history[-1].metrics)
        if measured is None:  # an epoch in the middle of a group, or non-finite predictions
            return None
        name, score = measured
        reached = score <= goal.value if falls(goal.metric) else score >= goal.value
        return Stop("goal", f"{name} is {number(score, 4)}, the goal {number(goal.value, 6)}") if reached else None

    return rule


def falls(metric: str) -> bool:
    """Return whether lower values of a metric are better."""
    return metric.rpartition(".")[2] in FALLING


def _converged(settings: Convergence) -> Rule:
    def rule(history: Sequence[Epoch]) -> Stop | None:
        norm = history[-1].gradient_norm
        if settings.gradient_norm and norm is not None and norm < settings.gradient_norm:
            return Stop(
                "converged", f"the gradient's norm {number(norm, 3)} is below {number(settings.gradient_norm, 6)}"
            )
        if settings.loss_change and len(history) > 1:
            change = abs(history[-1].loss - history[-2].loss)
            if change < settings.loss_change:
                return Stop(
                    "converged",
                    f"the loss changed by {number(change, 3)} in one epoch, below {number(settings.loss_change, 6)}",
                )
        return None

    return rule


def _early(settings: EarlyStopping) -> Rule:
    best, waited = math.inf, 0

    def rule(history: Sequence[Epoch]) -> Stop | None:
        nonlocal best, waited
        if not history[-1].metrics:
            return None
        if watched(history[-1]) < best - settings.min_change:
            best, waited = watched(history[-1]), 0
            return None
        waited += 1
        if waited < settings.patience:
            return None
        part = "validation" if "valid" in history[-1].metrics else "training"
        return Stop("early stopping", f"{part} loss not below {number(best, 4)} for {waited} evaluations")

    return rule


def _perfect(rows: int) -> Rule:
    """Return the rule that ends training once the validation rows can measure no further progress.

    A mean loss L means that the network expects to get about a share L of such rows wrong: with n L below 0.05, fewer
    than one row in twenty validation parts of this size. A score counts as 1 if it prints as 1 to four digits.
    """
    enough = max(EXPECTED_ERRORS / rows, FOUR_DIGITS)

    def rule(history: Sequence[Epoch]) -> Stop | None:
        scores = history[-1].metrics.get("valid", {})
        loss = scores.get("loss", math.inf)
        if scores.get("r2", 0.0) > 1 - FOUR_DIGITS:
            return Stop("perfect", f"r2 is {scores['r2']:.6f} on the validation rows: no room for improvement")
        if scores.get("accuracy", scores.get("average_precision", 0.0)) == 1 and 0 <= loss < enough:
            return Stop(
                "perfect", f"every validation row is right, with a loss of {number(loss, 2)}: no room for improvement"
            )
        return None

    return rule


def _time(limit: float) -> Rule:
    def rule(history: Sequence[Epoch]) -> Stop | None:
        seconds = history[-1].seconds
        return Stop("time limit", f"{seconds:.1f} of {number(limit, 6)} seconds used") if seconds >= limit else None

    return rule
