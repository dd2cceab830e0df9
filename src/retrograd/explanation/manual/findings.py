"""Manual pages of what the diagnosis finds and of what a repair tries."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import retrograd.diagnosis.remedies
import retrograd.diagnosis.symptoms  # noqa: F401  # both register what they hold
from retrograd.base.document import write_document
from retrograd.diagnosis.explains import EXPLAINS
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import Symptom, symptoms
from retrograd.explanation.manual.layout import flowing
from retrograd.present.text import wrapped

STAGES = {
    "static": "the configuration alone; `retrograd explain` shows it too",
    "data": "the data; `retrograd explain` shows it too",
    "probe": "short probes of the network before training",
    "run": "a training run",
}
COSTS = {1: "a setting", 2: "a layer or the optimiser", 3: "the structure of the network"}


def named(name: str) -> Iterator[str]:
    """Yield the names of the symptoms with this code of the catalogue, as in S08."""
    yield from (symptom for symptom in symptoms if symptoms[symptom].code == name.upper())


def symptom_page(name: str) -> Iterator[str]:
    """Yield what a finding means, what it is judged by, and a configuration that shows it."""
    cls, facts = symptoms[name], symptoms.entry(name).facts
    yield f"{name}  (finding {cls.code})"
    yield ""
    yield from flowing(inspect.getdoc(cls) or "")
    yield ""
    yield from wrapped(f"Judged by:  {STAGES[cls.stage]}.", "  ", 14)
    if causes := [cause for cause, effects in EXPLAINS.items() if name in effects]:
        yield from wrapped(f"Effect of:  perhaps {', '.join(causes)}.", "  ", 14)
    if remedy_names := remedies_of(cls):
        yield from wrapped(f"Remedies:   {', '.join(remedy_names)}.", "  ", 14)
    if (examples := facts.get("examples")) and is_plain(examples.sick.settings):
        yield ""
        yield "  A configuration that shows it:"
        yield from (f"    {line}" for line in write_document(examples.sick.settings).rstrip().splitlines())


def remedy_page(name: str) -> Iterator[str]:
    """Yield what a remedy changes, why, and which findings it answers."""
    cls = remedies[name]
    yield f"{name}  (remedy)"
    yield ""
    yield from flowing(inspect.getdoc(cls) or "")
    yield ""
    if isinstance(why := getattr(cls, "why", None), str):
        yield from wrapped(f"Why:      {why}.", "  ", 12)
    yield from wrapped(f"Changes:  {COSTS.get(cls.cost, COSTS[3])}.", "  ", 12)
    answers = [symptom for symptom in symptoms if name in remedies_of(symptoms[symptom])]
    if answers:
        yield from wrapped(f"Answers:  {', '.join(answers)}.", "  ", 12)
    yield from wrapped("Try it:   retrograd repair CONFIG  (applies a remedy only where it measures better)", "  ", 12)


def remedies_of(cls: type[Symptom]) -> tuple[str, ...]:
    """Return the remedies that a symptom's rule can name, in the order in which it names them."""
    rule = ast.parse(inspect.getsource(inspect.getmodule(cls) or cls))
    calls = [call for call in ast.walk(rule) if isinstance(call, ast.Call)]
    names = [word.value for call in calls for word in call.keywords if word.arg == "remedies"]
    names += [
        part
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "told"
        for part in call.args
    ]
    words = [part.value for whole in names for part in ast.walk(whole) if isinstance(part, ast.Constant)]
    return tuple(dict.fromkeys(str(word) for word in words if word in remedies))


def is_plain(value: Any) -> bool:
    """Tell whether a configuration file can hold a value: an own layer, as an object, cannot be written there."""
    if isinstance(value, Mapping):
        return all(map(is_plain, value.values()))
    return all(map(is_plain, value)) if isinstance(value, (list, tuple)) else isinstance(value, (str, int, float))
