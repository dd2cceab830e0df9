"""Remedies that change how data become numbers, their order and their split."""

from __future__ import annotations

import dataclasses

import numpy as np
from typing_extensions import override

from retrograd.data.settings import DataSettings
from retrograd.data.split.settings import SplitSettings
from retrograd.data.tables.columns import NumberColumn
from retrograd.data.tables.inputs import TableInputs
from retrograd.data.tables.outliers import outliers
from retrograd.data.tables.scaling import spans
from retrograd.diagnosis.original_unit import clip_of, inputs_in_own_unit, targets_in_own_unit
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedy import Remedy, remedies, with_data, with_training
from retrograd.network.losses.binary_cross_entropy import BinaryCrossEntropy
from retrograd.network.losses.cross_entropy import CrossEntropy
from retrograd.network.losses.quantities.huber import Huber
from retrograd.training.config.config import RunConfig

CLIP = 5.0  # in units of the robust scale, the deviation of a normal sample
STANDARD = 0.3  # data whose mean is this close to 0 and deviation this close to 1 are standardised already


@remedies.register("scale_inputs")
class ScaleInputs(Remedy):
    """Standardise each feature by the training part's mean and deviation."""

    why = "initial weights and learning rates suit features of mean 0 and deviation 1"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        if program.data.x is None:
            return None
        spread = program.data.x.std(0)
        varied = spread > 0
        if not varied.any() or (
            (np.abs(spread[varied] - 1) < STANDARD).all() and (np.abs(program.data.x.mean(0)) < STANDARD).all()
        ):
            return None
        return with_data(config, scale="standard")


@remedies.register("robust_inputs")
class RobustInputs(Remedy):
    """Scale each feature by its median and quartiles, and clip it at 5 of these units."""

    why = "median and quartiles ignore a few outliers, and 5 deviations contain nearly all of a normal sample"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        return None if program.data.x is None else with_data(config, scale="robust", clip=CLIP)


@remedies.register("wider_clip")
class WiderClip(Remedy):
    """Clip features at 5 units of their scale instead of within their usual range."""

    why = "5 deviations contain nearly all of a normal sample, so that different rows stay different"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        clip = clip_of(program.dataset.preprocessing.inputs)
        return None if clip is None or clip >= CLIP else with_data(config, clip=CLIP)


@remedies.register("log_inputs")
class LogInputs(Remedy):
    """Take the logarithm of features that span orders of magnitude, and standardise all features."""

    why = "the logarithm turns factors into steps, so that no row outweighs all others"

    def change(self, config: RunConfig, program: Program) -> RunConfig | None:  # noqa: D102
        if program.data.x is None or not spans(inputs_in_own_unit(program.dataset, program.data.x)).any():
            return None
        return with_data(config, scale="log")


@remedies.register("log_target")
class LogTarget(Remedy):
    """Take the logarithm of a target that spans orders of magnitude; predictions keep its unit."""

    why = "errors then count as ratios, for small targets as well as for large ones"

    def change(self, config: RunConfig, program: Program) -> RunConfig | None:  # noqa: D102
        if program.dataset.task != "regression" or program.data.y is None:
            return None
        if not spans(targets_in_own_unit(program.dataset, program.data.y)).any():
            return None
        return with_data(config, scale_target="log")


@remedies.register("code_is_missing")
class CodeIsMissing(Remedy):
    """Treat a number far from all others, such as -999, as a missing value."""

    why = "it marks a missing value but is read as a quantity"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        data = config.data
        inputs = program.dataset.preprocessing.inputs
        if data is None or program.data.x is None or not isinstance(inputs, TableInputs):
            return None
        words = set()
        for column in inputs.columns:
            if isinstance(column, NumberColumn):
                raw = column.scaling.undo(program.data.x[:, [inputs.features.index(column.features[0])]])
                extremes = outliers(raw)
                words |= {f"{extremes.farthest:g}"} if extremes is not None and extremes.is_code else set()
        words -= set(data.missing_values)
        return with_data(config, missing_values=(*data.missing_values, *sorted(words))) if words else None


@remedies.register("robust_target")
class RobustTarget(Remedy):
    """Scale the target by median and quartiles, and count large errors linearly, by Huber's loss."""

    why = "the squared errors of a few outliers outweigh those of all other rows"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        if program.data.classifies or program.data.y is None or config.losses or program.graph.loss.kind == "huber":
            return None
        changed = with_data(config, scale_target="robust") or config
        return dataclasses.replace(changed, loss=Huber())


@remedies.register("scale_targets")
class ScaleTargets(Remedy):
    """Standardise the target; predictions keep its unit."""

    why = "initial outputs and learning rates suit a target of mean 0 and deviation 1"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        if program.data.classifies or program.data.y is None:
            return None
        if (np.abs(program.data.y.std(0) - 1) < STANDARD).all() and (np.abs(program.data.y.mean(0)) < STANDARD).all():
            return None
        return with_data(config, scale_target="standard")


@remedies.register("shuffled_split")
class ShuffledSplit(Remedy):
    """Split the rows at random instead of in order."""

    why = "the training and validation parts should contain the same classes"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        split = config.data.split if config.data else SplitSettings()
        if split.method not in ("time", "none"):
            return None
        return with_data(config, split=dataclasses.replace(split, method="auto", column=None))


@remedies.register("shuffle")
class Shuffle(Remedy):
    """Draw the rows of each batch at random."""

    why = "batches of a single class pull the weights back and forth"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        return None if config.training.shuffle else with_training(config, shuffle=True)


@remedies.register("weigh_classes")
class WeighClasses(Remedy):
    """Give each class equal weight in the loss: weights inversely proportional to the class frequencies."""

    why = "otherwise the loss is lowest when rare classes are ignored"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        if not program.data.classifies or program.data.y is None:
            return None
        counts = np.bincount(program.data.y).astype(float)
        if (counts == 0).any() or len(counts) < 2 or counts.max() < 2 * counts.min():
            return None
        loss = config.loss or program.graph.loss
        if isinstance(loss, CrossEntropy) and not loss.class_weights:
            weights = tuple(float(f"{weight:.4g}") for weight in counts.sum() / len(counts) / counts)
            return dataclasses.replace(config, loss=dataclasses.replace(loss, class_weights=weights))
        if isinstance(loss, BinaryCrossEntropy) and loss.positive_weight == 1.0:
            weight = float(f"{counts[0] / counts[1]:.4g}")
            return dataclasses.replace(config, loss=dataclasses.replace(loss, positive_weight=weight))
        return None


@remedies.register("codes_as_categories")
class CodesAsCategories(Remedy):
    """Treat numbers that look like codes as categories: each value gets its own weights."""

    why = "the order of codes has no meaning, so no slope can use it"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        kinds = dict.fromkeys(program.data.codes, "category")
        return with_data(config, kinds={**(config.data or DataSettings()).kinds, **kinds})


@remedies.register("plain_weights")
class PlainWeights(Remedy):
    """Remove the class weights from the loss."""

    why = "each row then counts equally"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        loss = config.loss
        if isinstance(loss, CrossEntropy) and loss.class_weights:
            return dataclasses.replace(config, loss=dataclasses.replace(loss, class_weights=()))
        if isinstance(loss, BinaryCrossEntropy) and loss.positive_weight != 1.0:
            return dataclasses.replace(config, loss=dataclasses.replace(loss, positive_weight=1.0))
        return None
