"""Learning-rate schedules by name.

The rules are written out rather than taken from optax: compiled in float32, the polynomial of optax 0.2.8 gives NaN at
its end for a non-integer power, and its staircase can decrease one step late.
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
    """A constant rate; with `warmup`, after a linear rise (PyTorch's LinearLR)."""

    formula = "rate(t) = initial"
    latex = r"\eta_t = \eta_0"

    initial: Annotated[PositiveFloat, FIRST_RATE]

    @override
    def rule(self, step: Array, length: int) -> Array:
        return jnp.full(step.shape, in_array(self.initial))


@schedules.register("step", example={"initial": 0.1, "every": 5, "factor": 0.5})
@dataclass(frozen=True)
class Step(Schedule):
    """Multiply the rate by `factor` once every `every` steps: PyTorch's StepLR, counted in steps."""

    formula = "rate(t) = initial factor^floor(t / every)"
    latex = r"\eta_t = \eta_0 \, \gamma^{\lfloor t / every \rfloor}"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    every: Annotated[Steps, Words("number of steps between two decreases", more="later", less="sooner")]
    factor: Annotated[PositiveFloat, FALL] = 0.1

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.initial * self.factor ** (step // self.every)


@schedules.register("milestones", example={"initial": 0.1, "at": [3, 8]})
@dataclass(frozen=True)
class Milestones(Schedule):
    """Multiply the rate by `factor` at each of the given steps: PyTorch's MultiStepLR."""

    formula = "rate(t) = initial factor^(number of `at` <= t)"
    latex = r"\eta_t = \eta_0 \, \gamma^{|\{m \in at : m \le t\}|}"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    at: Annotated[
        tuple[Steps, ...],
        Field(min_length=1),
        Expect("a list of positive integers"),
        Words("steps at which the rate decreases"),
    ]
    factor: Annotated[PositiveFloat, FALL] = 0.1

    @override
    def rule(self, step: Array, length: int) -> Array:
        passed = jnp.searchsorted(jnp.asarray(sorted(self.at), jnp.int32), step, side="right")
        return self.initial * self.factor**passed


@schedules.register("exponential", example={"initial": 0.1, "factor": 0.9})
@dataclass(frozen=True)
class Exponential(Schedule):
    """Decrease the rate smoothly by `factor` per `every` steps: PyTorch's ExponentialLR for `every: 1`."""

    formula = "rate(t) = initial factor^(t / every)"
    latex = r"\eta_t = \eta_0 \, \gamma^{t / every}"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    factor: Annotated[
        PositiveFloat, Words("factor by which the rate is multiplied", more="decreases less", less="decreases more")
    ]
    every: Annotated[
        Steps, Words("number of steps per factor", more="slower decrease", less="faster decrease", why="every step")
    ] = 1

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.initial * self.factor ** ratio(step, self.every)


@schedules.register("inverse_time", example={"initial": 0.1, "rate": 0.1, "power": 0.5})
@dataclass(frozen=True)
class InverseTime(Schedule):
    """Decrease the rate as 1 / t or, with `power: 0.5`, as 1 / sqrt(t).

    See:  Robbins & Monro 1951. scikit-learn's `invscaling` is `rate: 1` with `power: 0.5`; PyTorch's Adagrad has it
          as `lr_decay`.
    """

    formula = "rate(t) = initial / (1 + rate t)^power"
    latex = r"\eta_t = \eta_0 / (1 + r t)^{power}"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    rate: Annotated[PositiveFloat, Words("how fast the rate decreases", more="faster", less="slower")]
    power: Annotated[
        PositiveFloat, Words("exponent of the decrease", more="faster decrease", less="slower decrease")
    ] = 1.0

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.initial / (1 + self.rate * step) ** self.power


@schedules.register("linear", example={"initial": 0.1, "final": 0.01, "steps": 20})
@dataclass(frozen=True)
class Linear(Timed):
    """Change the rate linearly from one value to another; PyTorch's LinearLR specifies both as factors."""

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
    """Change the rate from one value to another along a power of the remaining time.

    See:  PyTorch's PolynomialLR has `power` 1 by default, which here is `linear`.
    """

    formula = "rate(t) = final + (initial - final) (1 - t / steps)^power"
    latex = r"\eta_t = \eta_T + (\eta_0 - \eta_T)(1 - t/T)^{power}"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    final: Annotated[NonNegativeFloat, LAST_RATE] = 0.0
    power: Annotated[
        PositiveFloat, Words("exponent of the decrease", more="decreases earlier", less="closer to a straight line")
    ] = 2.0

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.final + (self.initial - self.final) * (1 - progress(step, length)) ** self.power


@schedules.register("cosine", example={"initial": 0.1, "final": 0.001, "steps": 20, "warmup": 5})
@dataclass(frozen=True)
class Cosine(Timed):
    """Change the rate from one value to another along half a cosine wave: slow, fast, slow.

    See:  Loshchilov & Hutter 2017, arXiv:1608.03983. After the end the rate is constant, as in optax; PyTorch's
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
    """Restart the half cosine again and again, each cycle `multiply` times as long as the one before.

    See:  Loshchilov & Hutter 2017, arXiv:1608.03983 (SGDR); PyTorch's CosineAnnealingWarmRestarts, where `every` is
          T_0 and `multiply` T_mult.
    """

    formula = "rate(t) = final + (initial - final) (1 + cos(pi t' / T)) / 2, t' steps into a cycle of T"
    latex = r"\eta_t = \eta_T + \tfrac{1}{2} (\eta_0 - \eta_T)(1 + \cos(\pi t' / T_k))"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    every: Annotated[Steps, Words("length of the first cycle in steps", more="longer cycles", less="shorter cycles")]
    multiply: Annotated[
        Steps,
        Words(
            "ratio of the length of each cycle to the one before",
            more="cycles get longer",
            less="cycles stay the same",
            why="1: all the same",
        ),
    ] = 1
    final: Annotated[NonNegativeFloat, LAST_RATE] = 0.0

    @override
    def rule(self, step: Array, length: int) -> Array:
        if self.multiply == 1:
            return half_cosine(self.initial, self.final, ratio(step % self.every, self.every))
        lengths = [self.every * self.multiply**k for k in range(32)]
        starts = [start for start in itertools.accumulate(lengths, initial=0) if start <= MAX_STEP]
        first_steps = jnp.asarray(starts, jnp.int32)
        cycle = jnp.searchsorted(first_steps, step, side="right") - 1
        part = ratio(step - first_steps[cycle], jnp.asarray(lengths[: len(starts)], float)[cycle])
        return half_cosine(self.initial, self.final, part)


@schedules.register("one_cycle", example={"peak": 0.1, "steps": 20})
@dataclass(frozen=True)
class OneCycle(Timed):
    """Rise to `peak` in the first part of the run, then fall far below the start, both along half a cosine wave.

    By default `initial` is peak / 25 and `final` is initial / 10000; `rise` is the share of steps in which the rate
    rises.

    See:  Smith & Topin 2018, arXiv:1708.07120. As in optax, the peak is at step int(rise * steps) and the end at
          `steps`; PyTorch's OneCycleLR has both one step earlier, and also cycles the momentum.
    """

    formula = "rate(t) = half cosine from initial to peak at step rise * steps, from there to final at steps"
    latex = r"\eta_0 \nearrow \eta_{peak} \text{ at } rT, \quad \eta_{peak} \searrow \eta_T \text{ at } T"

    peak: Annotated[
        PositiveFloat,
        Words("largest learning rate", more="faster, but may diverge", less="slower, finer"),
    ]
    initial: Annotated[
        PositiveFloat | None,
        Words("initial rate", more="less gentle start", less="gentler start", why="1/25 of the peak"),
    ] = None
    final: Annotated[
        NonNegativeFloat | None,
        Words(
            "final rate",
            more="keeps moving at the end",
            less="converges further",
            why="1/10,000 of the initial rate",
        ),
    ] = None
    rise: Annotated[
        Fraction, Words("share of the steps in which the rate rises", more="longer rise", less="longer fall")
    ] = 0.3

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
    """Rise and fall linearly between two rates; `every` is the length of a full cycle.

    See:  Smith 2017, arXiv:1506.01186 (the triangular policy); PyTorch's CyclicLR, where half of `every` is
          step_size_up.
    """

    formula = "rate(t) = peak - (peak - initial) |1 - 2 (t mod every) / every|"
    latex = r"\eta_t = \eta_{peak} - (\eta_{peak} - \eta_0) \, |1 - 2 (t \bmod T) / T|"

    initial: Annotated[
        PositiveFloat, Words("smallest rate", more="converges less between peaks", less="converges more")
    ]
    peak: Annotated[PositiveFloat, Words("largest rate", more="wider exploration, but may diverge", less="narrower")]
    every: Annotated[
        Steps, Words("length of a cycle (a rise and a fall) in steps", more="longer cycles", less="shorter cycles")
    ]

    @override
    def rule(self, step: Array, length: int) -> Array:
        return self.peak - (self.peak - self.initial) * jnp.abs(1 - 2 * ratio(step % self.every, self.every))
