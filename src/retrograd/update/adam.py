"""Adam and its relatives: directions from moving averages of the gradient and of its square."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import optax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import Fraction, NonNegativeFloat, PositiveFloat
from retrograd.update.moments import scale_by_amsgrad, scale_by_nadam, scale_by_uncorrected_adam
from retrograd.update.optimizer import LearningRate, Optimizer, optimizers
from retrograd.update.optimizers import BETA1, EPS


@dataclass(frozen=True)
class TwoMoments(Optimizer):
    """The base of Adam and its relatives: moving averages of the gradient and of its square."""

    learning_rate: LearningRate = 0.001
    beta1: Annotated[Fraction, BETA1] = 0.9
    beta2: Annotated[
        Fraction,
        Words(
            "decay rate of the moving average of squared gradients",
            more="steadier step size",
            less="adapts faster to changes in gradient size",
            why="0.999: about the last 1,000 gradients",
        ),
    ] = 0.999
    eps: Annotated[PositiveFloat, EPS] = 1e-8


MOMENTS = "m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g²; "
ADAM = MOMENTS + "d = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)"
MOMENTS_LATEX = r"m \leftarrow \beta_1 m + (1-\beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \quad "
ADAM_LATEX = MOMENTS_LATEX + r"d = \frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \epsilon}"


@optimizers.register("adam", example={"learning_rate": 0.001})
@dataclass(frozen=True)
class Adam(TwoMoments):
    """Divide the moving average of the gradient by the root of that of its square, both with bias correction.

    amsgrad: divide by the largest root so far.
    bias_correction: false omits both corrections, d = m / (sqrt(v) + eps), as short descriptions of Adam do; the first
    steps are then about three times as long.

    See:  Kingma & Ba 2015, arXiv:1412.6980; Reddi et al. 2018, arXiv:1904.09237 (amsgrad). eps is outside the root as
          in PyTorch; Keras, scikit-learn and ONNX add it before the correction of v. amsgrad takes the maximum before
          that correction, as PyTorch and Keras do; optax after it. weight_decay acts through the gradient; `adamw`
          decouples it.
    """

    formula = ADAM
    latex = ADAM_LATEX

    amsgrad: Annotated[bool, Words("whether to divide by the largest average of squares so far")] = False
    bias_correction: Annotated[
        bool, Words("whether to correct both averages for starting at 0", why="true, as in the paper")
    ] = True

    @property
    def equation(self) -> str:
        """The formula with the current settings."""
        root, largest = ("w", "w = max(w, v); ") if self.amsgrad else ("v", "")
        mean, size = ("m / (1 - beta1^t)", f"{root} / (1 - beta2^t)") if self.bias_correction else ("m", root)
        direction = f"d = {f'({mean})' if self.bias_correction else mean} / (sqrt({size}) + eps)"
        return MOMENTS + largest + direction + (" + weight_decay p" if self.decoupled else "")

    @override
    def direction(self) -> optax.GradientTransformation:
        if self.amsgrad:
            return scale_by_amsgrad(self.beta1, self.beta2, self.eps, self.bias_correction)
        scale = optax.scale_by_adam if self.bias_correction else scale_by_uncorrected_adam
        return scale(self.beta1, self.beta2, self.eps)


@optimizers.register("adamw", example={"learning_rate": 0.001, "weight_decay_on": "weights"})
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay decoupled from the gradient: each step shrinks p by learning_rate weight_decay p.

    See:  Loshchilov & Hutter 2019, arXiv:1711.05101. The default decay is PyTorch's 0.01; optax has 0.0001, Keras
          0.004. The paper scales the decay only by the schedule; PyTorch and this optimizer by the learning rate.
    """

    formula = ADAM + " + weight_decay p"
    latex = ADAM_LATEX + r" + \lambda p"
    decoupled = True

    weight_decay: NonNegativeFloat = field(default=0.01, kw_only=True)


@optimizers.register("adamax", example={"learning_rate": 0.002})
@dataclass(frozen=True)
class Adamax(TwoMoments):
    """Adam with the largest recent gradient instead of the root of the mean square.

    See:  Kingma & Ba 2015, arXiv:1412.6980, section 7.1. eps is added to |g|, as in PyTorch and optax.
    """

    formula = "m = beta1 m + (1 - beta1) g; u = max(beta2 u, |g| + eps); d = m / ((1 - beta1^t) u)"
    latex = (
        r"m \leftarrow \beta_1 m + (1-\beta_1) g, \quad u \leftarrow \max(\beta_2 u, |g| + \epsilon), \quad "
        r"d = \frac{m}{(1-\beta_1^t) u}"
    )

    learning_rate: LearningRate = 0.002

    @override
    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_adamax(self.beta1, self.beta2, self.eps)


@optimizers.register("nadam", example={"learning_rate": 0.002})
@dataclass(frozen=True)
class NAdam(TwoMoments):
    """Adam with Nesterov momentum: the average of the gradient looks one step ahead.

    See:  Dozat 2016, in PyTorch's form, where beta1 grows from half to its full value. Keras's schedule has
          `momentum_decay: 1`; optax's beta1 is constant.
    """

    formula = (
        "b_t = beta1 (1 - 0.96^(t momentum_decay) / 2); B_t = b_1 ... b_t; " + MOMENTS + "d = "
        "((1 - b_t) g / (1 - B_t) + b_(t+1) m / (1 - B_(t+1))) / (sqrt(v / (1 - beta2^t)) + eps)"
    )
    latex = (
        r"b_t = \beta_1 (1 - \tfrac{1}{2} 0.96^{t \psi}), \quad B_t = \prod_{i \le t} b_i, \quad "
        + MOMENTS_LATEX
        + r"d = \frac{(1-b_t) g / (1-B_t) + b_{t+1} m / (1-B_{t+1})}{\sqrt{v / (1-\beta_2^t)} + \epsilon}"
    )

    learning_rate: LearningRate = 0.002
    momentum_decay: Annotated[
        NonNegativeFloat,
        Words(
            "how fast beta1 grows from half to its full value",
            more="full momentum sooner",
            less="full momentum later",
            why="0.004, as in PyTorch: halfway after about 4,000 steps",
        ),
    ] = 0.004

    @override
    def direction(self) -> optax.GradientTransformation:
        return scale_by_nadam(self.beta1, self.beta2, self.eps, self.momentum_decay)


@optimizers.register("radam", example={"learning_rate": 0.001})
@dataclass(frozen=True)
class RAdam(TwoMoments):
    """Adam that divides by v only after enough steps for v to be reliable: a warmup without a setting.

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

    @override
    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_radam(self.beta1, self.beta2, self.eps)


@optimizers.register("lamb", example={"learning_rate": 0.001, "weight_decay": 0.01})
@dataclass(frozen=True)
class LAMB(TwoMoments):
    """Adam with each direction scaled to the norm of its tensor: for batches of thousands of rows.

    See:  You et al. 2020, arXiv:1904.00962; the norm of p is not clipped, eps is 1e-6. The decay is part of the
          direction that is scaled. Tensors or directions of zeros are not scaled.
    """

    formula = MOMENTS + ("d = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p; d = d |p| / |d|")
    latex = ADAM_LATEX + r" + \lambda p, \quad d \leftarrow d \, \|p\| / \|d\|"
    decoupled = True

    eps: Annotated[PositiveFloat, EPS] = 1e-6

    @override
    def direction(self) -> optax.GradientTransformation:
        return optax.scale_by_adam(self.beta1, self.beta2, self.eps)

    @override
    def stages(self, total_steps: int | None) -> dict[str, optax.GradientTransformation]:
        stages = super().stages(total_steps)
        return stages | {"decoupled_decay": optax.chain(stages["decoupled_decay"], optax.scale_by_trust_ratio())}
