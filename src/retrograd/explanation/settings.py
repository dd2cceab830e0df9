"""Every setting of a configuration in words, with its value and where the value comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import Any

from retrograd.base.annotations import Registered, Words, show, unwrap
from retrograd.base.document import Document
from retrograd.base.schema import Settings, fields
from retrograd.network.entries import COMMON
from retrograd.network.layer import FROM_DATA
from retrograd.network.losses.loss import Loss
from retrograd.network.scope import Entry
from retrograd.present.wording import in_yaml
from retrograd.training.config.config import RunConfig

IN_DETAIL = "as follows"  # shown as the value of nested settings
NEUTRAL = ("none", "false", "0", "0.0", "1", "1.0")  # values without an effect


@dataclass(frozen=True)
class SettingFacts:
    """One setting: its path, value, origin (`line 12`, `default`, `from the data`...), and its effect in words."""

    path: str
    value: str
    origin: str
    what: str
    more: str
    less: str
    why: str
    home: str  # the class and field that the texts describe

    @property
    def is_default(self) -> bool:
        """Whether the value is a default, neither set nor chosen."""
        return self.origin == "default"

    @property
    def matters(self) -> bool:
        """Whether the value was set or chosen, or is a default worth changing.

        Guesses about the data are in the notes at the top.
        """
        if self.value == IN_DETAIL:
            return False
        is_tunable = self.value not in NEUTRAL and bool(self.more or self.less)
        return not self.is_default or (is_tunable and (not self.path.startswith("data.") or ".split." in self.path))


class Reader:
    """Walks a filled configuration alongside its document and the configuration as written."""

    def __init__(
        self, filled: RunConfig, written: RunConfig, document: Document | None, reasons: Mapping[str, str] | None = None
    ) -> None:
        self.filled, self.written, self.document, self.reasons = filled, written, document, dict(reasons or {})

    def settings(self) -> Iterator[SettingFacts]:
        """Yield every setting, in the order of the configuration."""
        yield from self._of(self.filled, self.written, "")

    def _of(self, settings: Settings, written: Any, path: str) -> Iterator[SettingFacts]:
        for i, field in enumerate(fields(type(settings))):
            inner = f"{path}.{field.name}" if path else field.name
            value, old = getattr(settings, field.name), getattr(written, field.name, MISSING)
            words = field.words
            default = field.default is not MISSING and old == field.default
            origin = self._origin(inner, path if i == 0 else "", default)
            home = f"{type(settings).__name__}.{field.name}"
            if value != old and old is not MISSING:  # filled in
                by_data = field.annotation in FROM_DATA or isinstance(value, Loss)
                origin = f"{origin}: {old}, from the data" if isinstance(old, str) else (
                    "from the data" if by_data else "chosen"
                )  # fmt: skip
            yield self._fact(inner, value, origin, words, home)
            yield from self._inside(value, old, inner, field.annotation)

    def _inside(self, value: Any, written: Any, path: str, annotation: Any) -> Iterator[SettingFacts]:
        """Yield the settings inside a value: nested settings, an entry of a registry, or a list of entries."""
        if isinstance(value, Settings):
            marks = unwrap(annotation)[1]
            named = any(isinstance(mark, Registered) for mark in marks)
            if not (named and value.plain_form):
                yield from self._of(value, written, f"{path}.{name_of(value)}" if named else path)
        elif isinstance(value, tuple):
            olds = written if isinstance(written, tuple) and len(written) == len(value) else (MISSING,) * len(value)
            for i, (item, old) in enumerate(zip(value, olds, strict=True)):
                yield from self._entry(item, old, f"{path}.{i}")

    def _entry(self, entry: Any, old: Any, path: str) -> Iterator[SettingFacts]:
        if isinstance(entry, Entry):
            for key, words in COMMON.items():
                if getattr(entry, key):
                    value = dict(entry.share) if key == "share" else getattr(entry, key)
                    yield self._fact(f"{path}.{key}", value, self._origin(f"{path}.{key}", "", False), words,
                                     f"entry.{key}")  # fmt: skip
            yield from self._of(entry.layer, getattr(old, "layer", MISSING), f"{path}.{name_of(entry.layer)}")
        elif isinstance(entry, Settings):
            yield from self._of(entry, old, f"{path}.{name_of(entry)}")
        elif isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], Settings):  # a loss of an output
            yield from self._of(entry[1], old[1] if isinstance(old, tuple) else MISSING,
                                f"{path.rpartition('.')[0]}.{entry[0]}")  # fmt: skip
        elif isinstance(entry, tuple):  # a path of branches
            yield from self._inside(entry, old, path, None)

    def _origin(self, path: str, shorthand: str, default: bool) -> str:
        """Return the origin of a value; `shorthand` is the parent path, if it may have the plain value instead."""
        document = self.document
        if document is None:
            return "default" if default else "set"
        for place in (path, shorthand):
            if place and _alone(document.values, place, place == shorthand != path):
                if any(f"{place}.".startswith(f"{changed}.") for changed in document.changed):
                    return "set by --set"
                line = document.lines.get(place) or document.lines.get(shorthand)
                return f"line {line}" if line else "set"
        return "default"

    def _fact(self, path: str, value: Any, origin: str, words: Words, home: str) -> SettingFacts:
        why = self.reasons.get(path, "")
        if why:
            origin = "chosen"
        elif origin in ("default", "from the data", "chosen") and words.why != in_short(value):
            why = words.why
        return SettingFacts(path, in_short(value), origin, words.what, words.more, words.less, why, home)


def _alone(values: Any, path: str, scalar: bool) -> bool:
    """Return whether a document has this path; if `scalar`, with a value other than a mapping of settings."""
    *_, last = keys = path.split(".")
    for key in keys:
        if isinstance(values, list) and key.isdigit() and int(key) < len(values):
            values = values[int(key)]
        elif isinstance(values, Mapping) and key in values:
            values = values[key]
        elif isinstance(values, str) and values == key == last:  # `optimizer: adam` means optimizer.adam
            return not scalar
        else:
            return False
    return not scalar or not (isinstance(values, Mapping) or values is None)


def reason(label: str, why: str) -> str:
    """Return the reason for a value: `default: as in PyTorch`, or `default 0: none` if it begins with the value."""
    value, colon, _ = why.partition(": ")
    return f"{label} {why}" if colon and " " not in value else f"{label}: {why}"


def name_of(settings: Any) -> str:
    """Return the registered name of settings, or the name of their class."""
    return str(getattr(type(settings), "registered_name", type(settings).__name__))


def in_short(value: Any) -> str:
    """Return a value as short text: the name for settings, the number for entries."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Settings):
        return name_of(value) if hasattr(type(value), "registered_name") else IN_DETAIL
    if isinstance(value, Sequence) and not isinstance(value, str):
        if any(isinstance(part, Entry) for part in value):
            return ", ".join(name_of(part.layer) for part in value)
        if not value:
            return "none"
        return in_yaml(value) if not any(isinstance(part, (Settings, tuple)) for part in value) else f"{len(value)}"
    return in_yaml(value) if isinstance(value, Mapping) else value if isinstance(value, str) and value else show(value)
