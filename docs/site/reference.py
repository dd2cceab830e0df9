"""A page for each thing with a name: layers, losses and the like, findings, remedies, concepts, groups of settings."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from prose import code, first_sentence, link, markdown, plain, table

from retrograd.base.document import write_document
from retrograd.base.registry import PLURALS, Registry
from retrograd.base.schema import SettingField, fields
from retrograd.diagnosis.explains import EXPLAINS
from retrograd.diagnosis.remedy import remedies
from retrograd.diagnosis.symptom import symptoms
from retrograd.explanation.manual import findings, things
from retrograd.explanation.manual.concepts import concepts, other_names
from retrograd.explanation.manual.layout import what_it_takes
from retrograd.explanation.manual.settings import REGISTRIES, configuration

Pages = dict[str, str]
FOLDERS = {registry: PLURALS.get(registry.kind, f"{registry.kind}s") for registry in REGISTRIES}
FOLDERS |= {symptoms: "findings", remedies: "remedies"}
ROOT = "settings/configuration.md"


def all_pages() -> Pages:
    """Return every page of the reference, by its place."""
    pages: Pages = {}
    for registry, folder in FOLDERS.items():
        for name in registry:
            pages[f"{folder}/{name}.md"] = "\n\n".join(_page(registry, name))
        rows = [(link(f"`{n}`", place_of(registry, n), f"{folder}/index.md"), _sentence(registry, n)) for n in registry]
        pages[f"{folder}/index.md"] = f"# {folder.capitalize()}\n\n{table(('name', 'what it is'), rows)}"
    for name in concepts():
        pages[f"concepts/{name}.md"] = "\n\n".join(_concept(name))
    rows = [
        (link(f"`{n}`", f"concepts/{n}.md", "concepts/index.md"), plain(", ".join(c.also)))
        for n, c in concepts().items()
    ]
    pages["concepts/index.md"] = f"# Concepts\n\n{table(('name', 'also called'), rows)}"
    for group in groups():
        pages[place_of_group(group)] = "\n\n".join(_group(group))
    return pages | {"chinese.md": _chinese()}


def place_of(registry: Registry[Any], name: str) -> str:
    """Return where a thing's page is."""
    return f"{FOLDERS[registry]}/{name}.md"


def place_called(name: str) -> str | None:
    """Return where the first page of this name is: of a concept, a thing, a setting."""
    if name in concepts():
        return f"concepts/{name}.md"
    for registry in FOLDERS:
        if name in registry:
            return place_of(registry, name)
    paths = [path for path in configuration() if path == name or path.endswith(f".{name}")]
    if paths:
        return place_of_group(paths[0]) if paths[0] in groups() else place_of_group(paths[0].rpartition(".")[0])
    return next((place_of(r, n) for r in REGISTRIES for n in r if name in [f.name for f in fields(r[n])]), None)


def groups() -> list[str]:
    """Return the settings that hold settings; the whole configuration is the empty one."""
    return list(dict.fromkeys(path.rpartition(".")[0] for path in configuration()))


def place_of_group(group: str) -> str:
    """Return where the page of a group of settings is."""
    return f"settings/{group}.md" if group else ROOT


# ------------------------------------------------------------------------------------------------------ single pages


def _page(registry: Registry[Any], name: str) -> Iterator[str]:
    cls, page = registry[name], place_of(registry, name)
    yield f"# {name}"
    kind = f"finding {cls.code}" if registry is symptoms else registry.kind
    yield f"*{kind}* · `retrograd explain {name}`"
    yield markdown(inspect.getdoc(cls) or "")
    if registry is symptoms:
        yield from _finding(name, page)
    elif registry is remedies:
        yield from _remedy(name, page)
    else:
        yield from _formulas(cls)
        if fields(cls):
            yield "## Settings"
            yield "A value alone sets the first."
            yield from map(_setting, fields(cls))
        if example := things.example_of(registry, name):
            yield "## In a configuration"
            yield code(example, "yaml")


def _formulas(cls: type) -> Iterator[str]:
    equations = getattr(cls, "equations", None)
    if equations is not None:
        yield "## Formulas"
        backward = [f"{'backward' if i == 0 else '':<10}{line}" for i, line in enumerate(equations.backward)]
        yield code("\n".join([f"{'forward':<10}{equations.forward}", *backward]))
    elif isinstance(formula := getattr(cls, "formula", None), str):
        yield "## Formula"
        yield code(formula.replace("; ", "\n"))


def _setting(field: SettingField, level: int = 3) -> str:
    words = field.words
    facts = [("larger", words.more), ("smaller", words.less)]
    facts += [("default", words.why)] if words.why not in ("", "none", "false") else []
    listed = "\n".join(f"- *{fact}*: {plain(text)}" for fact, text in facts if text)
    return "\n\n".join([f"{'#' * level} `{field.name}`", plain(words.what), f"*{plain(what_it_takes(field))}*", listed])


def _finding(name: str, page: str) -> Iterator[str]:
    cls, facts = symptoms[name], symptoms.entry(name).facts
    yield f"**Judged by** {plain(findings.STAGES[cls.stage])}."
    if causes := [cause for cause, effects in EXPLAINS.items() if name in effects]:
        yield f"**Perhaps an effect of** {_links(causes, page, symptoms)}."
    if answers := findings.remedies_of(cls):
        yield f"**Remedies**: {_links(answers, page, remedies)}."
    if (examples := facts.get("examples")) and findings.is_plain(examples.sick.settings):
        yield "## A configuration that shows it"
        yield code(write_document(examples.sick.settings), "yaml")


def _remedy(name: str, page: str) -> Iterator[str]:
    cls = remedies[name]
    if isinstance(why := getattr(cls, "why", None), str):
        yield f"**Why**: {plain(why)}."
    yield f"**Changes** {findings.COSTS.get(cls.cost, findings.COSTS[3])}."
    if answered := [symptom for symptom in symptoms if name in findings.remedies_of(symptoms[symptom])]:
        yield f"**Answers** {_links(answered, page, symptoms)}."
    yield "`retrograd repair CONFIG` tries it, and keeps it only where it measures better."


def _concept(name: str) -> Iterator[str]:
    concept, page = concepts()[name], f"concepts/{name}.md"
    yield f"# {name}"
    yield f"*concept* · `retrograd explain {name}`"
    yield markdown(concept.text)
    if concept.formula:
        yield code(concept.formula.replace("; ", "\n"))
    yield "## See it"
    yield code(concept.command, "sh")
    if concept.related:
        yield f"**Related**: {_links(concept.related, page)}"
    if concept.also:
        yield f"**Also**: {plain(', '.join(concept.also))}"


def _group(group: str) -> Iterator[str]:
    known, page = configuration(), place_of_group(group)
    yield f"# {group or 'Settings of a configuration'}"
    if group in known:
        field, words = known[group]
        yield plain(words.what[:1].upper() + words.what[1:] + ".") if words.what else ""
    for path, (field, words) in known.items():
        section, _, name = path.rpartition(".")
        if section != group:
            continue
        if path in groups():
            yield f"## {link(f'`{name}`', place_of_group(path), page)}\n\n{plain(words.what)}"
        elif field is not None:
            yield _setting(field, level=2)


def _chinese() -> str:
    terms = {name: [n for n in names if place_called(n)] for name, names in other_names().items() if not name.isascii()}
    rows = [
        (name, ", ".join(link(f"`{n}`", str(place_called(n)), "chinese.md") for n in names))
        for name, names in sorted(terms.items())
    ]
    head = "# 中文\n\nEvery Chinese term that `retrograd explain` knows, and its pages."
    return (
        f"{head} The words of the project itself are in the [glossary](glossary.md).\n\n{table(('中文', 'page'), rows)}"
    )


def _links(names: Iterable[str], page: str, registry: Registry[Any] | None = None) -> str:
    """Return links to the pages of names, of those in this registry first."""
    places = [place_of(registry, name) if registry and name in registry else place_called(name) for name in names]
    return ", ".join(link(f"`{name}`", to, page) if to else f"`{name}`" for name, to in zip(names, places, strict=True))


def _sentence(registry: Registry[Any], name: str) -> str:
    code = f"{symptoms[name].code}: " if registry is symptoms else ""
    return code + first_sentence(inspect.getdoc(registry[name]) or "")
