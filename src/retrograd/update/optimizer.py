"""The base class of optimizers: settings from which a run's chain of optax transformations is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import jax
import optax
from jax import Array
from jax.typing import ArrayLike

from retrograd.base.annotations import Registered, Words
from retrograd.base.compilation.scalars import with_values
from retrograd.base.errors import ConfigError
from retrograd.base.quantities import NonNegativeFloat, PositiveFloat, PositiveInt
from retrograd.base.registry import Registry
from retrograd.base.schema import Settings, unwritten
from retrograd.network.own_layers import own_errors
from retrograd.update.beyond import Lookahead
from retrograd.update.clipping import clip
from retrograd.update.custom import check_own
from retrograd.update.groups import Group, Groups, group_of, path_of, scale_groups
from retrograd.update.schedule import Schedule, schedules
from retrograd.update.schedules import Constant
from retrograd.update.selection import is_weight

optimizers: Registry[Optimizer] = Registry("optimizer", own="load your own with --layers FILE.py")

LearningRate = Annotated[float | Schedule, Registered(schedules, otherwise=PositiveFloat)]


@dataclass(frozen=True)
class Optimizer(Settings):
    """How gradients g update the parameters p, in this order:

        g <- clip(g)                     clip_value, clip_norm (per tensor), clip_global_norm (all together)
        g <- g + weight_decay p          unless the decay is decoupled
        d <- direction(g)                defined by the subclass
        d <- d + weight_decay p          if the decay is decoupled: adamw, lion
        p <- p - learning_rate d

    weight_decay_on: `all` parameters, as in PyTorch, or only `weights` (not biases and scales).
    groups: other rates and decays, and epochs in which they are frozen, for parameters whose path matches a pattern:
    `{embed/*: {rate: 0.1, after: 5}}`.
    accumulate: micro-batches per step, whose gradients the compiled step adds up.
    sharpness: g comes from a second pass, at p + sharpness g / |g| (SAM).
    lookahead: every few steps, slow weights move part of the way to p, which restarts from there.
    """

    formula: ClassVar[str] = "d = direction(g)"
    latex: ClassVar[str] = "d"
    decoupled: ClassVar[bool] = False
    open_numbers: ClassVar[tuple[str, ...]] = (
        "learning_rate", "weight_decay", "clip_value", "clip_norm", "clip_global_norm", "momentum", "decay", "beta1",
        "beta2", "eps",
    )  # fmt: skip

    learning_rate: Annotated[
        LearningRate,
        Words(
            "step size: a number or a schedule",
            more="faster, but may diverge",
            less="slower, finer; may seem not to learn",
            why="usual for this optimizer",
        ),
    ]
    _: KW_ONLY
    weight_decay: Annotated[
        NonNegativeFloat,
        Words(
            "fraction of each parameter removed per step, times the learning rate",
            more="smaller weights, less overfitting",
            less="larger weights",
            why="usual for this optimizer",
        ),
    ] = 0.0
    weight_decay_on: Annotated[Literal["all", "weights"], Words("which parameters decay", why="all, as in PyTorch")] = (
        "all"
    )
    clip_value: Annotated[
        PositiveFloat | None,
        Words(
            "largest absolute value of each gradient entry; larger ones are clipped",
            more="clips less",
            less="clips more, changes the direction",
        ),
    ] = None
    clip_norm: Annotated[
        PositiveFloat | None,
        Words(
            "largest norm of each tensor's gradient; larger ones are scaled down",
            more="clips less",
            less="steadier, slower",
        ),
    ] = None
    clip_global_norm: Annotated[
        PositiveFloat | None,
        Words(
            "largest norm of all gradients together; larger ones are scaled down",
            more="clips less",
            less="steadier, slower",
        ),
    ] = None
    groups: Annotated[
        Groups,
        Words(
            "other rates and decays for parameters whose path matches a pattern, such as {embed/*: {rate: 0.1}}",
            why="none: all parameters alike; the first matching pattern counts",
        ),
    ] = ()
    accumulate: Annotated[
        PositiveInt,
        Words(
            "number of micro-batches per step",
            more="less memory, slower",
            less="more memory",
            why="1: the whole batch at once",
        ),
    ] = 1
    sharpness: Annotated[
        PositiveFloat | None,
        Words(
            "how far uphill from the weights the gradient is taken (SAM): two passes per step",
            more="flatter minima; too much prevents learning",
            less="closer to plain training",
            why="none: one pass; 0.05 is a usual start",
        ),
    ] = None
    lookahead: Annotated[
        Lookahead | None,
        Words("slow weights that follow every few steps (lookahead)", why="none; if set, 5 steps and half the way"),
    ] = None

    def timed(self, steps: int) -> Optimizer:
        """Return the optimizer with the epochs of its groups converted to steps, given the steps per epoch."""
        if not any(group.rests for _, group in self.groups):
            return self

        def in_steps(group: Group) -> Group:
            return replace(group, after=group.after * steps, until=group.until and group.until * steps)

        groups = tuple((pattern, in_steps(group)) for pattern, group in self.groups)
        timed: Optimizer = with_values(self, {"groups": groups})
        return timed

    @property
    def clips(self) -> bool:
        """Whether gradients are clipped in any way."""
        return not (self.clip_value is None and self.clip_norm is None and self.clip_global_norm is None)

    def direction(self) -> optax.GradientTransformation:
        """Return the transformation from gradients to the direction that the learning rate scales."""
        raise unwritten(self, "direction(self)", "which returns an optax transformation")

    @property
    def equation(self) -> str:
        """The formula of the direction with the current settings."""
        return self.formula

    @property
    def schedule(self) -> Schedule:
        """The schedule of the learning rate; a number means a constant schedule."""
        rate = self.learning_rate
        return rate if isinstance(rate, Schedule) else with_values(Constant(1.0), {"initial": rate})

    @property
    def first_rate(self) -> float:
        """The learning rate; for a schedule, its first setting (initial or peak)."""
        return next(iter(self.schedule.rates().values()))

    def rate(self, step: ArrayLike, total_steps: int | None = None) -> Array:
        """Return the learning rate at a step, counted from 0."""
        return self._schedule(total_steps)(step)

    def build(self, total_steps: int | None) -> optax.GradientTransformation:
        """Return the whole chain. The structure of its state depends only on `direction`.

        A run can therefore continue with another schedule, clipping or decay.

        Raises:  ConfigError if the schedule needs the length of the run and the run has none
        """
        chain = self.chain(total_steps)
        if not all(type(part).__module__.startswith("retrograd.") for part in (self, self.schedule)):
            check_own(replace(self, groups=()).chain(total_steps), self._place)
        return chain

    def chain(self, total_steps: int | None) -> optax.GradientTransformation:
        """Return the stages of the chain as one transformation."""
        return optax.named_chain(*self.stages(total_steps).items())

    def stages(self, total_steps: int | None) -> dict[str, optax.GradientTransformation]:
        """Return the stages of the chain, in the order in which a gradient passes through them."""
        rate = self._schedule(total_steps)
        decay, identity = self._decay(), optax.identity()
        return {
            "clip": clip(self.clip_value, self.clip_norm, self.clip_global_norm),
            "decay": identity if self.decoupled else decay,
            "direction": self._direction(),
            "decoupled_decay": decay if self.decoupled else identity,
            "groups": scale_groups(self.groups, f"{self._place}.groups"),
            "rate": optax.scale_by_schedule(lambda step: -rate(step)),
        }

    def _schedule(self, total_steps: int | None) -> Callable[[ArrayLike], Array]:
        try:
            return self.schedule.build(total_steps)
        except ConfigError as error:
            place = f"{self._place}.learning_rate"
            raise ConfigError([p._replace(where=f"{place}.{p.where}") for p in error.problems]) from None

    @property
    def _place(self) -> str:
        return f"optimizer.{optimizers.name_of(type(self))}"

    def _direction(self) -> optax.GradientTransformation:
        with own_errors(self._place):
            direction = self.direction()
        if not (callable(getattr(direction, "init", None)) and callable(getattr(direction, "update", None))):
            expected = f"direction() must return an optax transformation, found {type(direction).__name__}"
            raise ConfigError(expected, where=self._place)
        return direction

    def decay_of(self, path: str) -> float:
        """Return the weight decay of a parameter: that of its group, or else the general one, if it decays at all."""
        group_decay = group_of(path, self.groups).weight_decay
        return self.weight_decay if group_decay is None else group_decay

    def _decay(self) -> optax.GradientTransformation:
        everywhere = self.weight_decay_on == "all"

        def add(keys: Any, update: Array, parameter: Array) -> Array:
            path = path_of(keys)
            in_group = group_of(path, self.groups).weight_decay is not None
            decays = in_group or everywhere or is_weight(keys[-1].key, parameter)
            return update + self.decay_of(path) * parameter if decays else update

        def decayed(updates: Any, params: Any) -> Any:
            return jax.tree_util.tree_map_with_path(add, updates, params)

        any_decay = self.weight_decay or any(group.weight_decay for _, group in self.groups)
        return optax.stateless(decayed) if any_decay else optax.identity()
