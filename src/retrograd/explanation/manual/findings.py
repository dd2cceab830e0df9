"""Manual pages for the findings of `diagnose` and the remedies of `repair`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import retrograd.diagnosis.remedies
import retrograd.diagnosis.symptoms  # noqa: F401  # both register their contents
from retrograd.base.document import write_document
from retrograd.diagnosis.catalogue import CATALOGUE, Threshold
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
COSTS = {1: "a setting", 2: "a layer or the optimizer", 3: "the structure of the network"}


def named(name: str) -> Iterator[str]:
    """Yield the code with this name, such as S08, if there is one, and the names of its symptoms."""
    if name.upper() in CATALOGUE:
        yield name.upper()
    yield from (symptom for symptom in symptoms if symptoms[symptom].code == name.upper())


def code_page(code: str) -> Iterator[str]:
    """Yield the title of a code and the commands that detect it."""
    yield f"{code}  (finding: {CATALOGUE[code].title})"
    yield ""
    names = [symptom for symptom in symptoms if symptoms[symptom].code == code]
    known = [limit for symptom in names for limit in thresholds_of(symptoms[symptom])]
    in_loops = [limit for limit in CATALOGUE[code].thresholds.values() if limit not in known]
    if names:
        yield from wrapped(f"Detected by `retrograd diagnose` as {', '.join(names)}.", "  ")
    if in_loops or not names:
        yield from wrapped("Detected by `retrograd.torch.watch` in a training loop.", "  ")
    yield from _thresholds(in_loops)


def _thresholds(thresholds: Iterable[Threshold]) -> Iterator[str]:
    for value, reason in thresholds:
        yield from wrapped(f"Threshold:  {value:g} {reason}.", "  ", 14)


def symptom_page(name: str) -> Iterator[str]:
    """Yield the meaning of a finding, what it is based on, and a configuration that shows it."""
    cls, facts = symptoms[name], symptoms.entry(name).facts
    yield f"{name}  (finding {cls.code})"
    yield ""
    yield from flowing(inspect.getdoc(cls) or "")
    yield ""
    yield from wrapped(f"Based on:   {STAGES[cls.stage]}.", "  ", 14)
    yield from _thresholds(thresholds_of(cls))
    if causes := [cause for cause, effects in EXPLAINS.items() if name in effects]:
        yield from wrapped(f"Causes:     possibly {', '.join(causes)}.", "  ", 14)
    if remedy_names := remedies_of(cls):
        yield from wrapped(f"Remedies:   {', '.join(remedy_names)}.", "  ", 14)
    if (examples := facts.get("examples")) and is_plain(examples.sick.settings):
        yield ""
        yield "  A configuration that shows it:"
        yield from (f"    {line}" for line in write_document(examples.sick.settings).rstrip().splitlines())


def remedy_page(name: str) -> Iterator[str]:
    """Yield what a remedy changes, why, and the findings that it may cure."""
    cls = remedies[name]
    yield f"{name}  (remedy)"
    yield ""
    yield from flowing(inspect.getdoc(cls) or "")
    yield ""
    if isinstance(why := getattr(cls, "why", None), str):
        yield from wrapped(f"Why:      {why}.", "  ", 12)
    yield from wrapped(f"Changes:  {COSTS.get(cls.cost, COSTS[3])}.", "  ", 12)
    targets = [symptom for symptom in symptoms if name in remedies_of(symptoms[symptom])]
    if targets:
        yield from wrapped(f"Against:  {', '.join(targets)}.", "  ", 12)
    yield from wrapped("Try it:   retrograd repair CONFIG  (keeps a remedy only if the score improves)", "  ", 12)


def remedies_of(cls: type[Symptom]) -> tuple[str, ...]:
    """Return the remedies that a symptom's rule can name, in order."""
    calls = _calls(cls)
    names = [word.value for call in calls for word in call.keywords if word.arg == "remedies"]
    names += [
        part
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "warned"
        for part in call.args
    ]
    words = [part.value for name in names for part in ast.walk(name) if isinstance(part, ast.Constant)]
    return tuple(dict.fromkeys(str(word) for word in words if word in remedies))


def thresholds_of(cls: type[Symptom]) -> list[Threshold]:
    """Return the thresholds in the catalogue that a symptom's rule uses; all those of its code if it names none."""
    known = CATALOGUE[cls.code].thresholds
    calls = [call for call in _calls(cls) if isinstance(call.func, ast.Name) and call.func.id == "threshold"]
    names = [call.args[1].value for call in calls if isinstance(call.args[1], ast.Constant)]
    return [known[name] for name in known if name in names or len(names) < max(1, len(calls))]


def _calls(cls: type[Symptom]) -> list[ast.Call]:
    rule = ast.parse(inspect.getsource(inspect.getmodule(cls) or cls))
    return [call for call in ast.walk(rule) if isinstance(call, ast.Call)]


def is_plain(value: Any) -> bool:
    """Return whether a value can be written to a configuration file; a layer passed as an object cannot."""
    if isinstance(value, Mapping):
        return all(map(is_plain, value.values()))
    return all(map(is_plain, value)) if isinstance(value, (list, tuple)) else isinstance(value, (str, int, float))
