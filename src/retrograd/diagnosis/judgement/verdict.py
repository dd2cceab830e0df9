"""Failure first: whether a network learns what can be learned, judged by reference levels rather than symptoms."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from retrograd.base.finding import Evidence
from retrograd.diagnosis.data_facts import STRANGERS
from retrograd.diagnosis.judgement.levels import LUCK
from retrograd.diagnosis.judgement.luck import GAIN, MORE, below, failed, granted
from retrograd.diagnosis.judgement.measure import (
    ACCURACY_GAP,
    ERRORS,
    R2_GAP,
    Measure,
    beats_chance,
    errors_by_row,
    measure,
    measure_of_losses,
)
from retrograd.diagnosis.observe import Observed
from retrograd.diagnosis.program import Program
from retrograd.present.numbers import number

State = Literal["healthy", "ill", "hopeless", "refused", "undecided"]
FALLEN = 0.97  # ratio of losses above which the loss has hardly fallen
NEAR = 0.05  # share of the way from a constant to a perfect output that counts as no progress


class Verdict(NamedTuple):
    """Whether a program learns. hopeless: the data contain nothing to learn. refused: it cannot be trained at all.
    undecided: time ran out, or there are too few rows for a verdict.

    `run` is the index of the run that shows the failure.
    """

    state: State
    sentence: str
    evidence: tuple[Evidence, ...] = ()
    run: int = 0


def judge(program: Program, runs: list[Observed], no_signal: bool, luck: float = ERRORS) -> Verdict:
    """Return the verdict on a program from its runs with several seeds, with an allowance for bad luck (see `granted`).

    `luck` is that allowance in standard errors. It does not excuse a seed that fails outright.
    """
    if no_signal:
        return Verdict("hopeless", "nothing in the data predicts the answers: no network can learn them")
    if program.refusal is not None:
        return Verdict("refused", f"cannot be trained: {program.refusal}")
    broken = [i for i, run in enumerate(runs) if run.broken]
    if len(broken) * 2 > len(runs):
        return Verdict("ill", "training ends with values that are not finite", run=broken[0])
    if broken:
        sentence = f"with {_of(broken, runs)}, training ends with values that are not finite"
        return Verdict("ill", sentence, run=broken[0])
    if program.data.y is None:
        measured = measure_of_losses(program, runs)
        verdict = _by_fall(runs) if measured is None else _by_loss(program, runs, measured, luck)
    elif program.data.badly_split:
        share = Evidence("share of held-out rows of unknown classes", float(program.data.strangers.mean()), STRANGERS)
        return Verdict("ill", "held-out rows have classes that no training row has", (share,))
    else:
        verdict = _by_score(program, runs, luck)
    return shortened(verdict, runs, program.sample)


def _by_score(program: Program, runs: list[Observed], luck: float) -> Verdict:
    """Return the verdict for answers that are classes or numbers, by score."""
    measured = measure(program, runs)
    scores = _scores(measured)
    lost = failed(measured)
    successful = [run for i, run in enumerate(runs) if i not in lost]
    held_out = granted([measured.held[i] for i in range(len(runs)) if i not in lost], luck)
    in_training = granted([measured.own[i] for i in range(len(runs)) if i not in lost], luck)
    mean, own_mean = statistics.fmean(measured.held), statistics.fmean(measured.own)
    worst = 0 if measured.lags(measured.held[0], measured.best) else int(np.argmin(measured.held))
    if measured.lags(held_out, measured.best):
        words = f"{measured.best_words} reaches {number(measured.shown(measured.best), 3)}"
        if measured.whole:
            words = f"memorising every row reaches {number(measured.best, 3)}"
        return Verdict(
            "ill", f"{_its(measured)} {number(measured.shown(mean), 3)} on {measured.where}; {words}", scores, worst
        )
    if lost:
        return Verdict("ill", _some_fail(measured, lost), scores, lost[0])
    if measured.lags(in_training, measured.linear, measured.own_rows):
        words = f"it scores {number(own_mean, 3)} on its own training rows; "
        words += f"a linear model scores {number(measured.linear, 3)}"
        return Verdict("ill", words, scores, int(np.argmin(measured.own)))
    worsening = [i for i, run in enumerate(runs) if _worsens(run)]
    if len(worsening) * 2 > len(runs) and held_out < measured.best and program.dataset.valid is not None:
        return Verdict("ill", "the held-out score falls while training continues", scores, worsening[0])
    shortfall = below_linear(program, successful, measured)
    if shortfall is not None:
        return Verdict("ill", shortfall, scores, worst)
    if not measured.whole and (mean <= measured.trivial < 1 or _by_chance(program, successful, measured)):
        return Verdict("undecided", _no_better(measured, mean), scores, worst)
    return Verdict("healthy", _learns(program, measured), scores)


def _by_chance(program: Program, runs: Sequence[Observed], measured: Measure) -> bool:
    """Return whether the seeds may be mere luck: no relevant margin above a constant, and no ranking beyond chance."""
    if program.dataset.valid is None or measured.lags(measured.trivial, max(measured.held)):
        return False
    return not any(beats_chance(program, run, LUCK / len(runs)) for run in runs)


def below_linear(program: Program, runs: Sequence[Observed], measured: Measure) -> str | None:
    """Return the sentence for a network a little worse than a linear model, row by row, beyond noise; else None.

    On the training rows, of which there are many, the difference must be beyond chance; it must also appear on held-out
    rows, or the linear model has only memorised its rows. It must be worth a repair: 0.02 of accuracy (0.05 of R²) and
    a quarter more errors.
    """
    least = GAIN if measured.kind == "accuracy" else R2_GAP / 2
    parts = ["train"] if program.dataset.valid is None else ["valid", "train"]
    means = {"valid": measured.held, "train": measured.own}
    linear = {"valid": program.data.levels.held_out.get("linear", -1.0), "train": measured.linear}
    if measured.kind in ("rank", "order", "auc") or any(granted(means[p]) > linear[p] - least for p in parts):
        return None
    for part in parts:
        if part not in program.data.levels.errors:
            return None
        rows, errors = program.data.levels.errors[part]
        wrong = np.stack([errors_by_row(program, run, part, rows) for run in runs])
        gap, is_sure = below(wrong, errors)
        more = wrong.mean() > MORE * errors.mean()
        if gap < least or not more or (part == "train" and not is_sure):
            return None
    words = f"{measured.name} {number(statistics.fmean(measured.held), 3)} on {measured.where}; a linear model reaches "
    return f"{words}{number(linear[parts[0]], 3)}, and is better on the training rows too, beyond chance"


def _by_loss(program: Program, runs: list[Observed], measured: Measure, luck: float) -> Verdict:
    """Return the verdict by the loss, compared with that of a constant output and of a linear model."""
    levels = program.loss_levels
    assert levels is not None
    part = "train" if program.dataset.valid is None else "valid"
    losses = [levels.loss(run.variables, part) for run in runs]
    loss = statistics.fmean(losses)
    scores = [
        Evidence(f"loss on {measured.where}", loss),
        Evidence(f"loss of {levels.constant_words}", levels.constant),
    ]
    words = f"{levels.constant_words} {number(levels.constant, 4)}"
    if levels.linear is not None:
        scores.append(Evidence(f"loss of {levels.linear_words}", levels.linear))
        words += f", {levels.linear_words} {number(levels.linear, 4)}"
    evidence, worst = tuple(scores), int(np.argmin(measured.held))
    lost = failed(measured)
    held_out = granted([score for i, score in enumerate(measured.held) if i not in lost], luck)
    sentence = f"the loss is {number(loss, 4)} on {measured.where}; {words}"
    if held_out < -NEAR:
        return Verdict("ill", f"worse than a constant output: {sentence}", evidence, worst)
    if (held_out < NEAR and measured.best > NEAR) or (held_out < NEAR and levels.linear is None):
        return Verdict("ill", f"no better than a constant output: {sentence}", evidence, worst)
    single = len(program.graph.objectives) == 1
    if single and measured.best > NEAR and measured.lags(held_out, measured.best):
        return Verdict("ill", f"below a simple model: {sentence}", evidence, worst)
    if lost:
        listed, best = ", ".join(number(losses[i], 4) for i in lost), min(losses)
        words = f"with {_of(lost, runs)}, the loss ends at {listed}; the best seed reaches {number(best, 4)}; {words}"
        return Verdict("ill", words, evidence, lost[0])
    return Verdict("healthy", f"it learns: {sentence}", evidence)


def _by_fall(runs: list[Observed]) -> Verdict:
    """Return the verdict without a reference, by whether the loss falls at all."""
    pairs = [(run.losses[0], run.losses[-1]) for run in runs if run.losses]
    first, last = statistics.fmean(a for a, _ in pairs), statistics.fmean(b for _, b in pairs)
    scores = (Evidence("loss of the first epoch", first), Evidence("loss of the last epoch", last))
    idle = [i for i, (a, b) in enumerate(pairs) if b > a - (1 - FALLEN) * abs(a)]
    words = f"{number(first, 4)} in the first epoch, {number(last, 4)} in the last"
    if len(runs[0].losses) > 1 and len(idle) * 2 > len(pairs):
        word = "rises" if last > first + (1 - FALLEN) * abs(first) else "hardly falls"
        return Verdict("ill", f"the loss {word}: {words}", scores, idle[0])
    if len(runs[0].losses) > 1 and idle:
        sentence = f"with {_of(idle, runs)}, the loss hardly falls; over all seeds, {words}"
        return Verdict("ill", sentence, scores, idle[0])
    return Verdict("healthy", f"the loss falls: {words}", scores)


def undecided(program: Program, runs: list[Observed]) -> bool:
    """Return whether the allowance for luck decides the verdict, so that further seeds are needed."""
    return judge(program, runs, False).state != judge(program, runs, False, luck=0.0).state


def shortened(verdict: Verdict, runs: list[Observed], sample: str) -> Verdict:
    """Return the verdict with a remark on shortened runs; `undecided` if one that fails was cut while its loss fell."""
    cut = any(run.cut for run in runs)
    if not cut and not sample:
        return verdict
    steps = f"runs were cut short after {runs[0].steps:,} updates" if cut else ""
    remarks = "; ".join(filter(None, (sample, steps)))
    if verdict.state == "ill" and _falls(runs[verdict.run]):
        words = f"not enough time to decide, the loss is still falling: {verdict.sentence}"
        return verdict._replace(state="undecided", sentence=f"{words} ({remarks}; a larger budget may decide)")
    return verdict._replace(sentence=f"{verdict.sentence} ({remarks})")


def _falls(run: Observed) -> bool:
    """Return whether the loss was still falling in a run's last third."""
    third = max(1, len(run.losses) // 3)
    return len(run.losses) < 3 or run.losses[-1] < FALLEN * run.losses[-1 - third]


def _scores(measured: Measure) -> tuple[Evidence, ...]:
    prefix = "held-out " if measured.where.startswith("held-out rows") else ""
    return (
        Evidence(f"{prefix}{measured.name}", measured.shown(statistics.fmean(measured.held))),
        Evidence(f"{measured.name} of {measured.best_words}", measured.shown(measured.best)),
        Evidence(f"{measured.name} of a constant", measured.shown(measured.trivial)),
    )


def _some_fail(measured: Measure, lost: list[int]) -> str:
    """Return the sentence about seeds that fail while others learn."""
    listed = ", ".join(number(measured.shown(measured.held[i]), 3) for i in lost)
    top = max(score for i, score in enumerate(measured.held) if i not in lost)
    words = f"with {_of(lost, measured.held)}, it ends at {listed} ({measured.name}, {measured.where}); "
    words += f"other seeds reach {number(measured.shown(top), 3)}"
    if measured.best > top:
        words += f", {measured.best_words} {number(measured.shown(measured.best), 3)}"
    return words


def _no_better(measured: Measure, mean: float) -> str:
    """Return the sentence about a network no better than a constant, on too few rows to call that a failure."""
    than = "no better than" if mean <= measured.trivial else "hardly better than"
    words = f"{_its(measured)} {number(measured.shown(mean), 3)} on {measured.where}, {than} a constant answer"
    words += f" ({number(measured.shown(measured.trivial), 3)})"
    if measured.best > measured.trivial:
        words += f"; {measured.best_words} reaches {number(measured.shown(measured.best), 3)}"
    return f"{words}, and {measured.rows} rows are too few to distinguish that from chance"


def _of(lost: Sequence[int], runs: Sequence[object]) -> str:
    return f"{len(lost)} seed{'s' * (len(lost) > 1)} of {len(runs)}"


def _its(measured: Measure) -> str:
    return "it scores" if measured.kind in ("accuracy", "r2") else f"its {measured.name} is"


def _learns(program: Program, measured: Measure) -> str:
    """Return the sentence about a network that learns, with the score of each seed if they differ."""
    mean = statistics.fmean(measured.held)
    if max(measured.held) - min(measured.held) > 2 * ACCURACY_GAP:
        listed = ", ".join(number(measured.shown(score), 3) for score in measured.held)
        words = f"{listed} on {measured.where}, depending on the seed"
    else:
        words = f"{number(measured.shown(mean), 3)} on {measured.where}"
    if measured.kind == "order":
        return (
            f"it ranks: {measured.name} {words}; {measured.best_words} {number(measured.best, 3)}. By R², no answer "
            "beats the mean: a few huge targets dominate the squared error; take their logarithm, or judge by the "
            "absolute error"
        )
    if measured.kind == "rank":
        constant = program.data.levels.trivial
        ranked = f"it ranks: {measured.name} {words}; {measured.best_words} {number(measured.shown(measured.best), 3)}"
        return (
            f"{ranked}. By accuracy, no answer beats always predicting the most frequent class ({constant:.1%}): judge "
            "by AUC, balanced accuracy or log loss, and weight the classes or move the threshold to detect rare ones"
        )
    if measured.whole:
        return f"it learns: {words}, which are all possible rows"
    what = f"{measured.name} " if measured.kind == "auc" else ""
    return f"it learns: {what}{words}; {measured.best_words} {number(measured.best, 3)}"


def _worsens(run: Observed) -> bool:
    scores = [moment.held_out for moment in run.moments]
    return len(scores) > 3 and max(scores) - scores[-1] > 2 * ACCURACY_GAP
