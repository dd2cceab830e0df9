"""What a schedule of the learning rate is: a frozen rule that gives the rate of each step, with a warmup in front."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, ClassVar

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from pydantic import Field
from typing_extensions import override

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import ConfigError
from retrograd.base.quantities import Probability
from retrograd.base.registry import Registry
from retrograd.base.schema import Settings, fields, unwritten

schedules: Registry[Schedule] = Registry("schedule", own="one of your own needs --layers FILE.py")

MAX_STEP = 2**31 - 1  # the step counter is an int32
Steps = Annotated[int, Field(gt=0, le=MAX_STEP), Expect(f"a positive integer, at most {MAX_STEP}")]
Warmup = Annotated[int, Field(ge=0, le=MAX_STEP), Expect("a number of steps (an integer, 0 or larger)")]


RATES = ("initial", "peak", "final", "minimum")  # fields that hold learning rates; others are lengths and shares
FIRST_RATE = Words("the learning rate at the start", more="faster; too large a rate diverges", less="slower, finer")
LAST_RATE = Words(
    "the learning rate at the end", more="keeps moving at the end", less="settles more", why="0: settles completely"
)
FALL = Words("what the rate is multiplied by", more="falls less", less="falls more", why="a tenth")


@dataclass(frozen=True)
class Schedule(Settings):
    """A rule for the learning rate at each step of the optimizer, counted from 0.

        rate(t) = rule(t - warmup)                                            after the warmup
        rate(t) = rule(0) (s + (1 - s) t / warmup),  s = warmup_start         in its first `warmup` steps

    A subclass states `rule`. All rates (`initial`, `peak`, `final`) are absolute, all lengths are in steps.
    `warmup_start` is a fraction of the first rate; it is not 0 by default, which would waste a step.
    """

    formula: ClassVar[str] = "rate(t) = rule(t)"
    latex: ClassVar[str] = r"\eta_t"
    open_numbers: ClassVar[tuple[str, ...]] = RATES

    _: KW_ONLY
    warmup: Annotated[
        Warmup,
        Words(
            "steps over which the rate rises to its first value",
            more="gentler start",
            less="sooner at full rate",
            why="0: none",
        ),
    ] = 0
    warmup_start: Annotated[
        Probability,
        Words(
            "where the warmup begins, as a share of the first rate",
            more="less gentle",
            less="gentler",
            why="a hundredth",
        ),
    ] = 0.01

    def rule(self, step: Array, length: int) -> Array:
        """Return the rate `step` steps after the warmup; `length` is 0 for a schedule that has no end."""
        raise unwritten(self, "rule(self, step, length)", "which returns the learning rate")

    def length(self, total_steps: int | None) -> int:
        """Return how many steps the rule lasts in a run of `total_steps`."""
        return 0

    def rates(self) -> dict[str, float]:
        """Return the learning rates among the settings, the first setting in front.

        All of them times a number is the schedule times that number: what is left out or 0 follows from the others.
        """
        names = [field.name for field in fields(type(self))]
        held = {name: getattr(self, name) for name in names if name == names[0] or name in RATES}
        return {name: float(rate) for name, rate in held.items() if rate}

    def build(self, total_steps: int | None) -> Callable[[ArrayLike], Array]:
        """Return the function from the step to the learning rate; it can be traced.

        Raises:  ConfigError when the schedule needs the run's length and the run has none.
        """
        length = self.length(total_steps)

        def rate(step: ArrayLike) -> Array:
            step = jnp.asarray(step)
            if not self.warmup:
                return self.rule(step, length)
            ramp = self.warmup_start + (1 - self.warmup_start) * progress(step, self.warmup)
            return ramp * self.rule(jnp.maximum(step - self.warmup, 0), length)

        return rate


@dataclass(frozen=True)
class Timed(Schedule):
    """A schedule with an end, after which the rate stays.

    `steps` left out is what the warmup leaves of the run's steps.
    """

    _: KW_ONLY
    steps: Annotated[
        Steps | None,
        Words("steps over which the rate changes", more="slower change", less="faster change", why="the whole run"),
    ] = None

    @override
    def length(self, total_steps: int | None) -> int:
        if self.steps is not None:
            return self.steps
        where = f"{getattr(self, 'registered_name', type(self).__name__)}.steps"
        if total_steps is None:
            raise ConfigError(
                "the run has no fixed number of steps", where=where, cure="give `steps`, or the run a number of epochs"
            )
        if total_steps <= self.warmup:
            raise ConfigError(
                f"the warmup of {self.warmup} steps leaves nothing of the run's {total_steps}",
                where=where,
                cure="shorten the warmup, or train longer",
            )
        return total_steps - self.warmup


def progress(step: Array, length: int) -> Array:
    """Return the part of `length` that is over, never above 1: compiled, t / T can come out as more at t = T."""
    return jnp.minimum(ratio(step, length), 1)


def ratio(step: Array, length: ArrayLike) -> Array:
    """Return step / length in the precision of the run: JAX divides int32 in float32 even where float64 is on."""
    return step.astype(float) / length


def half_cosine(start: float, end: float, part: Array) -> Array:
    """Return the value between start (part 0) and end (part 1) along half a cosine wave."""
    return end + (start - end) * (1 + jnp.cos(jnp.pi * part)) / 2
