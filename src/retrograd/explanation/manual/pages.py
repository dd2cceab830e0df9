"""The manual: the pages for a name, and the list of all names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from retrograd.base.errors import UsageError, did_you_mean
from retrograd.base.registry import PLURALS
from retrograd.base.synonyms import same_things
from retrograd.diagnosis.catalogue import CATALOGUE
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import symptoms
from retrograd.explanation.manual import concepts, findings, settings, things
from retrograd.explanation.manual.layout import first_sentence
from retrograd.explanation.manual.settings import REGISTRIES, configuration, last, line_of


def manual(name: str) -> str:
    """Return the manual pages for a name: of a registry, a finding, a remedy, a setting or a concept.

    A setting is found by its path (`training.batch_size`, `optimizer.adam.beta1`) or the last part of it; a finding by
    its name or code (`S08`); a concept by any of its names, in English or Chinese. Names used by other libraries work
    as well.

    Raises:  UsageError if no page has that name
    """
    names = list(
        dict.fromkeys([name, *concepts.other_names().get(concepts.plain_name(name), ()), *findings.named(name)])
    )
    pages = list(dict.fromkeys("\n".join(page) for title in names for page in _pages(title)))
    if not pages and (ours := same_things(last(name), _all_names())):  # a name from another library
        head = f"{name} is called {' or '.join(ours)} here."
        return "\n\n".join([head, *("\n".join(page) for title in ours for page in _pages(title))])
    if not pages:
        cure = did_you_mean(last(name), _all_names())
        near = f"{cure} " if cure.startswith("did") else ""
        raise UsageError(f"no manual page for '{name}'", cure=f"{near}`retrograd explain --list` lists all names")
    return "\n\n".join(pages)


def names() -> str:
    """Return all names that have a manual page, by kind, each with its first sentence."""
    lines: list[str] = []
    for registry in (*REGISTRIES, symptoms, remedies):
        kind = "finding" if registry is symptoms else registry.kind
        lines.append(PLURALS.get(kind, kind + "s").upper())
        for name in registry:
            code = f"{symptoms[name].code}: " if registry is symptoms else ""
            lines += line_of(name, code + first_sentence(registry[name]))
        lines.append("")
    lines.append("CONCEPTS")
    for name, concept in concepts.concepts().items():
        lines += concepts.listed(f"  {name:<30}", concept.also)
    lines += ["", "SETTINGS of a configuration; those of layers, losses... are on their pages"]
    for path, (_, words) in configuration().items():
        lines += line_of(path, words.what, width=34)
    return "\n".join(lines)


def _pages(name: str) -> Iterator[Iterable[str]]:
    """Yield every page with exactly this name."""
    if name in concepts.concepts():
        yield concepts.page(name)
    yield from (things.page(registry, name) for registry in REGISTRIES if name in registry)
    if name in CATALOGUE:
        yield findings.code_page(name)
    if name in symptoms:
        yield findings.symptom_page(name)
    if name in remedies:
        yield findings.remedy_page(name)
    if matches := dict(settings.called(name)):
        yield settings.page(name, matches)


def _all_names() -> set[str]:
    registered = {name for registry in (*REGISTRIES, symptoms, remedies) for name in registry}
    return registered | set(CATALOGUE) | {last(path) for path in settings.all_paths()} | set(concepts.concepts())
