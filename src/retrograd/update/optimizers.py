"""Optimizers by name. The arithmetic is optax's; names and defaults are PyTorch's unless a docstring says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import optax

from retrograd.base.annotations import describing
from retrograd.base.errors import Problem
from retrograd.base.quantities import Fraction, NonNegativeFloat, PositiveFloat
from retrograd.update.deviation import scale_by_deviation
from retrograd.update.optimizer import LearningRate, Optimizer, optimizers

EPS = (
    "added to the root that divides the gradient",
    "smaller steps where gradients are tiny",
    "larger steps where gradients are tiny",
    "as in PyTorch",
)
DECAY = ("share of the old that the average of squares keeps", "steadier", "follows faster", "as in PyTorch")
MOMENTUM = (
    "share of the last step's velocity that is kept",
    "faster along steady directions, overshoots more",
    "follows each gradient",
    "0: none; 0.9 is usual",
)
BETA1 = (
    "share of the old that the average of gradients keeps",
    "steadier direction, slower to turn",
    "follows each gradient",
    "0.9: about the last 10 gradients",
)


@optimizers.register("sgd", example={"learning_rate": 0.1, "momentum": 0.9, "nesterov": True})
@dataclass(frozen=True)
class SGD(Optimizer):
    """Go down the gradient of each minibatch, with momentum if wanted.

    nesterov: look ahead along the velocity: d = g + momentum v.

    See:  Robbins & Monro 1951; Polyak 1964; Sutskever et al. 2013. Keras and scikit-learn keep the learning rate
          inside the velocity, which differs once the rate changes. PyTorch's default rate is 0.001, Keras's 0.01.
    """

    formula = "v = momentum v + g; d = v"
    latex = r"v \leftarrow \mu v + g, \quad d = v"

    learning_rate: LearningRate = 0.01
    momentum: Fraction = 0.0
    nesterov: bool = False

    words = describing(
        momentum=MOMENTUM,
        nesterov=("whether the gradient is taken as if the velocity had moved already", "", "", "false"),
    )

    def rules(self) -> Iterator[Problem]:  # noqa: D102
        if self.nesterov and not self.momentum:
            yield Problem("nesterov", "needs momentum", "set momentum, to 0.9 say")

    def direction(self) -> optax.GradientTransformation:  # noqa: D102
        return optax.trace(self.momentum, self.nesterov) if self.momentum else optax.identity()


@optimizers.register("adagrad", example={"learning_rate": 0.1})
@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Divide each gradient by the root of the sum of its squares so far.

    See:  Duchi et al. 2011. The sum starts at 0 as in PyTorch (optax, Keras: 0.1); eps stands inside the root, where
          optax has it (PyTorch: outside). PyTorch's `lr_decay` is the schedule `inverse_time`.
    """

    formula = "s = s + g²; d = g / sqrt(s + eps)"
    latex = r"s \leftarrow s + g^2, \quad d = g / \sqrt{s + \epsilon}"

    learning_rate: LearningRate = 0.01
    initial_accumulator: NonNegativeFloat = 0.0
    eps: PositiveFloat = 1e-10

    words = describing(
        initial_accumulator=(
            "where the sum of squares begins",
            "smaller first steps",
            "larger first steps",
            "0, as in PyTorch",
        ),
        eps=EPS,
    )

    def direction(self) -> optax.GradientTransformation:  # noqa: D102
        return optax.scale_by_rss(self.initial_accumulator, self.eps)


@optimizers.register("rmsprop", example={"learning_rate": 0.01, "centered": True, "momentum": 0.9})
@dataclass(frozen=True)
class RMSprop(Optimizer):
    """Divide each gradient by the root of a moving average of its square.

    centered: by its standard deviation instead; a gradient that stays constant has none, and its steps grow.
    momentum: of what results, before the learning rate.

    See:  Tieleman & Hinton 2012, lecture 6.5; Graves 2013, arXiv:1308.0850 (centered). As in PyTorch decay is 0.99
          and eps stands outside the root; optax and Keras have 0.9 and inside. optax applies the rate before momentum.
    """

    formula = "s = decay s + (1 - decay) g²; d = g / (sqrt(s) + eps)"
    latex = r"s \leftarrow \rho s + (1 - \rho) g^2, \quad d = g / (\sqrt{s} + \epsilon)"

    learning_rate: LearningRate = 0.01
    decay: Fraction = 0.99
    eps: PositiveFloat = 1e-8
    centered: bool = False
    momentum: Fraction = 0.0

    words = describing(
        decay=DECAY,
        eps=EPS,
        centered=("whether gradients are divided by their deviation instead of their size", "", "", "false"),
        momentum=MOMENTUM,
    )

    def direction(self) -> optax.GradientTransformation:  # noqa: D102
        if self.centered:
            scale = scale_by_deviation(self.decay, self.eps)
        else:
            scale = optax.scale_by_rms(self.decay, self.eps, eps_in_sqrt=False)
        return optax.chain(scale, optax.trace(self.momentum)) if self.momentum else scale


@optimizers.register("adadelta", example={"learning_rate": 1.0})
@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Give each update the scale of the updates before it: the rate needs no tuning.

    See:  Zeiler 2012, arXiv:1212.5701. PyTorch and the paper have rate 1; Keras's 0.001 hardly moves.
    """

    formula = "s = decay s + (1 - decay) g²; d = g sqrt(u + eps) / sqrt(s + eps); u = decay u + (1 - decay) d²"
    latex = (
        r"s \leftarrow \rho s + (1-\rho) g^2, \quad d = g \sqrt{u + \epsilon} / \sqrt{s + \epsilon}, \quad "
        r"u \leftarrow \rho u + (1-\rho) d^2"
    )

    learning_rate: LearningRate = 1.0
    decay: Fraction = 0.9
    eps: PositiveFloat = 1e-6

    words = describing(
        decay=DECAY,
        eps=EPS,
    )

    def direction(self) -> optax.GradientTransformation:  # noqa: D102
        return optax.scale_by_adadelta(self.decay, self.eps)


@dataclass(frozen=True)
class TwoMoments(Optimizer):
    """What Adam and its relatives share: moving averages of the gradient and of its size."""

    learning_rate: LearningRate = 0.001
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: PositiveFloat = 1e-8

    words = describing(
        beta1=BETA1,
        beta2=(
            "share of the old that the average of squares keeps",
            "steadier size of steps",
            "follows changes of the gradient's size",
            "0.999: about the last 1000 gradients",
        ),
        eps=EPS,
    )


MOMENTS = "m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g²; "
ADAM = MOMENTS + "d = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)"
MOMENTS_LATEX = r"m \leftarrow \beta_1 m + (1-\beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \quad "
ADAM_LATEX = MOMENTS_LATEX + r"d = \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \epsilon}"


@optimizers.register("adam", example={"learning_rate": 0.001})
@dataclass(frozen=True)
class Adam(TwoMoments):
    """Divide a moving average of the gradient by the root of one of its square, both corrected for their start at 0.

    amsgrad: by the largest root so far.

    See:  Kingma & Ba 2015, arXiv:1412.6980; Reddi et al. 2018, arXiv:1904.09237 (amsgrad). eps stands outside the
          root as in PyTorch; Keras, scikit-learn and ONNX add it before the correction of v. amsgrad takes the
          maximum after that correction, as optax does; PyTorch before it. weight_decay acts through the gradient;
          `adamw` decouples it.
    """

    formula = ADAM
    latex = ADAM_LATEX

    amsgrad: bool = False

    words = describing(
        amsgrad=("whether the largest average of squares so far divides", "", "", "false"),
    )

    def direction(self) -> optax.GradientTransformation:  # noqa: D102
        scale = optax.scale_by_amsgrad if self.amsgrad else optax.scale_by_adam
        return scale(self.beta1, self.beta2, self.eps)


@optimizers.register("adamw", example={"learning_rate": 0.001, "weight_decay_on": "weights"})
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with the decay of weights decoupled from the gradient: each step shrinks p by learning_rate weight_decay p.

    See:  Loshchilov & Hutter 2019, arXiv:1711.05101. The default decay is PyTorch's 0.01; optax has 0.0001, Keras
          0.004. The paper scales the decay by the schedule alone, PyTorch and here by the learning rate.
    """

    formula = ADAM + " + weight_decay p"
    latex = ADAM_LATEX + r" + \lambda p"
    decoupled = True

    weight_decay: NonNegativeFloat = field(default=0.01, kw_only=True)


@optimizers.register("adamax", example={"learning_rate": 0.002})
@dataclass(frozen=True)
class Adamax(TwoMoments):
    """Adam with the largest gradient of late in place of the root of the mean square.

    See:  Kingma & Ba 2015, arXiv:1412.6980, section 7.1. eps is added to |g|, as in PyTorch and optax.
    """

    formula = "m = beta1 m + (1 - beta1) g; u = max(beta2 u, |g| + eps); d = m / ((1 - beta1^t) u)"
    latex = (
        r"m \leftarrow \beta_1 m + (1-\beta_1) g, \quad u \leftarrow \max(\beta_2 u, |g| + \epsilon), \quad "
        r"d = \frac{m}{(1-\beta_1^t) u}"
    )

    learning_rate: LearningRate = 0.002

    def direction(self) -> optax.GradientTransformation:  # noqa: D102
        return optax.scale_by_adamax(self.beta1, self.beta2, self.eps)


@optimizers.register("nadam", example={"learning_rate": 0.002})
@dataclass(frozen=True)
class NAdam(TwoMoments):
    """Adam with Nesterov's momentum: the average of the gradient looks one step ahead.

    See:  Dozat 2016, in optax's form with a constant beta1. PyTorch's lets beta1 grow over time (`momentum_decay`).
    """

    formula = MOMENTS + (
        "d = (beta1 m / (1 - beta1^(t+1)) + (1 - beta1) g / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)"
    )
    latex = MOMENTS_LATEX + (
        r"d = \frac{\beta_1 m / (1-\beta_1^{t+1}) + (1-\beta_1) g / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \epsilon}"
    )

    learning_rate: LearningRate = 0.002

    def direction(self) -> optax.GradientTransformation:  # noqa: D102
        return optax.scale_by_adam(self.beta1, self.beta2, self.eps, nesterov=True)


@optimizers.register("radam", example={"learning_rate": 0.001})
@dataclass(frozen=True)
class RAdam(TwoMoments):
    """Adam that divides by v only once enough steps have been averaged to trust it: a warmup without a setting.

    See:  Liu et al. 2020, arXiv:1908.03265. eps is added after the correction of v, as in optax; PyTorch before.
    """

    formula = MOMENTS + (
        "M = m / (1 - beta1^t); V = v / (1 - beta2^t); R = 2 / (1 - beta2) - 1; rho = R - 2 t beta2^t / (1 - beta2^t); "
        "r² = (rho - 4) (rho - 2) R / ((R - 4) (R - 2) rho); d = r M / (sqrt(V) + eps) if rho >= 5 else M"
    )
    latex = MOMENTS_LATEX + (
        r"\rho_\infty = \tfrac{2}{1-\beta_2} - 1, \quad \rho = \rho_\infty - \tfrac{2 t \beta_2^t}{1-\beta_2^t}, \quad "
        r"r^2 = \tfrac{(\rho-4)(\rho-2)\rho_\infty}{(\rho_\infty-4)(\rho_\infty-2)\rho}, \quad "
        r"d = r \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \epsilon} \text{ if } \rho \ge 5, "
        r"\text{ else } m / (1-\beta_1^t)"
    )

    def direction(self) -> optax.GradientTransformation:  # noqa: D102
        return optax.scale_by_radam(self.beta1, self.beta2, self.eps)


@optimizers.register("lion", example={"learning_rate": 0.0001, "weight_decay": 0.1})
@dataclass(frozen=True)
class Lion(Optimizer):
    """Step by the sign of the momentum: every number moves by the learning rate; one moment less to store than Adam.

    See:  Chen et al. 2023, arXiv:2302.06675: a rate 3 to 10 times smaller than Adam's, a decay as many times larger.
          The decay is decoupled. optax's default decay is 0.001.
    """

    formula = "d = sign(beta1 m + (1 - beta1) g) + weight_decay p; m = beta2 m + (1 - beta2) g"
    latex = r"d = \mathrm{sign}(\beta_1 m + (1-\beta_1) g) + \lambda p, \quad m \leftarrow \beta_2 m + (1-\beta_2) g"
    decoupled = True

    learning_rate: LearningRate = 0.0001
    beta1: Fraction = 0.9
    beta2: Fraction = 0.99

    words = describing(
        beta1=BETA1,
        beta2=("share of the old that the momentum keeps", "steadier", "follows faster", "the paper's"),
    )

    def direction(self) -> optax.GradientTransformation:  # noqa: D102
        return optax.scale_by_lion(self.beta1, self.beta2)
