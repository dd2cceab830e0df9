"""Groups of parameters, selected by path patterns, with their own learning rate and weight decay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Custom, Words, show
from retrograd.base.errors import ConfigError, Problem
from retrograd.base.json_schema import settings_choices
from retrograd.base.quantities import NonNegativeFloat, NonNegativeInt, PositiveInt
from retrograd.base.schema import Settings, dump, parse
from retrograd.update.selection import matches, select


@dataclass(frozen=True)
class Group(Settings):
    """The settings of the parameters that match one pattern."""

    rate: Annotated[
        NonNegativeFloat,
        Words(
            "factor on the learning rate of these parameters", more="they learn faster", less="slower; 0: not at all"
        ),
    ] = 1.0
    weight_decay: Annotated[NonNegativeFloat | None, Words("their weight decay", why="none: as in the optimizer")] = (
        None
    )
    after: Annotated[
        NonNegativeInt, Words("number of epochs for which they are frozen at first", why="0: trained from the start")
    ] = 0
    until: Annotated[
        PositiveInt | None,
        Words("number of epochs after which they are frozen", why="none: trained to the end"),
    ] = None

    @override
    def rules(self) -> Iterator[Problem]:
        if self.until is not None and self.until <= self.after:
            yield Problem("until", f"expected more than `after` ({self.after}), found {self.until}")

    @property
    def rests(self) -> bool:
        """Whether these parameters are frozen in some epochs."""
        return self.after > 0 or self.until is not None

    def moves(self, step: Array | int) -> Array | bool:
        """Return whether they are trained at a step, counted from 0; `after` and `until` must be in steps."""
        started = step >= self.after
        return started if self.until is None else started & (step < self.until)


def _parse(value: Any, path: str) -> tuple[tuple[str, Group], ...]:
    if isinstance(value, tuple):  # already parsed
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"expected a mapping {{pattern: {{rate: ..., weight_decay: ...}}}}, found {show(value)}",
                          where=path, cure="use patterns of paths, as in `{embed/*: {rate: 0.1}}`")  # fmt: skip
    return tuple((str(pattern), parse(Group, item, f"{path}.{pattern}")) for pattern, item in value.items())


Groups = Annotated[
    tuple[tuple[str, Group], ...],
    Custom(
        _parse,
        lambda value, filled: {pattern: dump(group, filled=filled) for pattern, group in value},
        lambda: {"type": "object", "additionalProperties": {"anyOf": settings_choices(Group)}},
        "a mapping of patterns to groups",
    ),
]


def group_of(path: str, groups: tuple[tuple[str, Group], ...]) -> Group:
    """Return the group of the first pattern that matches the path of a parameter; the default group if none does."""
    return next((group for pattern, group in groups if matches(path, (pattern,))), Group())


def path_of(keys: tuple[Any, ...]) -> str:
    """Return the path `node/name` of a parameter from its keys in a tree."""
    return "/".join(str(key.key) for key in keys)


def scale_groups(groups: tuple[tuple[str, Group], ...], where: str) -> optax.GradientTransformation:
    """Return the transformation that multiplies each direction by the rate of its group, or by 0 while it is frozen.

    Clipping and averages see the gradients of a frozen group, so that its first step is like any other.

    Raises:  ConfigError, once the parameters are known, for a pattern without effect
    """
    if not groups:
        return optax.identity()

    some_rest = any(group.rests for _, group in groups)

    def init(params: Any) -> Any:
        matched: set[tuple[str, str]] = set()
        for pattern, _ in groups:
            selected = {*select(params, [pattern], where, kind=" among the trained ones")}
            if selected <= matched:
                raise ConfigError(f"'{pattern}' has no effect: earlier patterns match the same parameters",
                                  where=where, cure="the first match counts, so put narrow patterns first")  # fmt: skip
            matched |= selected
        return optax.ScaleByScheduleState(jnp.zeros((), jnp.int32)) if some_rest else optax.EmptyState()

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        def scaled(keys: tuple[Any, ...], direction: Array) -> Array:
            group = group_of(path_of(keys), groups)
            direction = direction * group.rate
            return jnp.where(group.moves(state.count), direction, 0) if group.rests else direction

        new_state = optax.ScaleByScheduleState(optax.safe_increment(state.count)) if some_rest else state
        return jax.tree_util.tree_map_with_path(scaled, updates), new_state

    return optax.GradientTransformation(init, update)
