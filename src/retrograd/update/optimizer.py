"""What an optimizer is: settings from which the chain of optax transformations of a run is built."""

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

optimizers: Registry[Optimizer] = Registry("optimizer", own="one of your own needs --layers FILE.py")

LearningRate = Annotated[float | Schedule, Registered(schedules, otherwise=PositiveFloat)]


@dataclass(frozen=True)
class Optimizer(Settings):
    """How gradients g become changes of the parameters p, in this order:

        g <- clip(g)                     clip_value, clip_norm (each tensor's), clip_global_norm (all together)
        g <- g + weight_decay p          unless the optimizer is decoupled
        d <- direction(g)                what a subclass states
        d <- d + weight_decay p          where it is decoupled: adamw, lion
        p <- p - learning_rate d

    weight_decay_on: `all` parameters, as PyTorch does, or only `weights` (not biases and scales).
    groups: other rates and decays for parameters whose path matches a pattern, and epochs in which they rest:
    `{embed/*: {rate: 0.1, after: 5}}`.
    accumulate: micro-batches that make up one step; the compiled step adds them up.
    sharpness: g is that of a second pass, at p + sharpness g / |g| (SAM).
    lookahead: every few steps slow weights go a share of the way of p, which begins there again.
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
            "size of a step: a number, or a schedule",
            more="faster; too large a rate diverges",
            less="slower, finer; may seem not to learn",
            why="the optimizer's usual one",
        ),
    ]
    _: KW_ONLY
    weight_decay: Annotated[
        NonNegativeFloat,
        Words(
            "share of each parameter that a step of learning rate 1 takes away",
            more="smaller weights, less overfitting",
            less="larger weights",
            why="the optimizer's usual one",
        ),
    ] = 0.0
    weight_decay_on: Annotated[
        Literal["all", "weights"], Words("which parameters decay", why="all, as PyTorch does")
    ] = "all"
    clip_value: Annotated[
        PositiveFloat | None,
        Words(
            "largest absolute value of a gradient's entry; larger ones are cut",
            more="cuts less",
            less="cuts more, changes the direction",
        ),
    ] = None
    clip_norm: Annotated[
        PositiveFloat | None,
        Words(
            "largest norm of each tensor's gradient; longer ones are shortened",
            more="cuts less",
            less="steadier, slower",
        ),
    ] = None
    clip_global_norm: Annotated[
        PositiveFloat | None,
        Words(
            "largest norm of all gradients together; longer ones are shortened",
            more="cuts less",
            less="steadier, slower",
        ),
    ] = None
    groups: Annotated[
        Groups,
        Words(
            "rates and decays of their own for parameters by the pattern of their path, as {embed/*: {rate: 0.1}}",
            why="none: all alike; the first pattern that fits counts",
        ),
    ] = ()
    accumulate: Annotated[
        PositiveInt,
        Words(
            "micro-batches that make up one step",
            more="less memory, slower",
            less="more memory",
            why="1: the batch at once",
        ),
    ] = 1
    sharpness: Annotated[
        PositiveFloat | None,
        Words(
            "how far away the gradient is taken, in the direction in which the loss rises (SAM): two passes a step",
            more="flatter minima; too much stops learning",
            less="nearer to plain training",
            why="none: one pass; 0.05 is a usual beginning",
        ),
    ] = None
    lookahead: Annotated[
        Lookahead | None,
        Words("slow weights that follow these every few steps (lookahead)", why="none; 5 steps and half the way"),
    ] = None

    def timed(self, steps: int) -> Optimizer:
        """Return the optimizer with the epochs of its groups in steps, where an epoch has this many."""
        if not any(group.rests for _, group in self.groups):
            return self

        def in_steps(group: Group) -> Group:
            return replace(group, after=group.after * steps, until=group.until and group.until * steps)

        groups = tuple((pattern, in_steps(group)) for pattern, group in self.groups)
        timed: Optimizer = with_values(self, {"groups": groups})
        return timed

    @property
    def clips(self) -> bool:
        """Whether any bound on the gradient is set."""
        return not (self.clip_value is None and self.clip_norm is None and self.clip_global_norm is None)

    def direction(self) -> optax.GradientTransformation:
        """Return the transformation from gradients to the direction that the learning rate scales."""
        raise unwritten(self, "direction(self)", "which returns an optax transformation")

    @property
    def equation(self) -> str:
        """The formula of the direction with the settings as they are."""
        return self.formula

    @property
    def schedule(self) -> Schedule:
        """The schedule of the learning rate; a number is constant."""
        rate = self.learning_rate
        return rate if isinstance(rate, Schedule) else with_values(Constant(1.0), {"initial": rate})

    @property
    def first_rate(self) -> float:
        """The learning rate; of a schedule, its first setting (initial or peak)."""
        return next(iter(self.schedule.rates().values()))

    def rate(self, step: ArrayLike, total_steps: int | None = None) -> Array:
        """Return the learning rate at a step, counted from 0."""
        return self._schedule(total_steps)(step)

    def build(self, total_steps: int | None) -> optax.GradientTransformation:
        """Return the whole chain. The tree of its state depends on `direction` alone.

        So a run can go on with another schedule, clipping or decay.
        Raises:  ConfigError when the schedule needs the run's length and the run has none.
        """
        chain = self.chain(total_steps)
        if not all(type(each).__module__.startswith("retrograd.") for each in (self, self.schedule)):
            check_own(replace(self, groups=()).chain(total_steps), self._place)
        return chain

    def chain(self, total_steps: int | None) -> optax.GradientTransformation:
        """Return the links of the chain as one transformation."""
        return optax.named_chain(*self.stages(total_steps).items())

    def stages(self, total_steps: int | None) -> dict[str, optax.GradientTransformation]:
        """Return the links of the chain, in the order in which a gradient passes them."""
        rate = self._schedule(total_steps)
        decay, nothing = self._decay(), optax.identity()
        return {
            "clip": clip(self.clip_value, self.clip_norm, self.clip_global_norm),
            "decay": nothing if self.decoupled else decay,
            "direction": self._direction(),
            "decoupled_decay": decay if self.decoupled else nothing,
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
            found = self.direction()
        if not (callable(getattr(found, "init", None)) and callable(getattr(found, "update", None))):
            expected = f"direction() must return an optax transformation, found {type(found).__name__}"
            raise ConfigError(expected, where=self._place)
        return found

    def decay_of(self, path: str) -> float:
        """Return a parameter's weight decay: its group's, or that of all (if `weight_decay_on` lets it decay)."""
        special = group_of(path, self.groups).weight_decay
        return self.weight_decay if special is None else special

    def _decay(self) -> optax.GradientTransformation:
        everywhere = self.weight_decay_on == "all"

        def add(keys: Any, update: Array, parameter: Array) -> Array:
            path = path_of(keys)
            named = group_of(path, self.groups).weight_decay is not None
            chosen = named or everywhere or is_weight(keys[-1].key, parameter)
            return update + self.decay_of(path) * parameter if chosen else update

        def decayed(updates: Any, params: Any) -> Any:
            return jax.tree_util.tree_map_with_path(add, updates, params)

        decays = self.weight_decay or any(group.weight_decay for _, group in self.groups)
        return optax.stateless(decayed) if decays else optax.identity()
