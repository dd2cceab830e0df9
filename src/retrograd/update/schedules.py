"""Schedules of the learning rate by name.

The rules are written out rather than taken from optax: compiled in float32, optax 0.2.8's polynomial gives NaN at its
end for a power that is no integer, and its staircase can fall a step late.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array
from pydantic import Field
from typing_extensions import override

from retrograd.base.annotations import Expect, Words
from retrograd.base.compilation.scalars import in_array
from retrograd.base.quantities import Fraction, NonNegativeFloat, PositiveFloat
from retrograd.update.schedule import (
    FALL,
    FIRST_RATE,
    LAST_RATE,
    MAX_STEP,
    Schedule,
    Steps,
    Timed,
    half_cosine,
    progress,
    ratio,
    schedules,
)


@schedules.register("constant", example={"initial": 0.1, "warmup": 10})
@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate throughout; with `warmup`, after a linear rise (PyTorch's LinearLR)."""

    formula = "rate(t) = initial"
    latex = r"\eta_t = \eta_0"

    initial: Annotated[PositiveFloat, FIRST_RATE]

    @override
    def rule(self, step: Array, length: int) -> Array:
        return jnp.full(step.shape, in_array(self.initial))


@schedules.register("step", example={"initial": 0.1, "every": 5, "factor": 0.5})
@dataclass(frozen=True)
class Step(Schedule):
    """Multiply the rate by `factor` after every `every` steps: PyTorch's StepLR, counted in steps."""

    formula = "rate(t) = initial factor^floor(t / every)"
    latex = r"\eta_t = \eta_0 \, \gamma^{\lfloor t / every \rfloor}"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    every: Annotated[Steps, Words("number of steps between two falls", more="falls later", less="falls sooner")]
    factor: Annotated[PositiveFloat, FALL] = 0.1

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.initial * self.factor ** (step // self.every)


@schedules.register("milestones", example={"initial": 0.1, "at": [3, 8]})
@dataclass(frozen=True)
class Milestones(Schedule):
    """Multiply the rate by `factor` at each of the given steps: PyTorch's MultiStepLR."""

    formula = "rate(t) = initial factor^(how many of `at` are <= t)"
    latex = r"\eta_t = \eta_0 \, \gamma^{|\{m \in at : m \le t\}|}"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    at: Annotated[
        tuple[Steps, ...],
        Field(min_length=1),
        Expect("a list of positive integers"),
        Words("the steps at which the rate falls"),
    ]
    factor: Annotated[PositiveFloat, FALL] = 0.1

    @override
    def rule(self, step: Array, length: int) -> Array:
        passed = jnp.searchsorted(jnp.asarray(sorted(self.at), jnp.int32), step, side="right")
        return self.initial * self.factor**passed


@schedules.register("exponential", example={"initial": 0.1, "factor": 0.9})
@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiply the rate by `factor` over every `every` steps, smoothly: PyTorch's ExponentialLR for `every: 1`."""

    formula = "rate(t) = initial factor^(t / every)"
    latex = r"\eta_t = \eta_0 \, \gamma^{t / every}"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    factor: Annotated[PositiveFloat, Words("what the rate is multiplied by", more="falls less", less="falls more")]
    every: Annotated[
        Steps, Words("number of steps between two falls", more="falls later", less="falls sooner", why="each step")
    ] = 1

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.initial * self.factor ** ratio(step, self.every)


@schedules.register("inverse_time", example={"initial": 0.1, "rate": 0.1, "power": 0.5})
@dataclass(frozen=True)
class InverseTime(Schedule):
    """Let the rate fall as one over time, or, with `power: 0.5`, over its square root.

    See:  Robbins & Monro 1951. scikit-learn's `invscaling` is `rate: 1` with `power: 0.5`; PyTorch's Adagrad has it
          as `lr_decay`.
    """

    formula = "rate(t) = initial / (1 + rate t)^power"
    latex = r"\eta_t = \eta_0 / (1 + r t)^{power}"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    rate: Annotated[PositiveFloat, Words("how fast the rate falls", more="faster", less="slower")]
    power: Annotated[PositiveFloat, Words("exponent of the fall", more="falls faster", less="falls more slowly")] = 1.0

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.initial / (1 + self.rate * step) ** self.power


@schedules.register("linear", example={"initial": 0.1, "final": 0.01, "steps": 20})
@dataclass(frozen=True)
class Linear(Timed):
    """Go from one rate to another in a straight line; PyTorch's LinearLR states both as factors."""

    formula = "rate(t) = final + (initial - final) (1 - t / steps)"
    latex = r"\eta_t = \eta_T + (\eta_0 - \eta_T)(1 - t/T)"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    final: Annotated[NonNegativeFloat, LAST_RATE] = 0.0

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.final + (self.initial - self.final) * (1 - progress(step, length))


@schedules.register("polynomial", example={"initial": 0.1, "power": 2.5, "steps": 20})
@dataclass(frozen=True)
class Polynomial(Timed):
    """Go from one rate to another along a power of the remaining time.

    See:  PyTorch's PolynomialLR has `power` 1 by default, which here is `linear`.
    """

    formula = "rate(t) = final + (initial - final) (1 - t / steps)^power"
    latex = r"\eta_t = \eta_T + (\eta_0 - \eta_T)(1 - t/T)^{power}"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    final: Annotated[NonNegativeFloat, LAST_RATE] = 0.0
    power: Annotated[
        PositiveFloat, Words("exponent of the fall", more="falls earlier", less="nearer to a straight line")
    ] = 2.0

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.final + (self.initial - self.final) * (1 - progress(step, length)) ** self.power


@schedules.register("cosine", example={"initial": 0.1, "final": 0.001, "steps": 20, "warmup": 5})
@dataclass(frozen=True)
class Cosine(Timed):
    """Go from one rate to another along half a cosine wave: slow, fast, slow.

    See:  Loshchilov & Hutter 2017, arXiv:1608.03983. Past the end the rate stays, as in optax; PyTorch's
          CosineAnnealingLR rises again. PyTorch's `eta_min` is `final`, optax's `alpha` is final / initial.
    """

    formula = "rate(t) = final + (initial - final) (1 + cos(pi t / steps)) / 2"
    latex = r"\eta_t = \eta_T + \tfrac{1}{2} (\eta_0 - \eta_T)(1 + \cos(\pi t / T))"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    final: Annotated[NonNegativeFloat, LAST_RATE] = 0.0

    @override
    def rule(self, step: Array, length: int) -> Array:
        return half_cosine(self.initial, self.final, progress(step, length))


@schedules.register("cosine_restarts", example={"initial": 0.1, "every": 4, "multiply": 2})
@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """Repeat the half cosine from the start again and again, each time `multiply` times as long.

    See:  Loshchilov & Hutter 2017, arXiv:1608.03983 (SGDR); PyTorch's CosineAnnealingWarmRestarts, where `every` is
          T_0 and `multiply` T_mult.
    """

    formula = "rate(t) = final + (initial - final) (1 + cos(pi t' / T)) / 2, t' steps into a cycle of T"
    latex = r"\eta_t = \eta_T + \tfrac{1}{2} (\eta_0 - \eta_T)(1 + \cos(\pi t' / T_k))"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    every: Annotated[Steps, Words("steps of the first cycle", more="longer cycles", less="shorter cycles")]
    multiply: Annotated[
        Steps,
        Words(
            "how many times as long as the one before each cycle is",
            more="cycles grow",
            less="cycles stay alike",
            why="1: all alike",
        ),
    ] = 1
    final: Annotated[NonNegativeFloat, LAST_RATE] = 0.0

    @override
    def rule(self, step: Array, length: int) -> Array:
        if self.multiply == 1:
            return half_cosine(self.initial, self.final, ratio(step % self.every, self.every))
        lengths = [self.every * self.multiply**k for k in range(32)]
        starts = [start for start in itertools.accumulate(lengths, initial=0) if start <= MAX_STEP]
        began = jnp.asarray(starts, jnp.int32)
        cycle = jnp.searchsorted(began, step, side="right") - 1
        part = ratio(step - began[cycle], jnp.asarray(lengths[: len(starts)], float)[cycle])
        return half_cosine(self.initial, self.final, part)


@schedules.register("one_cycle", example={"peak": 0.1, "steps": 20})
@dataclass(frozen=True)
class OneCycle(Timed):
    """Rise to `peak` in the first part of the run, then fall far below the start, both along half a cosine wave.

    `initial` left out is peak / 25, `final` initial / 10000; `rise` is the part of the steps that rises.

    See:  Smith & Topin 2018, arXiv:1708.07120. optax's definition: the peak is at step int(rise * steps), the end at
          `steps`; PyTorch's OneCycleLR has both one step earlier, and also cycles the momentum.
    """

    formula = "rate(t) = half cosine from initial to peak at step rise * steps, from there to final at steps"
    latex = r"\eta_0 \nearrow \eta_{peak} \text{ at } rT, \quad \eta_{peak} \searrow \eta_T \text{ at } T"

    peak: Annotated[
        PositiveFloat,
        Words("the largest learning rate", more="faster; too large a rate diverges", less="slower, finer"),
    ]
    initial: Annotated[
        PositiveFloat | None,
        Words("the rate at the start", more="less gentle start", less="gentler start", why="a 25th of the peak"),
    ] = None
    final: Annotated[
        NonNegativeFloat | None,
        Words(
            "the rate at the end",
            more="keeps moving at the end",
            less="settles more",
            why="a tiny share of the initial one",
        ),
    ] = None
    rise: Annotated[Fraction, Words("share of the steps that rise", more="longer rise", less="longer fall")] = 0.3

    @override
    def rule(self, step: Array, length: int) -> Array:
        initial = self.peak / 25 if self.initial is None else self.initial
        final = initial / 1e4 if self.final is None else self.final
        top = int(self.rise * length)
        up = half_cosine(initial, self.peak, progress(step, max(top, 1)))
        down = half_cosine(self.peak, final, progress(step - top, length - top))
        return jnp.where(step < top, up, down)


@schedules.register("cyclic", example={"initial": 0.01, "peak": 0.1, "every": 8})
@dataclass(frozen=True)
class Cyclic(Schedule):
    """Rise and fall in straight lines between two rates; `every` is the length of a whole cycle.

    See:  Smith 2017, arXiv:1506.01186 (the triangular policy); PyTorch's CyclicLR, where half of `every` is
          step_size_up.
    """

    formula = "rate(t) = peak - (peak - initial) |1 - 2 (t mod every) / every|"
    latex = r"\eta_t = \eta_{peak} - (\eta_{peak} - \eta_0) \, |1 - 2 (t \bmod T) / T|"

    initial: Annotated[
        PositiveFloat, Words("the smallest rate", more="less settling between peaks", less="more settling")
    ]
    peak: Annotated[
        PositiveFloat, Words("the largest rate", more="wider exploration; too large diverges", less="narrower")
    ]
    every: Annotated[Steps, Words("steps of one rise and fall", more="longer cycles", less="shorter cycles")]

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.peak - (self.peak - self.initial) * jnp.abs(1 - 2 * ratio(step % self.every, self.every))
