"""Registries, which map names in a configuration to dataclasses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from retrograd.base.errors import ConfigError, did_you_mean

T = TypeVar("T")
PLURALS = {"loss": "losses", "penalty": "penalties", "remedy": "remedies"}
ALL: list[Registry[Any]] = []


class Entry(NamedTuple, Generic[T]):
    """A registered class and facts about it (for a layer, its examples)."""

    cls: type[T]
    facts: Mapping[str, Any]


class Registry(Generic[T]):
    """The names of one kind of component (`layer`, `loss`, `optimizer`...), in order of registration.

    `own` explains how to register one's own; it is the hint for a name that resembles no known name.
    """

    def __init__(self, kind: str, own: str = "") -> None:
        self.kind = kind
        self.one = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"  # with the article, for sentences
        self.public = f"rg.{PLURALS.get(kind, kind + 's')}"  # the registry's name in users' code
        self.own = own
        self._entries: dict[str, Entry[T]] = {}
        self._names: dict[type, str] = {}
        ALL.append(self)

    def register(self, name: str, **facts: Any) -> Callable[[type[T]], type[T]]:
        """Return a class decorator that registers a class under `name`.

        Running the same definition again replaces the class; another class of that name is a ConfigError.
        """

        def enter(cls: type[T]) -> type[T]:
            if name in self._entries:
                other = self._entries[name].cls
                if (cls.__module__, cls.__qualname__) != (other.__module__, other.__qualname__):
                    raise ConfigError(f"the {self.kind} '{name}' is registered twice", cure="choose another name")
            self._entries[name] = Entry(cls, facts)
            self._names[cls] = name
            cls.registered_name = name  # type: ignore[attr-defined]  # the name used in error messages
            return cls

        return enter

    def forget(self, name: str) -> None:
        """Remove a name."""
        self._names.pop(self._entries.pop(name).cls)

    def __getitem__(self, name: str) -> type[T]:
        return self.entry(name).cls

    def entry(self, name: str) -> Entry[T]:
        """Return the class and facts of a name; an unknown name is a ConfigError that suggests the nearest one."""
        if name not in self._entries:
            raise ConfigError(f"unknown {self.kind} '{name}'", cure=self.near(name))
        return self._entries[name]

    def name_of(self, cls: type) -> str:
        """Return the name of a class, or of its nearest registered base class."""
        for base in cls.__mro__:
            if base in self._names:
                return self._names[base]
        raise ConfigError(f"{cls.__name__} is not a registered {self.kind}",
                          cure=f'write @{self.public}.register("name", ...) above it')  # fmt: skip

    def near(self, name: str, only: type | None = None) -> str:
        """Return the hint for an unknown name: the known name that it resembles, or all names."""
        hint = did_you_mean(name, self.fitting(only))
        return f"{self.own}; {hint}" if self.own and not hint.startswith("did") else hint

    def fitting(self, only: type | None) -> list[str]:
        """Return the names of the entries that are subclasses of `only`; all of them for None."""
        return [name for name, entry in self._entries.items() if only is None or issubclass(entry.cls, only)]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def forget_class(cls: type) -> None:
    """Remove a class from its registry, if it is still registered."""
    for registry in ALL:
        if cls in registry._names:
            registry.forget(registry._names[cls])
