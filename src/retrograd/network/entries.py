"""Entries of a network as a configuration writes them: `relu`, `{dense: 64}`, `{dense: {...}, name: ...}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from retrograd.base.advice import near_key
from retrograd.base.annotations import Custom, Words, show
from retrograd.base.errors import ConfigError, Problem, did_you_mean
from retrograd.base.json_schema import registry_choices
from retrograd.base.schema import UNKNOWN_KEY, dump_registered, fields, parse
from retrograd.base.synonyms import same_thing
from retrograd.network.layer import Layer, layers
from retrograd.network.scope import Block, Entry, blocks

COMMON = {  # keys that every entry may have besides its kind
    "name": Words("name of the entry: its path in messages, traces and files", why="its kind, numbered from 1"),
    "inputs": Words("the nodes or columns that it reads, in order or by name", why="the previous entry"),
    "share": Words("parameters taken from other nodes, e.g. {weight: embed/weight}", why="none: its own"),
    "frozen": Words("whether its parameters are excluded from training", why="false: they are trained"),
    "recompute": Words("whether backward recomputes it instead of keeping its tape", why="false: saves time"),
}
FLAGS = ("frozen", "recompute")  # boolean keys


def parse_entry(value: Any, path: str) -> Entry:
    """Parse an entry from a name or a mapping.

    Raises:  ConfigError listing every mistake in it.
    """
    if isinstance(value, (Entry, Layer, Block)):
        return value if isinstance(value, Entry) else Entry(value)
    if isinstance(value, str):
        value = {value: None}
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(f"expected a layer (its name, or {{name: settings}}), found {show(value)}", where=path)
    kinds = [str(key) for key in value if key in layers or key in blocks]
    unknown = [str(key) for key in value if key not in kinds and key not in COMMON]
    if len(kinds) != 1:
        raise ConfigError(_kind_problems(kinds, unknown, path))
    problems = [Problem(f"{path}.{key}", UNKNOWN_KEY, _beside(key, kinds[0], path)) for key in unknown]
    kind = kinds[0]
    common = _common_settings(value, path, problems)
    try:
        layer = parse((layers if kind in layers else blocks)[kind], value[kind], f"{path}.{kind}")
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    if isinstance(common.get("inputs"), Mapping):
        common |= {"inputs": tuple(common["inputs"].values()), "input_names": tuple(common["inputs"])}
    return Entry(layer, **common)


def _common_settings(value: Mapping[str, Any], path: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the settings common to all entries; mistakes in them are added to the problems."""
    common: dict[str, Any] = {}
    for key in (key for key in COMMON if value.get(key) is not None):
        try:
            common[key] = _common(key, value[key], f"{path}.{key}")
        except ConfigError as error:
            problems += error.problems
    return common


def parse_entries(value: Any, path: str = "network") -> tuple[Entry, ...]:
    """Parse a list of entries, reporting the mistakes of all of them at once."""
    if isinstance(value, (str, Mapping, Entry, Layer, Block)):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"expected a list of layers, found {show(value)}", where=path)
    entries: list[Entry] = []
    problems: list[Problem] = []
    for i, item in enumerate(value):
        try:
            entries.append(parse_entry(item, f"{path}.{i}"))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return tuple(entries)


def parse_paths(value: Any, path: str) -> tuple[tuple[Entry, ...], ...]:
    """Parse several lists of entries."""
    if not isinstance(value, (list, tuple)) or not value:
        raise ConfigError(f"expected a list of lists of layers, found {show(value)}", where=path)
    return tuple(parse_entries(item, f"{path}.{i}") for i, item in enumerate(value))


def dump_entry(entry: Entry | Layer | Block, filled: bool = True) -> Any:
    """Return what `parse_entry` reads back."""
    entry = entry if isinstance(entry, Entry) else Entry(entry)
    plain = dump_registered(layers if isinstance(entry.layer, Layer) else blocks, entry.layer, filled=filled)
    common: dict[str, Any] = {"name": entry.name} if entry.name else {}
    if entry.inputs is not None:
        names = entry.input_names
        common["inputs"] = dict(zip(names, entry.inputs, strict=True)) if names else list(entry.inputs)
    common |= {"share": dict(entry.share)} if entry.share else {}
    common |= {key: True for key in FLAGS if getattr(entry, key)}
    if not common:
        return plain
    return ({plain: {}} if isinstance(plain, str) else plain) | common


def dump_entries(entries: tuple[Any, ...], filled: bool = True) -> list[Any]:
    """Return what `parse_entries` reads back."""
    return [dump_entry(entry, filled) for entry in entries]


def entries_schema() -> dict[str, Any]:
    """Return the JSON Schema of a list of entries, or of a single one."""
    entry = {"$ref": "#/$defs/entry"}
    return {"anyOf": [{"type": "array", "items": entry}, entry]}


def entry_definition() -> dict[str, Any]:
    """Return the definition that `entries_schema` points to."""
    common = {
        "name": {"type": "string"},
        "inputs": {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
            ]
        },
        "share": {"type": "object", "additionalProperties": {"type": "string"}},
        **{key: {"type": "boolean"} for key in FLAGS},
    }
    return {"anyOf": [*registry_choices(layers, common=common), *registry_choices(blocks, common=common)]}


def _kind_problems(kinds: list[str], unknown: list[str], path: str) -> list[Problem]:
    known = [*layers, *blocks]
    if kinds:
        return [Problem(path, f"names two layers, {kinds[0]} and {kinds[1]}", "write each as a separate list entry")]
    if not unknown:
        return [Problem(path, "names no layer", f"known: {', '.join(known)}")]
    return [Problem(path, f"unknown layer kind '{key}'", _near(key, known)) for key in unknown]


def _beside(key: str, kind: str, path: str) -> str:
    """Return the hint for an unknown key beside a kind, which may be a setting of that kind."""
    near = near_key(key, COMMON)
    setting = same_thing(key, [field.name for field in fields((layers if kind in layers else blocks)[kind])])
    if near.startswith("did") or setting is None:
        return near
    return f"did you mean '{path}.{kind}.{setting}'? a layer's settings go under its name"


def _near(key: str, known: list[str]) -> str:
    hint = did_you_mean(key, known)
    return hint if hint.startswith("did") else f"{layers.own}; {hint}"


def _common(key: str, value: Any, path: str) -> Any:
    if key == "name" and isinstance(value, str):
        return value
    if key in FLAGS and isinstance(value, bool):
        return value
    if key == "inputs" and isinstance(value, Mapping) and value:
        if all(isinstance(name, str) for name in (*value, *value.values())):
            return dict(value)
    elif key == "inputs":
        names = [value] if isinstance(value, str) else value
        if isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
    if key == "share" and isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values()):
        return tuple((str(name), item) for name, item in value.items())
    expected = {
        "name": "text",
        **dict.fromkeys(FLAGS, "true or false"),
        "inputs": "names of nodes or columns, or a mapping such as {query: x, mask: seen}",
        "share": "a mapping such as {weight: embed/weight}",
    }[key]
    raise ConfigError(f"expected {expected}, found {show(value)}", where=path)


Entries = Annotated[
    tuple[Entry, ...],
    Custom(parse_entries, dump_entries, entries_schema, "a list of layers"),
]
EntryLists = Annotated[
    tuple[tuple[Entry, ...], ...],
    Custom(
        parse_paths,
        lambda paths, filled: [dump_entries(path, filled) for path in paths],
        lambda: {"type": "array", "items": entries_schema(), "minItems": 1},
        "a list of lists of layers",
    ),
]
