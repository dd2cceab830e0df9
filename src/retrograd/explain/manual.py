"""Manual pages: one thing that a configuration can name, or one setting, from the registries and their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from retrograd.base.annotations import Words, describe
from retrograd.base.document import write_document
from retrograd.base.errors import UsageError, did_you_mean
from retrograd.base.registry import Registry
from retrograd.base.schema import MISSING, SettingField, Settings, fields, settings_class, unwrap, words_of
from retrograd.explain.explain_settings import in_short
from retrograd.explain.explain_text import wrapped
from retrograd.network.entries import COMMON
from retrograd.network.initializers import initializers
from retrograd.network.layer import layers
from retrograd.network.losses.loss import losses
from retrograd.network.scope import blocks
from retrograd.train.config import RunConfig
from retrograd.update.optimizer import optimizers
from retrograd.update.penalties import penalties
from retrograd.update.schedule import schedules

HEADING = re.compile(r"[A-Z][a-z]+: {2,}")
REGISTRIES: tuple[Registry[Any], ...] = (layers, blocks, losses, optimizers, schedules, penalties, initializers)


def manual(name: str) -> str:
    """Return the manual pages of a layer, block, loss, optimizer, schedule, penalty, initializer, or setting.

    A setting is given by its path (`training.batch_size`, `optimizer.adam.beta1`) or by its name alone.

    Raises:  UsageError when there is nothing of that name
    """
    pages = ["\n".join(_page(registry, name)) for registry in REGISTRIES if name in registry]
    pages += ["\n".join(_setting_page(name, found))] if (found := dict(settings_called(name))) else []
    if not pages:
        last = name.rpartition(".")[2]
        cure = did_you_mean(last, {*(n for registry in REGISTRIES for n in registry), *(_last(p) for p in _paths())})
        near = f"{cure} " if cure.startswith("did") else ""
        raise UsageError(f"nothing is called '{name}'", cure=f"{near}`retrograd explain --list` tells all names")
    return "\n\n".join(pages)


def names() -> str:
    """Return all names that have a manual page, by kind, with the first sentence of each."""
    lines: list[str] = []
    for registry in REGISTRIES:
        lines.append(f"{registry.kind.upper()}S")
        for name in registry:
            lines += wrapped(f"{name:<24}{_sentence(registry[name])}", "  ", 26)
        lines.append("")
    lines.append("SETTINGS of a configuration; those of a layer, loss... stand on its page")
    for path, (_, words) in _paths().items():
        if path.count(".") < 2 or path.startswith("data.split"):
            lines += wrapped(f"{path:<34}{words.what}", "  ", 36)
    return "\n".join(lines)


def _page(registry: Registry[Any], name: str) -> Iterator[str]:
    cls = registry[name]
    yield f"{name}  ({registry.kind})"
    yield ""
    yield from _flowing(inspect.getdoc(cls) or "")
    yield from _formulas(cls)
    if fields(cls):
        yield ""
        yield "  Settings (the value alone fills the first):"
        for field in fields(cls):
            yield from _setting(cls, field)
    if example := _example(registry, name):
        yield ""
        yield "  In a configuration:"
        yield from (f"    {line}" for line in example.rstrip().splitlines())


def _formulas(cls: type) -> Iterator[str]:
    equations = getattr(cls, "equations", None)
    if equations is not None:
        yield ""
        yield from wrapped(f"Forward:  {equations.forward}", "  ", 12)
        for i, line in enumerate(equations.backward):
            yield from wrapped(f"{'Backward: ' if i == 0 else '          '}{line}", "  ", 12)
    elif isinstance(formula := getattr(cls, "formula", None), str):
        yield ""
        yield from wrapped(f"Formula:  {formula}", "  ", 12)


def _setting(cls: type, field: SettingField) -> Iterator[str]:
    words = words_of(cls, field.name) or Words("")
    default = "must be given" if field.default is MISSING else f"default {in_short(field.default)}"
    yield from wrapped(f"{field.name}: {describe(field.annotation)}; {default}", "    ", 6)
    yield from _in_words(words, "      ")


def _in_words(words: Words, indent: str) -> Iterator[str]:
    sides = [f"{side}: {text}" for side, text in (("larger", words.more), ("smaller", words.less)) if text]
    why = f"why that default: {words.why}" if words.why not in ("", "none", "false") else ""
    for text in (words.what, why, ". ".join(sides)):
        if text:
            yield from wrapped(text, indent)


def _setting_page(name: str, found: Mapping[str, tuple[SettingField | None, Words]]) -> Iterator[str]:
    """Yield what each setting of this name is; of settings that share their words these stand once."""
    yield f"{name}  (setting)"
    told: dict[Words, list[str]] = {}
    for path, (field, words) in found.items():
        default = "" if field is None else (
            "must be given" if field.default is MISSING else f"default {in_short(field.default)}"
        )  # fmt: skip
        told.setdefault(words, []).append(f"{path}: {default}" if default else path)
    for words, places in told.items():
        yield ""
        for place in places:
            yield from wrapped(place, "  ")
        yield from _in_words(words, "    ")


def settings_called(name: str) -> Iterator[tuple[str, tuple[SettingField | None, Words]]]:
    """Yield the settings of this path, or (for a name without dots) of this last name."""
    for path, facts in _paths().items():
        if path == name or ("." not in name and _last(path) == name) or path.endswith(f".{name}"):
            yield path, facts


def _paths() -> dict[str, tuple[SettingField | None, Words]]:
    """Return every setting by its path; what a registry names stands under its name: `dense.units`."""
    found: dict[str, tuple[SettingField | None, Words]] = dict(_of(RunConfig, ""))
    for registry in REGISTRIES:
        for name in registry:
            section = {"optimizer": "optimizer.", "loss": "loss."}.get(registry.kind, "")
            found |= dict(_of(registry[name], f"{section}{name}"))
    return found | {f"network.{key}": (None, words) for key, words in COMMON.items()}


def _of(cls: type[Settings], path: str) -> Iterator[tuple[str, tuple[SettingField | None, Words]]]:
    for field in fields(cls):
        inner = f"{path}.{field.name}" if path else field.name
        yield inner, (field, words_of(cls, field.name) or Words(""))
        base, marks = unwrap(field.annotation)
        nested = settings_class(base)
        if nested is not None and not marks:
            yield from _of(nested, inner)


def _example(registry: Registry[Any], name: str) -> str:
    facts = registry.entry(name).facts
    given: Mapping[str, Any] = facts.get("example") or next(
        (e.settings for e in facts.get("examples", ()) if e.settings), {}
    )
    settings = dict(given)
    entry = {name: settings} if settings else name
    if registry in (layers, blocks):
        return write_document({"network": [entry]}) if settings or registry is layers else ""
    section = {"loss": "loss", "optimizer": "optimizer", "penalty": "penalties"}.get(registry.kind)
    return write_document({section: [entry] if section == "penalties" else entry}) if section else ""


def _sentence(cls: type) -> str:
    text = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
    return text.partition(". ")[0].rstrip(".") + "."


def _flowing(text: str) -> Iterator[str]:
    """Yield a docstring with its paragraphs filled to the width; formulas, which stand further right, stay lines."""
    held: list[str] = []
    hang = 0

    def ended() -> list[str]:
        lines = wrapped(" ".join(" ".join(held).split()), "  ", hang + 2 if hang else 2) if held else []
        held.clear()
        if hang and lines:  # blanks behind the heading were joined
            head, _, rest = lines[0].strip().partition(": ")
            joined = " ".join([rest, *(line.strip() for line in lines[1:])])
            return wrapped(f"{f'{head}:':<{hang}}{joined}", "  ", hang + 2)
        return lines if hang else [line if i == 0 else f"  {line.strip()}" for i, line in enumerate(lines)]

    for line in text.splitlines():
        heading = HEADING.match(line)
        if heading or not line.strip() or (line.startswith("    ") and not hang):
            yield from ended()
            hang = len(heading[0]) if heading else 0
            if not heading:
                indent = "  " + " " * (len(line) - len(line.lstrip()))
                yield from wrapped(line.strip(), indent, len(indent) + 4)
                continue
        held.append(line)
    yield from ended()


def _last(path: str) -> str:
    return path.rpartition(".")[2]
