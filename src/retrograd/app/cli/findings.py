"""Diagnoses and repairs as text that fits 80 columns."""

from __future__ import annotations

import math

from retrograd.base.finding import Finding
from retrograd.diagnosis.diagnose import Diagnosis
from retrograd.diagnosis.remedy import remedies
from retrograd.present.numbers import alone, number
from retrograd.present.tables import table
from retrograd.present.text import filled
from retrograd.repairs.repair import Repair

WORDS = {
    "undecided": "undecided",
    "healthy": "healthy",
    "ill": "ill",
    "hopeless": "nothing to learn",
    "refused": "cannot be trained",
}
SCORES = {"binary": "accuracy", "multiclass": "accuracy", "multilabel": "mean AUC"}
MOST = 6  # causes shown in full


def say_diagnosis(diagnosis: Diagnosis) -> None:
    """Print the verdict, the reference levels, the causes with their evidence, and the notes."""
    print(diagnosis.program.describe())
    print(filled(f"{WORDS[diagnosis.verdict.state]}: {diagnosis.verdict.sentence}", hang=0))
    if diagnosis.levels is not None:
        # the neighbours of a row in a whole truth table are its opposites: their score says nothing
        names = [name for name in diagnosis.levels.held_out if not (diagnosis.levels.whole and name == "nearest")]
        rows = [["", "network", *names]]
        split = diagnosis.program.dataset.valid is not None
        other = "held out" if split else "reachable" if diagnosis.levels.whole else "out of fold"
        for part, scores in (("train", diagnosis.levels.train), (other, diagnosis.levels.held_out)):
            runs = diagnosis.runs if split or part == "train" else ()
            scores_of_runs = [run.train_score if part == "train" else run.score for run in runs]
            mean = alone(sum(scores_of_runs) / len(scores_of_runs)) if scores_of_runs else "-"
            rows.append([part, mean, *(alone(scores.get(name)) for name in names)])
        mean_of = f" (mean of {len(diagnosis.runs)} runs)" if len(diagnosis.runs) > 1 else ""
        score = SCORES.get(diagnosis.program.dataset.task, "R²")
        print(f"\n{score} of the network{mean_of} and of references\n{table(rows)}")
    causes, notes = diagnosis.causes, [f for f in diagnosis.findings if f.severity == "note"]
    if len(causes) > 1:
        print("\nfindings, likely causes before their effects")
    for i, finding in enumerate(causes[:MOST], start=1):
        print(f"\n{i}. {finding.name} [{finding.code}], confidence {finding.confidence:.0%}")
        say_finding(finding)
    if len(causes) > MOST:
        print(filled(f"\nand {', '.join(dict.fromkeys(finding.name for finding in causes[MOST:]))}", hang=0))
    if notes:
        print("\nnotes")
        for finding in notes[:MOST]:
            print(filled(f"{finding.path}: {finding.message}" if finding.path else finding.message, "  - ", 4))


def say_finding(finding: Finding) -> None:
    """Print where the finding is, its message and evidence, and the remedies that may help."""
    print(filled(f"{finding.path}: {finding.message}" if finding.path else finding.message, "   ", 3))
    for evidence in finding.unsaid:
        print(filled(f"{evidence}", "   evidence: ", 13))
    helps = [f"{name} ({remedies[name].why})" for name in finding.remedies[:2] if name in remedies]
    if helps:
        print(filled("; ".join(helps), "   may help: ", 13))


def say_repair(repair: Repair) -> None:
    """Print what was tried, what helped, and by how much."""
    print()
    print(filled(repair.sentence, hang=0))
    if repair.search is None:
        return
    budget = repair.search.budget
    allowed = f" of {budget.updates:,}" if math.isinf(budget.seconds) else ""
    print(f"{len(repair.search.tried)} sets of remedies tried in {budget.spent:,}{allowed} updates")
    if repair.random is not None:
        score = repair.shown(repair.random)
        print(f"random search with the same number of updates: {number(score.mean, 3)} ± {number(score.spread, 2)}")
    tried = sorted(repair.search.tried, key=lambda candidate: (not candidate.scores, -candidate.shown))[:MOST]
    for candidate in tried:
        mark = "*" if candidate is repair.best else " "
        short = "" if candidate.scores else " (short trial only)"
        print(
            filled(f"{_seven(repair.shown(candidate).shown)}  {', '.join(candidate.remedies)}{short}", f" {mark} ", 12)
        )
    if repair.best is not None:
        print("\nwhat helped")
        for name, why in repair.reasons.items():
            print(filled(f"{name}: {why}", "  - ", 4))


def _seven(score: float) -> str:
    """Return a score in seven characters; a loss, which may have any magnitude, gets three digits."""
    return f"{score:7.3f}" if abs(score) <= 1 and f"{score:.3f}" != "0.000" else f"{score:7.3g}"
