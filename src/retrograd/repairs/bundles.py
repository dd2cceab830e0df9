"""Bundles of remedies worth trying, likeliest first: faults occur together, so a single change often has no effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from retrograd.diagnosis.diagnose import Diagnosis
from retrograd.diagnosis.symptom import is_effect

SOUND = (
    "shuffled_split", "shuffle", "scale_inputs", "scale_targets", "match_output", "mean_loss",
    "default_initial_weights", "hidden_relu", "add_activations", "less_regularisation",
)  # fmt: skip
RATES = ("raise_rate", "lower_rate", "raise_rate_some", "lower_rate_much", "raise_rate_much")
SURE = 0.7  # minimum confidence of the findings whose remedies form a bundle
OVERFIT = ("early_stopping", "weight_decay", "add_dropout", "augment_images", "mixup", "simpler_network")


def consistent(names: Iterable[str]) -> tuple[str, ...]:
    """Return remedies without repetition, with only the first of those that change the learning rate."""
    unique = list(dict.fromkeys(names))
    dropped = [name for name in unique if name in RATES][1:]
    return tuple(name for name in unique if name not in dropped)


def bundles(diagnosis: Diagnosis) -> Iterator[tuple[str, ...]]:
    """Yield bundles: remedies that experiments proved, remedies of findings, sound defaults, larger changes."""
    causes = diagnosis.causes
    curable = [finding for finding in causes if finding.remedies and not is_effect(finding)] or causes
    first = consistent(finding.remedies[0] for finding in curable if finding.remedies)
    faults = consistent(finding.remedies[0] for finding in curable if finding.remedies and finding.severity == "fault")
    sure = consistent(finding.remedies[0] for finding in curable if finding.remedies and finding.confidence >= SURE)
    every = tuple(dict.fromkeys(name for finding in causes for name in finding.remedies))
    proved = tuple(experiment.remedy for experiment in diagnosis.experiments if experiment.heals)
    if proved:
        yield proved
    if any(finding.name == "overfit" for finding in causes):
        yield from ((name,) for name in OVERFIT)
        yield OVERFIT[:2]
    yield faults
    yield first
    yield sure
    yield (*SOUND, "adam")
    yield consistent((*first, *SOUND, "adam"))
    yield (*SOUND, "adam", "more_updates")
    yield (*first, "more_updates")
    yield SOUND
    yield (*SOUND, "widen", "adam", "more_updates")
    yield (*SOUND, "widen", "fewer_layers", "adam", "more_updates")
    yield (*SOUND, "widen", "normalise", "adam")
    for rate in RATES:
        yield consistent((rate, *first))
    yield (*SOUND, "widen", "fewer_layers", "adam", "many_updates")
    yield (*SOUND, "adam", "smaller_batch", "many_updates")
    for rate in RATES:
        yield (*SOUND, rate)
    yield (*SOUND, "widen", "fewer_layers", "adam", "raise_rate_some", "many_updates")
    yield (*SOUND, "weigh_classes", "adam")
    for name in every:
        yield (name,)
