"""The order of findings: causes before their consequences."""

from __future__ import annotations

from retrograd.base.finding import Finding
from retrograd.diagnosis.symptom import is_effect, symptoms


def ranked(found: list[Finding], state: str) -> list[Finding]:
    """Return findings with the likeliest cause first; where the network learns, oddities are notes.

    What the configuration and the data show explains more than what the run shows: the latter are its effects. So is
    what follows another symptom that has been found.
    """
    unique = list({(f.name, f.path): f for f in found}.values())
    if state == "healthy":
        unique = [f._replace(severity="note") for f in unique]
    names = {f.name for f in unique}
    later = {name for name in names if name in symptoms and names.intersection(symptoms[name].follows)}
    return sorted(unique, key=lambda f: (f.severity == "note", is_effect(f), f.name in later, -f.confidence))
