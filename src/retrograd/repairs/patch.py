"""A repair as a patch of the user's file that preserves comments and changes as few lines as possible."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from retrograd.base.document import write_document
from retrograd.base.schema import dump, fields
from retrograd.network.layer import layers
from retrograd.training.config.config import RunConfig
from retrograd.update.optimizer import optimizers

NESTED = ("training", "data", "data.split")  # sections whose settings change one by one; others change as a whole


class Edit(NamedTuple):
    """One change: a path in the configuration, and the new value (None deletes it)."""

    path: tuple[str, ...]
    value: Any


def changes(before: RunConfig, after: RunConfig) -> list[Edit]:
    """Return the differences between two configurations outside the network."""
    return list(_compare(_plain(before), _plain(after), ()))


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Edit]:
    for key in dict.fromkeys((*old, *new)):
        inner, before, after = (*path, key), old.get(key), new.get(key)
        if before == after or key == "network":
            continue
        has_section_before = before is None or isinstance(before, Mapping)
        if ".".join(inner) in NESTED and isinstance(after, Mapping) and has_section_before:
            yield from _compare(before or {}, after, inner)
        else:
            yield Edit(inner, after)


def patched(text: str, before: RunConfig, after: RunConfig) -> str:
    """Return a configuration's YAML text with the changes applied; comments and order are preserved."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 100  # folded lines would appear as changes in a diff
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(text)
    for edit in changes(before, after):
        _set(document, edit, yaml)
    old, new = _plain(before)["network"], _plain(after)["network"]
    entries = document["network"]
    entries = entries if isinstance(entries, list) else [entries]
    for tag, low, high, from_, to in reversed(difflib.SequenceMatcher(None, *_keys(old, new)).get_opcodes()):
        if tag != "equal":
            entries[low:high] = [_entry(entry, yaml) for entry in new[from_:to]]
    document["network"] = entries
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def difference(old: str, new: str, name: str) -> str:
    """Return a unified diff of two texts."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), name, f"{name} (repaired)", lineterm="", n=1)
    return "\n".join(lines)


def _plain(config: RunConfig) -> dict[str, Any]:
    """Return the settings that differ from the defaults, as plain values in their shortest form."""
    plain: dict[str, Any] = dump(config, filled=False)
    plain["network"] = [_short(entry) for entry in plain["network"]]
    return {key: _short(value) if key == "optimizer" else value for key, value in plain.items()}


def _short(entry: Any) -> Any:
    """Return `{dense: 3}` for `{dense: {units: 3}}`: a value alone sets the first field."""
    if not isinstance(entry, Mapping):
        return entry
    short = dict(entry)
    for registry in (layers, optimizers):
        for kind in [kind for kind in short if kind in registry and isinstance(short[kind], Mapping)]:
            first = fields(registry[kind])[0].name if fields(registry[kind]) else None
            if list(short[kind]) == [first] and not isinstance(short[kind][first], (Mapping, list)):
                short[kind] = short[kind][first]
    return short


def _keys(old: Sequence[Any], new: Sequence[Any]) -> tuple[list[str], list[str]]:
    return [repr(entry) for entry in old], [repr(entry) for entry in new]


def _set(document: Any, edit: Edit, yaml: YAML) -> None:
    *sections, last = edit.path
    for name in sections:
        if not isinstance(document.get(name), Mapping):
            value = document.get(name)
            document[name] = yaml.map() if value is None else _styled({"builtin": value}, yaml)
        document = document[name]
    if edit.value is None:
        document.pop(last, None)
    else:
        document[last] = _styled(edit.value, yaml)


def _entry(entry: Any, yaml: YAML) -> Any:
    """Return an entry in block style: `- dense: 1`, not `- {dense: 1}`."""
    styled = _styled(entry, yaml)
    if isinstance(styled, Mapping):
        styled.fa.set_block_style()  # type: ignore[attr-defined]
    return styled


def _styled(value: Any, yaml: YAML) -> Any:
    """Return a value in the layout of written documents."""
    return yaml.load(write_document({"value": value}))["value"]
