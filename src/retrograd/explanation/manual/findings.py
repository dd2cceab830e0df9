"""Manual pages for findings of the diagnosis and for remedies that a repair tries."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import retrograd.diagnosis.remedies
import retrograd.diagnosis.symptoms  # noqa: F401  # both register what they hold
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
COSTS = {1: "a setting", 2: "a layer or the optimiser", 3: "the structure of the network"}


def named(name: str) -> Iterator[str]:
    """Yield a code of the catalogue, such as S08, and the names of its symptoms."""
    if name.upper() in CATALOGUE:
        yield name.upper()
    yield from (symptom for symptom in symptoms if symptoms[symptom].code == name.upper())


def code_page(code: str) -> Iterator[str]:
    """Yield the title of a code and which of the two doctors detect it."""
    yield f"{code}  (finding: {CATALOGUE[code].title})"
    yield ""
    seen = [symptom for symptom in symptoms if symptoms[symptom].code == code]
    known = [limit for symptom in seen for limit in thresholds_of(symptoms[symptom])]
    in_loops = [limit for limit in CATALOGUE[code].thresholds.values() if limit not in known]
    if seen:
        yield from wrapped(f"Seen by `retrograd diagnose` as {', '.join(seen)}.", "  ")
    if in_loops or not seen:
        yield from wrapped("Seen by `retrograd.torch.watch` in a training loop.", "  ")
    yield from _thresholds(in_loops)


def _thresholds(thresholds: Iterable[Threshold]) -> Iterator[str]:
    for value, reason in thresholds:
        yield from wrapped(f"Threshold:  {value:g} {reason}.", "  ", 14)


def symptom_page(name: str) -> Iterator[str]:
    """Yield the meaning of a finding, how it is judged, and a configuration that shows it."""
    cls, facts = symptoms[name], symptoms.entry(name).facts
    yield f"{name}  (finding {cls.code})"
    yield ""
    yield from flowing(inspect.getdoc(cls) or "")
    yield ""
    yield from wrapped(f"Judged by:  {STAGES[cls.stage]}.", "  ", 14)
    yield from _thresholds(thresholds_of(cls))
    if causes := [cause for cause, effects in EXPLAINS.items() if name in effects]:
        yield from wrapped(f"Effect of:  perhaps {', '.join(causes)}.", "  ", 14)
    if remedy_names := remedies_of(cls):
        yield from wrapped(f"Remedies:   {', '.join(remedy_names)}.", "  ", 14)
    if (examples := facts.get("examples")) and is_plain(examples.sick.settings):
        yield ""
        yield "  A configuration that shows it:"
        yield from (f"    {line}" for line in write_document(examples.sick.settings).rstrip().splitlines())


def remedy_page(name: str) -> Iterator[str]:
    """Yield what a remedy changes, why, and the findings that name it."""
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
    """Return the remedies that a symptom's rule can name, in its order."""
    calls = _calls(cls)
    names = [word.value for call in calls for word in call.keywords if word.arg == "remedies"]
    names += [
        part
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "warned"
        for part in call.args
    ]
    words = [part.value for whole in names for part in ast.walk(whole) if isinstance(part, ast.Constant)]
    return tuple(dict.fromkeys(str(word) for word in words if word in remedies))


def thresholds_of(cls: type[Symptom]) -> list[Threshold]:
    """Return the catalogue's thresholds used by a symptom's rule; all thresholds of its code if it names none."""
    known = CATALOGUE[cls.code].thresholds
    calls = [call for call in _calls(cls) if isinstance(call.func, ast.Name) and call.func.id == "threshold"]
    names = [call.args[1].value for call in calls if isinstance(call.args[1], ast.Constant)]
    return [known[name] for name in known if name in names or len(names) < max(1, len(calls))]


def _calls(cls: type[Symptom]) -> list[ast.Call]:
    rule = ast.parse(inspect.getsource(inspect.getmodule(cls) or cls))
    return [call for call in ast.walk(rule) if isinstance(call, ast.Call)]


def is_plain(value: Any) -> bool:
    """Return whether a configuration file can hold a value: a layer passed as an object cannot be written there."""
    if isinstance(value, Mapping):
        return all(map(is_plain, value.values()))
    return all(map(is_plain, value)) if isinstance(value, (list, tuple)) else isinstance(value, (str, int, float))
