"""Remedies that change the optimizer, the learning rate and the number of updates."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from typing_extensions import override

from retrograd.base.schema import fields
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedy import Remedy, remedies, with_optimizer, with_training
from retrograd.training.config.config import RunConfig, with_rate
from retrograd.update.adam import Adam
from retrograd.update.schedule import Schedule

ENOUGH = 1_500  # updates after which small networks have learned what they can
MANY = 5_000  # updates of a run long enough to learn a lot
MORE = 5  # maximum multiple of the configured updates
BATCH, LARGE_BATCH = 32, 128  # the defaults of Keras and scikit-learn lie in this range
USUAL_MOMENTUM = 0.9  # PyTorch's and Keras's own examples
CONSTANTS = ("eps", "beta1", "beta2", "rho", "decay")
NORM = 1.0  # the usual bound, in PyTorch's own examples too


class Rate(Remedy):
    """Multiply the learning rate by a factor."""

    factor: ClassVar[float]

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        return with_rate(config, float(f"{config.optimizer.first_rate * self.factor:.3g}"))


def _rate(name: str, factor: float, words: str, why: str) -> None:
    """Register a remedy that multiplies the learning rate."""

    @remedies.register(name)
    class Scaled(Rate):
        __doc__ = f"{words}."

    Scaled.factor, Scaled.why = factor, why


ARRIVE = "longer steps reach the minimum within the configured number of updates"
_rate("lower_rate", 0.1, "Divide the learning rate by 10", "shorter steps do not overshoot")
_rate("lower_rate_much", 0.01, "Divide the learning rate by 100", "much shorter steps do not overshoot")
_rate("raise_rate", 10.0, "Multiply the learning rate by 10", ARRIVE)
_rate("raise_rate_much", 100.0, "Multiply the learning rate by 100", f"much {ARRIVE}")
_rate("raise_rate_some", 3.0, "Multiply the learning rate by 3", ARRIVE)


@remedies.register("adam")
class UseAdam(Remedy):
    """Use Adam with its usual rate of 0.001 (0.01 for few updates)."""

    why = "Adam adapts the step of every weight"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        steps = config.training.steps(program.dataset.rows["train"])
        # fewer updates need longer steps for the same distance
        rate = 1e-2 if steps < 1_000 else 3e-3 if steps < 5_000 else 1e-3
        before = config.optimizer
        new = Adam(rate, clip_global_norm=before.clip_global_norm, groups=before.groups)
        return None if new == before else dataclasses.replace(config, optimizer=new)


@remedies.register("more_updates")
class MoreUpdates(Remedy):
    """Train for more epochs: up to 1,500 updates, at most 5 times as many as configured."""

    why = "training ended while the network was still learning"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        steps = config.training.steps(program.dataset.rows["train"])
        times = min(MORE, max(2.0, ENOUGH / steps))
        return with_training(config, epochs=max(config.training.epochs + 1, round(config.training.epochs * times)))


@remedies.register("many_updates")
class ManyUpdates(Remedy):
    """Train for as many epochs as 5,000 updates need."""

    why = "such a short run ends before the network has learned much"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        steps = config.training.steps(program.dataset.rows["train"])
        epochs = round(MANY * config.training.epochs / steps)
        return with_training(config, epochs=epochs) if epochs > config.training.epochs else None


@remedies.register("smaller_batch")
class SmallerBatch(Remedy):
    """Use batches of 32 rows."""

    why = "smaller batches give more updates per epoch"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        large = config.training.batch_rows(program.dataset.rows["train"])
        return with_training(config, batch_size=BATCH) if large > 2 * BATCH else None


@remedies.register("larger_batch")
class LargerBatch(Remedy):
    """Use batches of 128 rows."""

    why = "larger batches have less gradient noise"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        size = config.training.batch_size
        return with_training(config, batch_size=LARGE_BATCH) if size != "all" and int(size) < LARGE_BATCH else None


@remedies.register("clip_gradients")
class ClipGradients(Remedy):
    """Clip the norm of the gradient at 1."""

    why = "a single large gradient can throw the weights far off"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        return None if config.optimizer.clip_global_norm else with_optimizer(config, clip_global_norm=NORM)


@remedies.register("clip_less")
class ClipLess(Remedy):
    """Clip gradients only if their global norm exceeds 1, and neither single tensors nor single entries."""

    why = "a limit far below the usual gradient norm makes steps vanishingly small"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        bounds = (config.optimizer.clip_global_norm, config.optimizer.clip_norm, config.optimizer.clip_value)
        if not any(bound and bound < NORM for bound in bounds):
            return None
        return with_optimizer(config, clip_global_norm=NORM, clip_norm=None, clip_value=None)


@remedies.register("usual_momentum")
class UsualMomentum(Remedy):
    """Set the momentum to 0.9."""

    why = "higher momentum keeps following old gradients, and oscillates"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        high = float(getattr(config.optimizer, "momentum", 0.0) or 0.0) > USUAL_MOMENTUM
        return with_optimizer(config, momentum=USUAL_MOMENTUM) if high else None


@remedies.register("constant_rate")
class ConstantRate(Remedy):
    """Keep the schedule's initial rate throughout."""

    why = "a schedule that ends before training does leaves only vanishing steps"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        scheduled = isinstance(config.optimizer.learning_rate, Schedule)
        return with_optimizer(config, learning_rate=config.optimizer.first_rate) if scheduled else None


@remedies.register("usual_constants")
class UsualConstants(Remedy):
    """Reset the optimizer's constants (eps, betas, decay) to their defaults, at the same learning rate."""

    why = "the recommended constants suit nearly every network"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        optimizer = config.optimizer
        defaults = {
            field.name: field.default
            for field in fields(type(optimizer))
            if isinstance(field.default, float) and field.name in CONSTANTS
        }
        changed = {name: value for name, value in defaults.items() if getattr(optimizer, name) != value}
        return with_optimizer(config, **changed) if changed else None
