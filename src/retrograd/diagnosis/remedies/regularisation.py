"""Remedies that weaken regularisation, or add some against memorising."""

from __future__ import annotations

import dataclasses

from typing_extensions import override

from retrograd.diagnosis.edit import hidden_dense, kind
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedy import (
    Remedy,
    rearranged,
    remedies,
    with_behind,
    with_entries,
    with_optimizer,
    with_training,
)
from retrograd.network.layers.augmentation.random_crop import RandomCrop
from retrograd.network.layers.augmentation.random_rotation import RandomRotation
from retrograd.network.layers.noise.dropout import Dropout
from retrograd.network.scope import Entry
from retrograd.training.config.config import RunConfig
from retrograd.training.config.settings import EarlyStopping
from retrograd.update.mixing import SOFT
from retrograd.update.penalties import L2

RATE, STRENGTH, PATIENCE = 0.3, 1e-3, 10  # mild values: a trial shows whether they are too weak
MOVING = ("random_flip", "random_rotation", "random_scaling", "random_crop", "time_shift")
NOISE = ("dropout", "spatial_dropout", "token_dropout", "gaussian_noise")
MOVED, TURNED, MIXED = 1 / 8, 10.0, 0.2  # share of an image's side; degrees; Beta(0.2, 0.2), as in the mixup paper


@remedies.register("less_regularisation")
class LessRegularisation(Remedy):
    """Remove penalties, weight decay, dropout, noise and label smoothing."""

    why = "the regularisation outweighs the data"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        bare = with_entries(config, lambda entry: None if kind(entry) in NOISE else entry) or config
        bare = dataclasses.replace(bare, penalties=())
        if getattr(bare.loss, "label_smoothing", 0.0):
            bare = dataclasses.replace(bare, loss=dataclasses.replace(bare.loss, label_smoothing=0.0))  # type: ignore[type-var]
        bare = with_optimizer(bare, weight_decay=0.0) if bare.optimizer.weight_decay else bare
        return None if bare == config else bare


@remedies.register("weight_decay")
class WeightDecay(Remedy):
    """Add an l2 penalty of 0.001 on the weights."""

    why = "small weights give smooth functions"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        is_present = any(isinstance(penalty, L2) and penalty.strength >= STRENGTH for penalty in config.penalties)
        return None if is_present else dataclasses.replace(config, penalties=(L2(STRENGTH),))


@remedies.register("add_dropout")
class AddDropout(Remedy):
    """Drop 30 % of the units after each hidden dense layer while training."""

    why = "units that cannot rely on one another memorise less"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        if any(kind(entry) == "dropout" for entry in config.network):
            return None
        return with_behind(config, hidden_dense(config.network), Dropout(RATE))


@remedies.register("early_stopping")
class StopEarly(Remedy):
    """Stop when the held-out loss has not decreased for 10 evaluations, and keep the best weights."""

    why = "after the minimum of the held-out loss, the network only memorises"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        if config.training.early_stopping is not None or program.dataset.valid is None:
            return None
        return with_training(config, early_stopping=EarlyStopping(PATIENCE))


@remedies.register("augment_images")
class AugmentImages(Remedy):
    """During training, shift each image by up to an eighth of its side and rotate it by up to 10 degrees."""

    why = "an image that never appears twice cannot be memorised"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        x, first = program.dataset.train.get("x"), config.network[:1]
        if x is None or len(x.shape) != 4 or not first or first[0].inputs or program.dataset.task == "segmentation":
            return None
        if any(isinstance(entry.layer, (RandomCrop, RandomRotation)) for entry in config.network):
            return None
        added = (RandomCrop(max(1, round(min(x.shape[1:3]) * MOVED))), RandomRotation(TURNED))
        return rearranged(config, [*((None, Entry(layer)) for layer in added), *enumerate(config.network)])


@remedies.register("mixup")
class MixRows(Remedy):
    """Train on blends of two rows and of their targets."""

    why = "the network then learns smooth transitions between rows instead of jumps"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        x, loss = program.dataset.train.get("x"), config.loss
        if config.training.mixing is not None or x is None or x.dtype.kind != "f" or config.losses:
            return None
        if loss is None or loss.kind not in SOFT or getattr(loss, "ignored", None) is not None:
            return None
        return with_training(config, mixup=MIXED) if "y" in program.dataset.train else None


@remedies.register("more_patience")
class MorePatience(Remedy):
    """Let early stopping wait for at least 10 evaluations, and count any decrease of the loss as progress."""

    why = "one evaluation without progress is noise, ten are a plateau"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        rule = config.training.early_stopping
        if rule is None or (rule.patience >= PATIENCE and not rule.min_change):
            return None
        patient = dataclasses.replace(rule, patience=max(rule.patience, PATIENCE), min_change=0.0)
        return with_training(config, early_stopping=patient)


@remedies.register("train_to_the_end")
class TrainToTheEnd(Remedy):
    """Train for all epochs: no goal, no convergence rule, no time limit."""

    why = "the rule ended training before the network had learned what it can"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        settings = config.training
        if settings.goal is None and settings.convergence is None and settings.time_limit is None:
            return None
        return with_training(config, goal=None, convergence=None, time_limit=None)


@remedies.register("no_augmentation")
class NoAugmentation(Remedy):
    """Train on the rows as they are: no random flips, rotations or shifts."""

    why = "a change that turns one answer into another teaches the wrong answer"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        return with_entries(config, lambda entry: None if kind(entry) in MOVING else entry)
