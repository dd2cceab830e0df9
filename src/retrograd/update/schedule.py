"""The base class of learning-rate schedules: a rule for the rate at each step, preceded by an optional warmup."""

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

schedules: Registry[Schedule] = Registry("schedule", own="load your own with --layers FILE.py")

MAX_STEP = 2**31 - 1  # the step counter is an int32
Steps = Annotated[int, Field(gt=0, le=MAX_STEP), Expect(f"a positive integer, at most {MAX_STEP}")]
Warmup = Annotated[int, Field(ge=0, le=MAX_STEP), Expect("a number of steps (an integer, 0 or larger)")]


RATES = ("initial", "peak", "final", "minimum")  # fields that are learning rates; the others are lengths and shares
FIRST_RATE = Words("initial learning rate", more="faster, but may diverge", less="slower, finer")
LAST_RATE = Words(
    "final learning rate", more="keeps moving at the end", less="converges further", why="0: converges completely"
)
FALL = Words(
    "factor by which the rate is multiplied",
    more="decreases less",
    less="decreases more",
    why="0.1 is the usual factor of step schedules",
)


@dataclass(frozen=True)
class Schedule(Settings):
    """A rule for the learning rate at each step of the optimizer, counted from 0.

        rate(t) = rule(t - warmup)                                            after the warmup
        rate(t) = rule(0) (s + (1 - s) t / warmup),  s = warmup_start         in its first `warmup` steps

    A subclass defines `rule`. All rates (`initial`, `peak`, `final`) are absolute, all lengths are in steps.
    `warmup_start` is a fraction of the first rate; its default is not 0, which would waste a step.
    """

    formula: ClassVar[str] = "rate(t) = rule(t)"
    latex: ClassVar[str] = r"\eta_t"
    open_numbers: ClassVar[tuple[str, ...]] = RATES

    _: KW_ONLY
    warmup: Annotated[
        Warmup,
        Words(
            "number of steps over which the rate rises to its first value",
            more="gentler start",
            less="full rate sooner",
            why="0: none",
        ),
    ] = 0
    warmup_start: Annotated[
        Probability,
        Words(
            "rate at the start of the warmup, relative to the first rate",
            more="less gentle",
            less="gentler",
            why="0.01: the first steps hardly move the weights",
        ),
    ] = 0.01

    def rule(self, step: Array, length: int) -> Array:
        """Return the rate `step` steps after the warmup; `length` is 0 for a schedule without an end."""
        raise unwritten(self, "rule(self, step, length)", "which returns the learning rate")

    def length(self, total_steps: int | None) -> int:
        """Return the number of steps that the rule covers in a run of `total_steps`."""
        return 0

    def rates(self) -> dict[str, float]:
        """Return the learning rates among the settings, starting with the first setting.

        Multiplying all of them by a number multiplies the schedule by it: rates of None or 0 follow from the others.
        """
        names = [field.name for field in fields(type(self))]
        rates = {name: getattr(self, name) for name in names if name == names[0] or name in RATES}
        return {name: float(rate) for name, rate in rates.items() if rate}

    def build(self, total_steps: int | None) -> Callable[[ArrayLike], Array]:
        """Return the function from step to learning rate; it can be traced.

        Raises:  ConfigError if the schedule needs the length of the run and the run has none
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
    """A schedule with an end, after which the rate is constant.

    By default, `steps` are the steps of the run after the warmup.
    """

    _: KW_ONLY
    steps: Annotated[
        Steps | None,
        Words(
            "number of steps over which the rate changes",
            more="slower change",
            less="faster change",
            why="the whole run",
        ),
    ] = None

    @override
    def length(self, total_steps: int | None) -> int:
        if self.steps is not None:
            return self.steps
        where = f"{getattr(self, 'registered_name', type(self).__name__)}.steps"
        if total_steps is None:
            raise ConfigError(
                "the run has no fixed number of steps", where=where, cure="set `steps`, or the number of epochs"
            )
        if total_steps <= self.warmup:
            raise ConfigError(
                f"the warmup of {self.warmup} steps is not shorter than the run of {total_steps}",
                where=where,
                cure="shorten the warmup, or train longer",
            )
        return total_steps - self.warmup


def progress(step: Array, length: int) -> Array:
    """Return step / length, at most 1: compiled, t / T can exceed 1 at t = T."""
    return jnp.minimum(ratio(step, length), 1)


def ratio(step: Array, length: ArrayLike) -> Array:
    """Return step / length in the precision of the run: JAX divides int32 in float32 even if float64 is enabled."""
    return step.astype(float) / length


def half_cosine(start: float, end: float, part: Array) -> Array:
    """Return the value between start (part 0) and end (part 1) along half a cosine wave."""
    return end + (start - end) * (1 + jnp.cos(jnp.pi * part)) / 2
