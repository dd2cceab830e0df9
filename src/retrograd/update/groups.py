"""Groups of parameters, by the pattern of their paths, with a learning rate and a decay of their own."""

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
    """What is different for the parameters of one pattern."""

    rate: Annotated[
        NonNegativeFloat,
        Words(
            "multiplies the learning rate of these parameters", more="they move faster", less="slower; 0: not at all"
        ),
    ] = 1.0
    weight_decay: Annotated[NonNegativeFloat | None, Words("their weight decay", why="none: the optimizer's")] = None
    after: Annotated[
        NonNegativeInt, Words("epochs before they begin to move: as frozen until then", why="0: from the start")
    ] = 0
    until: Annotated[
        PositiveInt | None,
        Words("epochs after which they rest: as frozen from then on", why="none: to the end"),
    ] = None

    @override
    def rules(self) -> Iterator[Problem]:
        if self.until is not None and self.until <= self.after:
            yield Problem("until", f"expected more than after, {self.after}; found {self.until}")

    @property
    def rests(self) -> bool:
        """Whether there are epochs in which these parameters do not move."""
        return self.after > 0 or self.until is not None

    def moves(self, step: Array | int) -> Array | bool:
        """Return whether they move at a step, counted from 0, where `after` and `until` are steps."""
        begun = step >= self.after
        return begun if self.until is None else begun & (step < self.until)


def _parse(value: Any, path: str) -> tuple[tuple[str, Group], ...]:
    if isinstance(value, tuple):  # read already
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"expected a mapping {{pattern: {{rate: ..., weight_decay: ...}}}}, found {show(value)}",
                          where=path, cure="patterns of paths, as in `{embed/*: {rate: 0.1}}`")  # fmt: skip
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
    """Return the group of the first pattern that a parameter's path matches; one that changes nothing if none does."""
    return next((group for pattern, group in groups if matches(path, (pattern,))), Group())


def path_of(keys: tuple[Any, ...]) -> str:
    """Return the path of a parameter, `node/name`, from the keys that lead to it in a tree."""
    return "/".join(str(each.key) for each in keys)


def scale_groups(groups: tuple[tuple[str, Group], ...], where: str) -> optax.GradientTransformation:
    """Return the transformation that multiplies each direction by the rate of its group, by 0 while that rests.

    Clipping and averages see the gradients of a group that rests, so that its first step is one like any other.

    Raises:  ConfigError, when the parameters are known, for a pattern that changes none of them
    """
    if not groups:
        return optax.identity()

    rest = any(group.rests for _, group in groups)

    def init(params: Any) -> Any:
        taken: set[tuple[str, str]] = set()
        for pattern, _ in groups:
            chosen = {*select(params, [pattern], where, kind=" of those that are trained")}
            if chosen <= taken:
                raise ConfigError(f"'{pattern}' changes nothing: patterns before it match all that it matches",
                                  where=where, cure="the first that fits counts: put narrow ones first")  # fmt: skip
            taken |= chosen
        return optax.ScaleByScheduleState(jnp.zeros((), jnp.int32)) if rest else optax.EmptyState()

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        def scaled(keys: tuple[Any, ...], direction: Array) -> Array:
            group = group_of(path_of(keys), groups)
            direction = direction * group.rate
            return jnp.where(group.moves(state.count), direction, 0) if group.rests else direction

        after = optax.ScaleByScheduleState(optax.safe_increment(state.count)) if rest else state
        return jax.tree_util.tree_map_with_path(scaled, updates), after

    return optax.GradientTransformation(init, update)
