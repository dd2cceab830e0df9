"""Remedies that change the optimiser, the learning rate and the number of updates."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from typing_extensions import override

from retrograd.base.schema import fields
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedy import Remedy, remedies, with_optimizer, with_training
from retrograd.training.config.config import RunConfig, with_rate
from retrograd.update.adam import Adam

ENOUGH = 1_500  # updates in which small networks learn what they can
MANY = 5_000  # updates after which a run says something
MORE = 5  # times the updates that were configured, at most
BATCH, LARGE_BATCH = 32, 128
NORM = 1.0


class Rate(Remedy):
    """Multiply the learning rate by a factor."""

    factor: ClassVar[float]

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        return with_rate(config, float(f"{config.optimizer.first_rate * self.factor:.3g}"))


@remedies.register("lower_rate")
class LowerRate(Rate):
    """Divide the learning rate by 10."""

    why = "shorter steps do not overshoot"
    factor = 0.1


@remedies.register("lower_rate_much")
class LowerRateMuch(Rate):
    """Divide the learning rate by 100."""

    why = "much shorter steps do not overshoot"
    factor = 0.01


@remedies.register("raise_rate")
class RaiseRate(Rate):
    """Multiply the learning rate by 10."""

    why = "longer steps arrive within the configured number of updates"
    factor = 10.0


@remedies.register("raise_rate_much")
class RaiseRateMuch(Rate):
    """Multiply the learning rate by 100."""

    why = "much longer steps arrive within the configured number of updates"
    factor = 100.0


@remedies.register("raise_rate_some")
class RaiseRateSome(Rate):
    """Multiply the learning rate by 3."""

    why = "longer steps arrive within the configured number of updates"
    factor = 3.0


@remedies.register("adam")
class UseAdam(Remedy):
    """Use Adam with its usual rate of 0.001 (0.01 for few updates)."""

    why = "Adam adapts the step of every weight"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        steps = config.training.steps(program.dataset.rows["train"])
        rate = 1e-2 if steps < 1_000 else 3e-3 if steps < 5_000 else 1e-3
        held = config.optimizer
        kept = {f.name: getattr(held, f.name) for f in fields(type(held)) if f.name in ("clip_global_norm",)}
        new = Adam(rate, **kept)
        return None if new == held else dataclasses.replace(config, optimizer=new)


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
    """Train for as many epochs as 5,000 updates take."""

    why = "a run this short ends before it has learned much"
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
    """Scale gradients down whose norm is above 1."""

    why = "a single large gradient can throw the weights far off"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        return None if config.optimizer.clip_global_norm else with_optimizer(config, clip_global_norm=NORM)


@remedies.register("clip_less")
class ClipLess(Remedy):
    """Scale gradients down only where their norm is above 1."""

    why = "a bound far below the usual norm of the gradients leaves next to no steps"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        bound = config.optimizer.clip_global_norm
        return with_optimizer(config, clip_global_norm=NORM) if bound and bound < NORM else None
