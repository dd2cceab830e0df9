"""Which function writes which layer in a format; a layer with a setting that its form does not support is rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from retrograd.base.annotations import Registered, unwrap
from retrograd.base.errors import ConfigError
from retrograd.base.schema import fields
from retrograd.network import layers as kinds
from retrograd.network.initializers import initializers
from retrograd.network.layer import Layer

ONLY_IN_TRAINING = (
    kinds.Identity, kinds.Dropout, kinds.GaussianNoise, kinds.SpatialDropout, kinds.StochasticDepth, kinds.ColorJitter,
    kinds.Cutout, kinds.RandomCrop, kinds.RandomFlip, kinds.RandomRotation, kinds.RandomScaling, kinds.TimeShift,
    kinds.TokenDropout,
)  # fmt: skip
THEIR_SETTINGS = "rate std seed size padding direction degrees amount steps unknown brightness contrast saturation"

Write = Callable[..., Any]
F = TypeVar("F", bound=Write)


class Form(NamedTuple):
    """How a layer is written, and which settings this supports; None: all of them."""

    write: Write
    settings: frozenset[str] | None


class Forms:
    """The forms of layers in one format. `what` says what a layer without a form lacks; `cure` what users can do."""

    def __init__(self, what: str, cure: Callable[[Layer], str]) -> None:
        self.what, self.cure = what, cure
        self._forms: dict[type, Form] = {}

    def register(self, *kinds: type[Layer], settings: str | None = None) -> Callable[[F], F]:
        """Return a decorator that registers a function as the form of layers of these classes.

        `settings` lists those that the form reads, or that do not matter outside training: a layer with any other
        setting that is not at its default is rejected. Initial values of parameters need not be listed.
        """
        named = None if settings is None else frozenset(settings.split())

        def file(write: F) -> F:
            self._forms.update(dict.fromkeys(kinds, Form(write, named)))
            return write

        return file

    def __contains__(self, kind: object) -> bool:
        return kind in self._forms

    def unnamed(self, kind: type[Layer]) -> list[str]:
        """Return the settings of a layer class that its form does not list."""
        known = self._forms[kind].settings
        return [] if known is None else [name for name in settings_of(kind) if name not in known]

    def form_of(self, layer: Layer, path: str) -> Write:
        """Return the function that writes a layer.

        Raises:  ConfigError for a layer without a form, or with a setting that the form does not support
        """
        kind = type(layer)
        if kind not in self._forms:
            raise ConfigError(f"{layer.kind} {self.what}", where=path, cure=self.cure(layer))
        usual = settings_of(kind)
        for name in self.unnamed(kind):
            value = getattr(layer, name)
            if value != usual[name]:
                raise ConfigError(f"{layer.kind} with {name} {value} {self.what}", where=path, cure=self.cure(layer))
        return self._forms[kind].write


def settings_of(kind: type[Layer]) -> dict[str, Any]:
    """Return the defaults of a class's settings by name, without those for initial parameters."""
    return {field.name: field.default for field in fields(kind) if not _is_initial(field.annotation)}


def _is_initial(annotation: Any) -> bool:
    return any(isinstance(mark, Registered) and mark.registry is initializers for mark in unwrap(annotation)[1])
