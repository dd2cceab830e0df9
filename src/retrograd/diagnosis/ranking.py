"""The order of findings: causes before their consequences, and experimental evidence before likelihood."""

from __future__ import annotations

from collections.abc import Sequence

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.experiment import FAMILIES, Experiment
from retrograd.diagnosis.explains import explained
from retrograd.diagnosis.symptom import is_effect, is_of_the_answers

SHOWN = 0.95  # confidence in a cause after its remedy alone has repaired
RATE, UPDATES = "optimizer.learning_rate", "training.epochs"


def ranked(findings: Sequence[Finding], state: str, tried: Sequence[Experiment] = ()) -> list[Finding]:
    """Return the findings with the likeliest cause first; if the network learns, they become notes.

    A cause whose remedy alone repairs comes first. Findings about the configuration and the data precede findings about
    the run, which are effects, and findings that others explain.
    """
    unique = list({(f.name, f.path): f for f in findings}.values())
    if state == "healthy":
        unique = [f._replace(severity="note") for f in unique]
    elif state != "hopeless":  # references learn where the network does not, so the answers can be learned
        unique = [f._replace(severity="note") if is_of_the_answers(f) else f for f in unique]
    effects = explained({f.name for f in unique})
    order = sorted(unique, key=lambda f: (f.severity == "note", is_effect(f), f.name in effects, -f.confidence))
    for experiment in tried:
        order = _with_experiment(order, experiment)
    return order


def _with_experiment(order: list[Finding], experiment: Experiment) -> list[Finding]:
    """Return the findings with an experiment's result: in the finding that names the remedy, else as a new finding."""
    family = next((name for name, members in FAMILIES.items() if experiment.remedy in members), experiment.remedy)
    evidence = (
        Evidence(f"{experiment.what} of the worst seed, unchanged", experiment.before),
        Evidence(f"with {experiment.remedy} alone", experiment.after),
    )
    place = _place(order, experiment.remedy, family)
    if place is None:
        return [_new_finding(experiment, family, evidence), *order] if experiment.heals else order
    old = order[place]
    new = old._replace(evidence=tuple(dict.fromkeys((*old.evidence, *evidence))))
    if not experiment.heals:
        return [*order[:place], new, *order[place + 1 :]]
    names = tuple(dict.fromkeys((experiment.remedy, *old.remedies)))
    new = new._replace(remedies=names, confidence=max(old.confidence, SHOWN))
    return [new, *order[:place], *order[place + 1 :]]


def _place(order: list[Finding], remedy: str, family: str) -> int | None:
    """Return the index of the first cause that names a remedy, else of the first effect that names it.

    Learning rates and numbers of updates compensate for many effects without being their cause.
    """
    remedied = [i for i, f in enumerate(order) if f.severity != "note" and f.remedies]
    compensates = family in FAMILIES
    causes = [
        i for i in remedied if not is_effect(order[i]) and family in order[i].remedies[: 1 if compensates else None]
    ]
    effects = [i for i in remedied if remedy in order[i].remedies and not compensates]
    return next(iter(causes or effects), None)


def _new_finding(experiment: Experiment, family: str, evidence: tuple[Evidence, ...]) -> Finding:
    """Return the finding for an experiment whose remedy no other finding names."""
    if family == "more_updates":
        message = "training ends too early: with more updates, and nothing else changed, it learns"
        return Finding.of("travel", UPDATES, message, {}, evidence, (experiment.remedy,), "fault", "S12", SHOWN)
    size = "large" if family == "lower_rate" else "small"
    form = "the learning rate is too {size}: with {rate:.3g}, and nothing else changed, it learns"
    values = {"size": size, "rate": experiment.rate}
    return Finding.of("learning_rate", RATE, form, values, evidence, (experiment.remedy,), "fault", "S07", SHOWN)
