"""Optimizers by name; Adam and its relatives are in `adam.py`.

The arithmetic is that of optax; names and defaults are those of PyTorch, unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import jax
import optax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.compilation.scalars import with_values
from retrograd.base.errors import Problem
from retrograd.base.quantities import Fraction, NonNegativeFloat, PositiveFloat
from retrograd.update.deviation import scale_by_deviation
from retrograd.update.optimizer import LearningRate, Optimizer, optimizers
from retrograd.update.schedule import Schedule
from retrograd.update.schedules import InverseTime

EPS = Words(
    "added to the denominator",
    more="smaller steps where gradients are tiny",
    less="larger steps where gradients are tiny",
    why="as in PyTorch",
)
DECAY = Words(
    "decay rate of the moving average of squared gradients",
    more="steadier",
    less="adapts faster",
    why="as in PyTorch",
)
MOMENTUM = Words(
    "share of the velocity kept from the previous step",
    more="faster along steady directions, overshoots more",
    less="follows each gradient",
    why="0: none; 0.9 is usual",
)
BETA1 = Words(
    "decay rate of the moving average of gradients",
    more="steadier direction, slower to turn",
    less="follows each gradient",
    why="0.9: about the last 10 gradients",
)


@optimizers.register("sgd", example={"learning_rate": 0.1, "momentum": 0.9, "nesterov": True})
@dataclass(frozen=True)
class SGD(Optimizer):
    """Descend along the gradient of each minibatch, optionally with momentum.

    nesterov: look ahead along the velocity: d = g + momentum v.

    See:  Robbins & Monro 1951; Polyak 1964; Sutskever et al. 2013. Keras and scikit-learn include the learning rate in
          the velocity, which makes a difference if the rate changes. The default rate of PyTorch is 0.001, of Keras
          0.01.
    """

    formula = "v = momentum v + g; d = v"
    latex = r"v \leftarrow \mu v + g, \quad d = v"

    learning_rate: LearningRate = 0.01
    momentum: Annotated[Fraction, MOMENTUM] = 0.0
    nesterov: Annotated[bool, Words("whether the step looks ahead along the velocity (Nesterov)")] = False

    @override
    def rules(self) -> Iterator[Problem]:
        if self.nesterov and not self.momentum:
            yield Problem("nesterov", "needs momentum", "set momentum, for example to 0.9")

    @override
    def direction(self) -> optax.GradientTransformation:
        return optax.trace(self.momentum, self.nesterov) if self.momentum else optax.identity()


@optimizers.register("asgd", example={"learning_rate": 0.1, "shrinking": 0.01})
@dataclass(frozen=True)
class ASGD(Optimizer):
    """Descend along the gradient with a decreasing rate, to be used with averaged weights: `training.average`.

    If the learning rate is a schedule, it is used as it is, and `power` has no effect.

    See:  Polyak & Juditsky 1992; in PyTorch's form, whose `lambd` is `shrinking` and `alpha` is `power`. PyTorch's `ax`
          is `training: {average: {kind: mean}}`.
    """

    formula = "d = g + shrinking p, at the rate learning_rate / (1 + shrinking learning_rate t)^power"
    latex = r"d = g + \lambda p, \quad \eta_t = \eta_0 / (1 + \lambda \eta_0 t)^{power}"

    learning_rate: LearningRate = 0.01
    shrinking: Annotated[
        PositiveFloat, Words("L2 shrinkage of the weights, which also sets how fast the rate decreases", more="faster")
    ] = 1e-4
    power: Annotated[
        PositiveFloat, Words("exponent of the decrease of the rate", more="faster decrease", why="as in PyTorch")
    ] = 0.75

    @property
    @override
    def schedule(self) -> Schedule:
        rate = self.learning_rate
        if isinstance(rate, Schedule):
            return rate
        falling = InverseTime(1.0, 1.0, self.power)
        timed: Schedule = with_values(falling, {"initial": rate, "rate": self.shrinking * rate})
        return timed

    @override
    def direction(self) -> optax.GradientTransformation:
        return optax.stateless(lambda g, p: jax.tree.map(lambda g, p: g + self.shrinking * p, g, p))


@optimizers.register("adagrad", example={"learning_rate": 0.1})
@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Divide each gradient by the root of the sum of its squares so far.

    See:  Duchi et al. 2011. The sum starts at 0 as in PyTorch (optax, Keras: 0.1); eps is inside the root, where
          optax has it (PyTorch: outside). PyTorch's `lr_decay` is the schedule `inverse_time`.
    """

    formula = "s = s + g²; d = g / sqrt(s + eps)"
    latex = r"s \leftarrow s + g^2, \quad d = g / \sqrt{s + \epsilon}"

    learning_rate: LearningRate = 0.01
    initial_accumulator: Annotated[
        NonNegativeFloat,
        Words(
            "initial value of the sum of squares",
            more="smaller first steps",
            less="larger first steps",
            why="0, as in PyTorch",
        ),
    ] = 0.0
    eps: Annotated[PositiveFloat, EPS] = 1e-10

    @override
    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_rss(self.initial_accumulator, self.eps)


@optimizers.register("rmsprop", example={"learning_rate": 0.01, "centered": True, "momentum": 0.9})
@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Divide each gradient by the root of a moving average of its square.

    centered: divide by the standard deviation instead; it tends to 0 for a constant gradient, whose steps then grow.
    momentum: applied to the result, before the learning rate.

    See:  Tieleman & Hinton 2012, lecture 6.5; Graves 2013, arXiv:1308.0850 (centered). As in PyTorch, decay is 0.99 and
          eps is outside the root; in optax and Keras 0.9 and inside. optax applies the rate before momentum.
    """

    formula = "s = decay s + (1 - decay) g²; d = g / (sqrt(s) + eps)"
    latex = r"s \leftarrow \rho s + (1 - \rho) g^2, \quad d = g / (\sqrt{s} + \epsilon)"

    learning_rate: LearningRate = 0.01
    decay: Annotated[Fraction, DECAY] = 0.99
    eps: Annotated[PositiveFloat, EPS] = 1e-8
    centered: Annotated[bool, Words("whether to divide by the standard deviation instead of the root mean square")] = (
        False
    )
    momentum: Annotated[Fraction, MOMENTUM] = 0.0

    @override
    def direction(self) -> optax.GradientTransformation:
        if self.centered:
            scale = scale_by_deviation(self.decay, self.eps)
        else:
            scale = optax.scale_by_rms(self.decay, self.eps, eps_in_sqrt=False)
        return optax.chain(scale, optax.trace(self.momentum)) if self.momentum else scale


@optimizers.register("adadelta", example={"learning_rate": 1.0})
@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Scale each update by the size of previous updates, so that the rate needs no tuning.

    See:  Zeiler 2012, arXiv:1212.5701. PyTorch and the paper have rate 1; Keras's 0.001 hardly moves.
    """

    formula = "s = decay s + (1 - decay) g²; d = g sqrt(u + eps) / sqrt(s + eps); u = decay u + (1 - decay) d²"
    latex = (
        r"s \leftarrow \rho s + (1-\rho) g^2, \quad d = g \sqrt{u + \epsilon} / \sqrt{s + \epsilon}, \quad "
        r"u \leftarrow \rho u + (1-\rho) d^2"
    )

    learning_rate: LearningRate = 1.0
    decay: Annotated[Fraction, DECAY] = 0.9
    eps: Annotated[PositiveFloat, EPS] = 1e-6

    @override
    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_adadelta(self.decay, self.eps)


@optimizers.register("lion", example={"learning_rate": 0.0001, "weight_decay": 0.1})
@dataclass(frozen=True)
class Lion(Optimizer):
    """Step by the sign of the momentum: every entry moves by the learning rate. Stores one moment less than Adam.

    See:  Chen et al. 2023, arXiv:2302.06675: use a rate 3 to 10 times smaller than for Adam, and a decay larger by the
          same factor. The decay is decoupled. optax's default decay is 0.001.
    """

    formula = "d = sign(beta1 m + (1 - beta1) g) + weight_decay p; m = beta2 m + (1 - beta2) g"
    latex = r"d = \mathrm{sign}(\beta_1 m + (1-\beta_1) g) + \lambda p, \quad m \leftarrow \beta_2 m + (1-\beta_2) g"
    decoupled = True

    learning_rate: LearningRate = 0.0001
    beta1: Annotated[Fraction, BETA1] = 0.9
    beta2: Annotated[
        Fraction,
        Words("decay rate of the momentum", more="steadier", less="adapts faster", why="as in the paper"),
    ] = 0.99

    @override
    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_lion(self.beta1, self.beta2)
