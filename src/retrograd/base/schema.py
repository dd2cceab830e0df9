"""Settings: frozen dataclasses read from and written to plain mappings; all mistakes are reported at once.

A field's annotation says what is allowed; it serves YAML, Python calls, error messages and the JSON Schema. There are
three kinds of fields: plain values (checked by pydantic), nested `Settings`, and entries of a registry.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from retrograd.base.advice import beside, near_key, renamed, stray_setting
from retrograd.base.annotations import (
    Custom,
    Registered,
    Words,
    describe,
    freeze,
    near_literal,
    options,
    show,
    thaw,
    unwrap,
    without_words,
)
from retrograd.base.errors import ConfigError, Problem
from retrograd.base.quantities import LARGEST
from retrograd.base.registry import Registry

UNKNOWN_KEY = "unknown key"

S = TypeVar("S", bound="Settings")


@dataclass(frozen=True)
class Settings:
    """Base class of everything in a configuration; a subclass is a frozen dataclass whose fields are its keys.

    Raises:  ConfigError at construction, naming every field whose value does not fit its annotation
    """

    plain_form: ClassVar[bool] = False

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        for field in fields(type(self)):
            try:
                value = _read(field.annotation, getattr(self, field.name), field.name)
                object.__setattr__(self, field.name, value)
            except ConfigError as error:
                problems += error.problems
        if not problems:
            problems += self.rules()
        if problems:
            place = _own_name(type(self))
            raise ConfigError([_within(place, problem) if place else problem for problem in problems])

    def rules(self) -> Iterator[Problem]:
        """Yield problems that involve several fields; `where` is the name of one of them."""
        return iter(())


@dataclass(frozen=True)
class SettingField:
    """A field of a Settings class: name, resolved annotation, default (MISSING if required), documentation."""

    name: str
    annotation: Any
    default: Any
    words: Words


def fields(cls: type) -> tuple[SettingField, ...]:
    """Return the fields that a configuration may set, in order; keyword-only fields (of a base class) come last."""
    return _fields(cls)


@functools.cache
def _fields(cls: Any) -> tuple[SettingField, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    bases: list[Any] = [base for base in reversed(cls.__mro__[1:]) if dataclasses.is_dataclass(base)]
    inherited = {field.name: field.words for base in bases for field in _fields(base)}

    def read(field: dataclasses.Field[Any]) -> SettingField:
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        annotation, words = without_words(hints[field.name])
        return SettingField(field.name, annotation, default, words or inherited.get(field.name, Words("")))

    return tuple(read(f) for f in sorted(dataclasses.fields(cls), key=lambda f: bool(f.kw_only)) if f.init)


def unwritten(settings: Settings, method: str, more: str = "") -> NotImplementedError:
    """Return the error for a method missing from a subclass; unlike that of an abstract class, it says what to do."""
    return NotImplementedError(f"{type(settings).__name__} has no `{method}`" + (f", {more}" if more else ""))


# ---------------------------------------------------------------------------------------------------- plain -> object


def parse(cls: type[S], value: Any, path: str = "") -> S:
    """Parse Settings from a plain value: a mapping of fields, or just the value of the first field.

    Raises:  ConfigError with every problem found, each `where` beginning with `path`
    """
    if isinstance(value, cls):
        return value
    known = {field.name: field for field in fields(cls)}
    if value is None:
        value = {}
    elif not isinstance(value, Mapping):
        value = _value_alone(known, value, path)
    problems = [
        Problem(_join(path, str(key)), UNKNOWN_KEY, near_key(str(key), known)) for key in value if key not in known
    ]
    problems += [
        Problem(_join(path, name), "missing", f"expected {describe(field.annotation)}")
        for name, field in known.items()
        if field.default is MISSING and name not in value
    ]
    settings = {key: item for key, item in value.items() if key in known}
    if problems:  # parse the other fields as well, so that all mistakes are reported at once
        raise ConfigError(problems + list(_problems_of(known, settings, path)))
    try:
        return cls(**settings)
    except ConfigError as error:
        registered = _own_name(cls)
        raise ConfigError([_within(path, problem, without=registered) for problem in error.problems]) from None


def _value_alone(known: Mapping[str, SettingField], value: Any, path: str) -> dict[str, Any]:
    """Return a value without a key as a mapping with the first field, if no other field is required."""
    if not known:
        raise ConfigError(f"has no settings, found {show(value)}", where=path)
    first = next(iter(known))
    needed = {name: describe(field.annotation) for name, field in known.items() if field.default is MISSING}
    if needed.keys() - {first}:
        form = ", ".join(f"{name}: {words}" for name, words in needed.items())
        raise ConfigError(f"expected {{{form}}}, found {show(value)}", where=path)
    if isinstance(value, bool) and bool not in options(unwrap(known[first].annotation)[0]):
        cure = "{} uses the defaults" if value and not needed else "" if value else "leave the key out"
        raise ConfigError(f"expected {{{first}: ...}}, found {show(value)}", where=path, cure=cure)
    return {first: value}


def parse_registered(registry: Registry[Any], value: Any, path: str = "", only: type | None = None) -> Any:
    """Parse `name` or `{name: settings}`; an object of a registered class is returned unchanged.

    `only` restricts the registry to entries of one class.
    """
    if isinstance(value, Settings) and type(value) in _classes(registry):
        return _narrowed(registry, only, value, path)
    if isinstance(value, str):
        name, inner = value, None
    elif isinstance(value, Mapping) and len(value) == 1:
        name, inner = next(iter(value.items()))
    else:
        raise ConfigError(_misnamed(registry, value, path))
    if not isinstance(name, str) or name not in registry:
        cure = stray_setting(
            {entry: [field.name for field in fields(registry[entry])] for entry in registry}, name, inner
        ) or registry.near(str(name), only)
        raise ConfigError(f"unknown {registry.kind} '{name}'", where=path, cure=cure)
    return _narrowed(registry, only, parse(registry[name], inner, _join(path, name)), path)


def _misnamed(registry: Registry[Any], value: Any, path: str) -> list[Problem]:
    """Return the problems of a value that is neither a name nor `{name: settings}`; its settings may be misplaced."""
    settings = {entry: [field.name for field in fields(registry[entry])] for entry in registry}
    names = [key for key in value if key in registry] if isinstance(value, Mapping) else []
    if len(names) != 1:
        expected = f"expected {registry.one} (its name, or {{name: settings}}), found {show(value)}"
        return [Problem(path, expected, renamed(settings, value) if isinstance(value, Mapping) else "")]
    (name,), place = names, _join(path, names[0])
    cures = {
        str(key): beside(str(key), item, place, name, settings[name]) for key, item in value.items() if key != name
    }
    problems = [Problem(_join(path, key), UNKNOWN_KEY, cure) for key, cure in cures.items()]
    try:
        parse(registry[name], value[name], place)
    except ConfigError as error:
        problems += error.problems
    return problems


def _problems_of(known: Mapping[str, SettingField], values: Mapping[str, Any], path: str) -> Iterable[Problem]:
    for name, value in values.items():
        try:
            _read(known[name].annotation, value, _join(path, name))
        except ConfigError as error:
            yield from error.problems


def _read(annotation: Any, value: Any, path: str) -> Any:
    """Parse the plain value of a field, or raise ConfigError."""
    base, marks = unwrap(annotation)
    custom = next((mark for mark in marks if isinstance(mark, Custom)), None)
    if custom is not None:
        return custom.parse(value, path)
    registered = next((mark for mark in marks if isinstance(mark, Registered)), None)
    if registered is not None:
        return _read_registered(registered, base, value, path)
    nested = settings_class(base)
    if nested is not None:
        return None if value is None and _optional(base) else parse(nested, value, path)
    frozen = freeze(value)
    try:
        return adapter(annotation).validate_python(frozen)
    except ValidationError:
        raise ConfigError(
            f"expected {describe(annotation)}, found {show(value)}",
            where=path,
            cure=near_literal(annotation, value) or _too_large(annotation, frozen),
        ) from None


def _too_large(annotation: Any, value: Any) -> str:
    """Return a hint with the largest allowed integer, for one whose only fault is its size."""
    if type(value) is not int or value <= LARGEST:
        return ""
    try:
        adapter(annotation).validate_python(1)
    except ValidationError:
        return ""
    return f"at most {LARGEST}"


def _read_registered(mark: Registered, base: Any, value: Any, path: str) -> Any:
    if value is None and _optional(base):
        return None
    named = isinstance(value, (str, Mapping)) or type(value) in _classes(mark.registry)
    if mark.otherwise is not None and isinstance(value, str) and value not in mark.registry:
        raise ConfigError(
            f"expected {describe(mark.otherwise)}, or {mark.registry.one}; found {show(value)}",
            where=path,
            cure=mark.registry.near(value, mark.only),
        )
    if mark.otherwise is None or named:
        return parse_registered(mark.registry, value, path, mark.only)
    try:
        plain = _read(mark.otherwise, value, path)
    except ConfigError:
        raise ConfigError(
            f"expected {describe(mark.otherwise)}, or {mark.registry.one}; found {show(value)}", where=path
        ) from None
    return mark.coerce(plain) if mark.coerce else plain


def _narrowed(registry: Registry[Any], only: type | None, entry: Any, path: str) -> Any:
    if only is None or isinstance(entry, only):
        return entry
    raise ConfigError(
        f"'{registry.name_of(type(entry))}' is not allowed here",
        where=path,
        cure=f"choose one of {', '.join(registry.fitting(only))}",
    )


# ---------------------------------------------------------------------------------------------------- object -> plain


def dump(settings: Settings, *, filled: bool = True) -> dict[str, Any]:
    """Return the plain mapping that `parse` can read back; `filled=False` omits defaults."""
    return {
        field.name: _write(field.annotation, getattr(settings, field.name), filled)
        for field in fields(type(settings))
        if filled or field.default is MISSING or getattr(settings, field.name) != field.default
    }


def dump_registered(registry: Registry[Any], value: Settings, *, filled: bool = True) -> Any:
    """Return `name`, or `{name: settings}` if it has settings."""
    name, inner = registry.name_of(type(value)), dump(value, filled=filled)
    return {name: inner} if inner else name


def _write(annotation: Any, value: Any, filled: bool) -> Any:
    _, marks = unwrap(annotation)
    for mark in marks:
        if isinstance(mark, Custom):
            return mark.dump(value, filled)
        if isinstance(mark, Registered) and isinstance(value, Settings):
            if value.plain_form:
                return thaw(getattr(value, fields(type(value))[0].name))
            return dump_registered(mark.registry, value, filled=filled)
    if isinstance(value, Settings):
        return dump(value, filled=filled)
    return thaw(value)


# ------------------------------------------------------------------------------------------------------------- internal


@functools.cache
def adapter(annotation: Any) -> TypeAdapter[Any]:
    """Return the validator of a plain field."""
    return TypeAdapter(annotation, config=ConfigDict(strict=True, arbitrary_types_allowed=True))


def _optional(base: Any) -> bool:
    return type(None) in options(base)


def settings_class(base: Any) -> Any:
    """Return the Settings class of a field that holds one."""
    return next((option for option in options(base) if isinstance(option, type) and issubclass(option, Settings)), None)


def _classes(registry: Registry[Any]) -> set[type]:
    return {registry[name] for name in registry}


def _own_name(cls: type) -> str:
    return getattr(cls, "registered_name", "")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _within(path: str, problem: Problem, without: str = "") -> Problem:
    where = problem.where
    if without and (where == without or where.startswith(without + ".")):
        where = where[len(without) + 1 :]
    return problem._replace(where=_join(path, where) if where else path)
