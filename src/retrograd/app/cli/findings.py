"""Diagnoses and repairs as text that fits 80 columns."""

from __future__ import annotations

import math
import textwrap

from retrograd.app.cli.tables import WIDTH, number, table
from retrograd.base.finding import Finding
from retrograd.diagnosis.diagnose import Diagnosis
from retrograd.diagnosis.remedy import remedies
from retrograd.repairs.repair import Repair

WORDS = {
    "undecided": "undecided",
    "healthy": "healthy",
    "ill": "ill",
    "hopeless": "nothing to learn",
    "refused": "cannot be trained",
}
SCORES = {"binary": "accuracy", "multiclass": "accuracy", "multilabel": "mean AUC"}
MOST = 6  # causes that are shown in full


def say_diagnosis(found: Diagnosis) -> None:
    """Print the verdict, the reference levels, causes with their evidence, and notes."""
    print(found.program.describe())
    say(f"{WORDS[found.verdict.state]}: {found.verdict.sentence}")
    if found.levels is not None:
        names = list(found.levels.held_out)
        rows = [["", "network", *names]]
        split = found.program.dataset.valid is not None
        other = "held out" if split else "reachable" if found.levels.whole else "out of fold"
        for part, scores in (("train", found.levels.train), (other, found.levels.held_out)):
            own = [run.train_score if part == "train" else run.score for run in found.runs if split or part == "train"]
            mean = number(sum(own) / len(own)) if own else "-"
            rows.append([part, mean, *(number(scores.get(name)) for name in names)])
        print(f"\n{SCORES.get(found.program.dataset.task, 'R²')} of the network and of references\n{table(rows)}")
    causes, notes = found.causes, [f for f in found.findings if f.severity == "note"]
    for i, finding in enumerate(causes[:MOST], start=1):
        print(f"\n{i}. {finding.name} [{finding.code}], confidence {finding.confidence:.0%}")
        say_finding(finding)
    if len(causes) > MOST:
        say(f"\nand {', '.join(dict.fromkeys(finding.name for finding in causes[MOST:]))}")
    if notes:
        print("\nnotes")
        for finding in notes[:MOST]:
            say(f"{finding.path}: {finding.message}" if finding.path else finding.message, "  - ")


def say_finding(finding: Finding) -> None:
    """Print where, what, and how it is known; then what may help."""
    say(f"{finding.path}: {finding.message}" if finding.path else finding.message, "   ")
    for evidence in finding.evidence:
        say(f"{evidence}", "   evidence: ")
    helps = [f"{name} ({remedies[name].why})" for name in finding.remedies[:2] if name in remedies]
    if helps:
        say("; ".join(helps), "   may help: ")


def say_repair(found: Repair) -> None:
    """Print what was tried, what helped and how much."""
    print()
    say(found.sentence)
    if found.found is None:
        return
    budget = found.found.budget
    allowed = f" of {budget.updates:,}" if math.isinf(budget.seconds) else ""
    print(f"{len(found.found.tried)} bundles tried with {budget.spent:,}{allowed} updates")
    if found.random is not None:
        print(f"random search with as many updates: {found.random.mean:.3g} ± {found.random.spread:.2g}")
    tried = sorted(found.found.tried, key=lambda candidate: (not candidate.scores, -candidate.shown))[:MOST]
    for candidate in tried:
        mark = "*" if candidate is found.best else " "
        short = "" if candidate.scores else " (a short look)"
        say(f"{candidate.shown:7.3f}  {', '.join(candidate.remedies)}{short}", f" {mark} ", " " * 12)
    if found.best is not None:
        print("\nwhat helped")
        for name in found.best.remedies:
            say(f"{name}: {remedies[name].why}", "  - ")


def say(text: str, first: str = "", rest: str | None = None) -> None:
    """Print a text in lines of at most 80 columns."""
    indent = " " * len(first) if rest is None else rest
    for line in text.splitlines() or [""]:
        print(textwrap.fill(line, WIDTH, initial_indent=first, subsequent_indent=indent, break_long_words=False))
