"""The `training:` section of a configuration, and the losses of several outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from retrograd.base.annotations import Expect, Registered, Words
from retrograd.base.errors import Problem
from retrograd.base.keys import SEED_LIMIT
from retrograd.base.quantities import NonNegativeFloat, NonNegativeInt, Number, PositiveFloat, PositiveInt
from retrograd.base.schema import Settings
from retrograd.base.sentence import setting
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.precision import Precision
from retrograd.update.average import Averaging
from retrograd.update.mixing import Mixing
from retrograd.update.schedule import MAX_STEP

Seed = Annotated[int, Field(ge=0, lt=SEED_LIMIT), Expect("an integer from 0 to 4294967295")]
BatchSize = Annotated[PositiveInt | Literal["all"], Expect("a positive integer, or all")]
OUTPUTS = "for the object, box and class outputs; targets: cell_object, cell_box, cell_class"
DETECTION_LOSSES = "set " + setting("losses") + " " + OUTPUTS
GuardMode = Literal["repair", "stop", "warn", "off"]
Names = Annotated[str | tuple[str, ...], Expect("the name of a column, or a list of names of columns and outputs")]


@dataclass(frozen=True)
class EarlyStopping(Settings):
    """Stop when the monitored loss has not improved by more than `min_change` for `patience` evaluations.

    stop_when_perfect: also when the validation part can show no further progress: every row right, or R2 1 to four
    digits, and the loss so small that it predicts fewer than one wrong row in twenty such parts.
    """

    patience: Annotated[
        PositiveInt,
        Words(
            "evaluations without progress before training stops",
            more="waits out longer plateaus, and wastes more time at the end",
            less="stops sooner, perhaps on a plateau",
            why="long enough for most plateaus",
        ),
    ] = 20
    min_change: Annotated[
        NonNegativeFloat,
        Words(
            "decrease of the monitored loss that counts as progress",
            more="stops sooner",
            less="counts smaller progress",
            why="0: any progress counts",
        ),
    ] = 0.0
    stop_when_perfect: Annotated[
        bool,
        Words(
            "whether training stops once the validation part can show no further progress",
            why="true: further training takes time and changes no score",
        ),
    ] = True


@dataclass(frozen=True)
class Goal(Settings):
    """Stop when a metric of the validation part (without one, of the training part) reaches a value."""

    metric: Annotated[str, Words("metric to monitor, e.g. `accuracy` or `loss`")]
    value: Annotated[
        Number,
        Words("the value at which training stops", more="for a score: trains longer", less="for a score: stops sooner"),
    ]


@dataclass(frozen=True)
class Convergence(Settings):
    """Stop when the loss changes by less than `loss_change` between epochs, or the gradient's norm is small."""

    loss_change: Annotated[
        PositiveFloat | None,
        Words("stop when the loss changes by less than this between epochs", more="stops sooner", less="trains longer"),
    ] = None
    gradient_norm: Annotated[
        PositiveFloat | None,
        Words("stop when the gradient's norm is below this", more="stops sooner", less="trains longer"),
    ] = None


@dataclass(frozen=True)
class Checkpoint(Settings):
    """How often a run writes to `checkpoints/` in its folder, so that `--resume` continues it after a crash.

    A checkpoint takes about four times the space of the weights. A run shorter than `seconds` writes one only when
    it is interrupted: started again from the beginning, it reaches the same bits.
    """

    seconds: Annotated[
        NonNegativeFloat,
        Words(
            "seconds between two checkpoints; 0 writes one wherever training can be resumed",
            more="writes less, and repeats more training after a crash",
            less="repeats less training after a crash",
            why="a crash costs a minute; writing takes at most 1 % of the time, however short the interval",
        ),
    ] = 60.0
    keep: Annotated[
        NonNegativeInt,
        Words(
            "number of checkpoints kept on disk; 0 writes none",
            more="more fallbacks if one is damaged, more disk space",
            less="less disk space",
            why="2: one to resume from, and one in case it is damaged",
        ),
    ] = 2


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """How long to train, in what batches and precision, and when to stop.

    precision: float64 computes, stores and predicts in 64 bits; bfloat16 multiplies matrices in training in 16 bits,
    with parameters, sums and everything else in float32.
    """

    epochs: Annotated[
        PositiveInt,
        Words(
            "passes over the training rows",
            more="fits more closely; may overfit, takes longer",
            less="may stop before the loss has settled",
            why="a starting point; early stopping ends sooner",
        ),
    ] = 100
    batch_size: Annotated[
        BatchSize,
        Words(
            "rows in one step; the loss is the mean over them",
            more="less noisy gradients, fewer steps per epoch, more memory; may need a larger learning rate",
            less="noisier gradients, more steps per epoch, less memory",
            why="32 rows give a usable gradient at little cost",
        ),
    ] = 32
    seed: Annotated[
        Seed,
        Words(
            "seed for initial weights, row order and random layers; the same seed gives the same run",
            why="any number will do",
        ),
    ] = 0
    shuffle: Annotated[
        bool,
        Words(
            "whether the rows are reshuffled each epoch",
            why="in file order, the updates reflect the order of the rows rather than their content",
        ),
    ] = True
    evaluate_every: Annotated[
        PositiveInt,
        Words(
            "epochs between two evaluations of the validation part",
            more="less time spent evaluating; early stopping sees less",
            less="every change is seen",
            why="1: every epoch is evaluated",
        ),
    ] = 1  # epochs
    ensemble: Annotated[
        PositiveInt,
        Words(
            "number of networks trained, with consecutive seeds; their probabilities or values are averaged",
            more="more stable and often better predictions, with a spread that shows uncertainty; costs more",
            less="less work",
            why="1: one network",
        ),
    ] = 1
    mixup: Annotated[
        PositiveFloat | None,
        Words(
            "each step trains on rows blended with others, and on their blended targets; the share is drawn from "
            "Beta(mixup, mixup)",
            more="blends more evenly",
            less="leaves most rows nearly unchanged",
            why="none: rows are not blended; 0.2 is a common start",
        ),
    ] = None
    cutmix: Annotated[
        PositiveFloat | None,
        Words(
            "each step trains on images with a rectangle pasted from another image, and on targets mixed in that "
            "proportion; the share is drawn from Beta(cutmix, cutmix)",
            more="rectangles of medium size",
            less="tiny rectangles or nearly whole images",
            why="none: images are not mixed; 1 draws all sizes equally often",
        ),
    ] = None
    average: Annotated[
        Averaging | None,
        Words(
            "average of the weights over the steps, kept beside the trained ones", why="none: the best weights are kept"
        ),
    ] = None
    early_stopping: Annotated[EarlyStopping | None, Words("stop when the validation loss no longer improves")] = None
    goal: Annotated[Goal | None, Words("stop when a metric reaches a value")] = None
    convergence: Annotated[Convergence | None, Words("stop when the loss or the gradient hardly changes")] = None
    time_limit: Annotated[
        PositiveFloat | None, Words("seconds after which training stops", more="trains longer", less="stops sooner")
    ] = None  # seconds
    start: Annotated[
        str | None,
        Words(
            "run or model file whose weights training starts from, instead of random ones",
            why="none: random weights from the seed",
        ),
    ] = None
    checkpoint: Annotated[Checkpoint, Words("how often a run writes checkpoints to resume from")] = Checkpoint()
    guard: Annotated[
        GuardMode,
        Words(
            "what to do when training diverges or produces non-finite values: `repair` returns to the last healthy "
            "weights and continues at a lower rate, `stop` ends there, `warn` only reports divergence",
            why="a run should never end with non-finite weights",
        ),
    ] = "repair"
    precision: Annotated[
        Precision,
        Words(
            "precision of products and sums; weights are float32 unless float64 is chosen",
            why="float32 is precise enough for training, and fast everywhere",
        ),
    ] = "float32"
    native_kernels: Annotated[
        bool,
        Words("whether to use compiled kernels where they are faster", why="the same results to rounding, sooner"),
    ] = True  # where they are built and faster; elsewhere XLA computes the same formulas
    check: Annotated[
        bool,
        Words(
            "whether to check the backward pass against finite differences before the first step",
            why="the built-in layers are tested; yours may not be",
        ),
    ] = False

    def rules(self) -> Iterator[Problem]:
        """Averaged weights and an ensemble exclude each other: an ensemble averages the answers of its members."""
        if self.average is not None and self.ensemble > 1:
            yield Problem("average", "an ensemble averages answers, not weights", "set either `average` or `ensemble`")

    @property
    def mixing(self) -> Mixing | None:
        """How the rows of a step are mixed, if they are."""
        return None if self.mixup is None and self.cutmix is None else Mixing(self.mixup, self.cutmix)

    def batch_rows(self, rows: int) -> int:
        """Return the number of rows in a full minibatch, given `rows` rows in all."""
        return rows if self.batch_size == "all" else min(int(self.batch_size), rows)

    def steps(self, rows: int) -> int:
        """Return the maximum number of steps on `rows` rows, capped at `MAX_STEP`, the largest countable step."""
        return min(MAX_STEP, self.epochs * -(-rows // self.batch_rows(rows)))


@dataclass(frozen=True)
class LossOn(Settings):
    """A loss on one output: its target, and its weight in the total.

    `target` names a column, or lists the loss's further inputs, columns and other outputs: a triplet's
    [positive, negative], a sequence's [labels, mask].
    """

    loss: Annotated[Loss, Registered(losses), Words("the loss on this output")]
    target: Annotated[Names, Words("the column to compare the output with")] = "y"
    weight: Annotated[
        PositiveFloat,
        Words(
            "weight of this loss in the total",
            more="this output matters more",
            less="this output matters less",
            why="all outputs weigh the same",
        ),
    ] = 1.0
