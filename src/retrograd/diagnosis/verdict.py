"""Failure first: whether a network learns what can be learned, judged by reference levels and not by symptoms."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from retrograd.base.finding import Evidence
from retrograd.diagnosis.observe import Observed
from retrograd.diagnosis.program import STRANGERS, Program

State = Literal["healthy", "ill", "hopeless", "refused"]
ACCURACY_GAP, R2_GAP, TIMES = 0.05, 0.1, 2.0
FALLEN = 0.97  # of the first epoch's loss; there is no reference for tasks that are neither classes nor numbers
WHOLE, MANY = 16, 10**9  # so few rows without a held-out part are a truth table and no sample
ERRORS = 2.0  # standard errors of the difference


class Verdict(NamedTuple):
    """Whether a program learns. hopeless: the data hold nothing to learn. refused: it cannot be trained at all."""

    state: State
    sentence: str
    evidence: tuple[Evidence, ...] = ()


def judge(program: Program, runs: list[Observed], no_signal: bool, luck: float = ERRORS) -> Verdict:
    """Return the verdict on a program from its runs with several seeds; bad luck with them is granted (see `granted`).

    `luck` is how much of it, in standard errors.
    """
    if no_signal:
        return Verdict("hopeless", "the data hold nothing that predicts the answers: no network can learn it")
    if program.refusal is not None:
        return Verdict("refused", f"cannot be trained: {program.refusal}")
    if sum(bool(run.broken) for run in runs) * 2 > len(runs):
        return Verdict("ill", "training ends with values that are not finite")
    if program.y is None:
        return _by_loss([run for run in runs if not run.broken])
    if program.badly_split:
        share = Evidence("share of held-out rows of unknown classes", float(program.strangers.mean()), STRANGERS)
        return Verdict("ill", "held-out rows are of classes that no training row has", (share,))
    levels = program.levels
    held, own = granted([run.score for run in runs], luck), granted([run.train_score for run in runs], luck)
    name = "accuracy" if program.classifies else "R²"
    mean, own_mean = granted([run.score for run in runs], 0), granted([run.train_score for run in runs], 0)
    scores = (
        Evidence(f"held-out {name}", mean),
        Evidence(f"{name} of the {levels.best_name}", levels.best),
        Evidence(f"{name} of a constant", levels.trivial),
    )
    is_whole = program.dataset.valid is None and levels.rows <= WHOLE
    is_sure = is_whole and len({run.score for run in runs}) == 1  # neither rows nor seeds are chance
    if lags(held, levels.best, MANY if is_sure else levels.rows, program.classifies):
        return Verdict(
            "ill", f"it scores {mean:.3g} on held-out rows; {levels.best_name} reaches {levels.best:.3g}", scores
        )
    linear = levels.train.get("linear", 0.0)
    if lags(own, linear, program.dataset.rows["train"], program.classifies):
        return Verdict("ill", f"on its own training rows it scores {own_mean:.3g}, a linear model {linear:.3g}", scores)
    worsens = [run for run in runs if _worsens(run)]
    if len(worsens) * 2 > len(runs) and held < levels.best:
        return Verdict("ill", "the held-out score falls while training goes on", scores)
    told = f"{mean:.3g} on held-out rows"
    each = [run.score for run in runs]
    if max(each) - min(each) > 2 * ACCURACY_GAP:
        told = (
            f"with some seeds better than with others, {', '.join(f'{score:.3g}' for score in each)} on held-out rows"
        )
    return Verdict("healthy", f"it learns: {told}; {levels.best_name} {levels.best:.3g}", scores)


def _by_loss(runs: list[Observed]) -> Verdict:
    """Return the verdict where there is no reference: whether the loss falls at all."""
    first, last = granted([run.losses[0] for run in runs]), min(run.losses[-1] for run in runs)
    scores = (Evidence("loss of the first epoch", first), Evidence("loss of the last epoch", last))
    if last > FALLEN * first and len(runs[0].losses) > 1:
        return Verdict("ill", f"the loss hardly falls: {first:.4g} in the first epoch, {last:.4g} in the last", scores)
    return Verdict("healthy", f"its loss falls from {first:.4g} to {last:.4g}", scores)


def lags(own: float, reference: float, rows: int, classifies: bool) -> bool:
    """Return whether a score is below a reference by more than chance explains.

    Accuracy: by 0.05 and by 2 standard errors of the difference of two shares on as many rows. R²: by 0.1, with twice
    the unexplained variance.
    """
    if classifies:
        share = min(max((own + reference) / 2, 0.0), 1.0)
        error = math.sqrt(share * (1 - share) / max(rows, 1))  # the same rows: half the variance of two samples
        return own < reference - max(ACCURACY_GAP, ERRORS * error)
    return own < reference - R2_GAP and 1 - own > TIMES * (1 - reference)


def undecided(program: Program, runs: list[Observed]) -> bool:
    """Return whether it is only for the luck that is granted that a program is not ill: further seeds will tell."""
    return judge(program, runs, False).state != judge(program, runs, False, luck=0.0).state


def granted(scores: list[float], luck: float = ERRORS) -> float:
    """Return the mean of several seeds' scores and some standard errors: what the next seeds may well reach."""
    mean = math.fsum(scores) / len(scores)
    if len(scores) < 2:
        return mean
    variance = math.fsum((score - mean) ** 2 for score in scores) / (len(scores) - 1)
    return min(1.0, mean + luck * math.sqrt(variance / len(scores)))


def _worsens(run: Observed) -> bool:
    scores = [moment.held_out for moment in run.moments]
    return len(scores) > 3 and max(scores) - scores[-1] > 2 * ACCURACY_GAP
