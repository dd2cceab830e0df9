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
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.precision import Precision
from retrograd.update.average import Averaging
from retrograd.update.mixing import Mixing
from retrograd.update.schedule import MAX_STEP

Seed = Annotated[int, Field(ge=0, lt=SEED_LIMIT), Expect("an integer from 0 to 4294967295")]
BatchSize = Annotated[PositiveInt | Literal["all"], Expect("a positive integer, or all")]
GuardMode = Literal["repair", "stop", "warn", "off"]
Names = Annotated[str | tuple[str, ...], Expect("the name of a column, or a list of names of columns and outputs")]


@dataclass(frozen=True)
class EarlyStopping(Settings):
    """Stop when the watched loss has not fallen by more than `min_change` for `patience` evaluations.

    stop_when_perfect: also when the validation part has nothing left to show: every row right, or R2 1 in four digits,
    and the loss so small that it promises fewer than one wrong row in twenty such parts.
    """

    patience: Annotated[
        PositiveInt,
        Words(
            "evaluations without progress before training stops",
            more="waits through longer plateaus, and longer for nothing",
            less="stops sooner, perhaps on a plateau",
            why="long enough for most plateaus",
        ),
    ] = 20
    min_change: Annotated[
        NonNegativeFloat,
        Words(
            "by how much the watched loss must fall to count as progress",
            more="stops sooner",
            less="counts smaller progress",
            why="0: any progress counts",
        ),
    ] = 0.0
    stop_when_perfect: Annotated[
        bool,
        Words(
            "whether training ends once the validation part cannot show any further progress",
            why="true: what follows takes time and changes no score",
        ),
    ] = True


@dataclass(frozen=True)
class Goal(Settings):
    """Stop when a metric of the validation part (of the training part, if there is none) is reached."""

    metric: Annotated[str, Words("which metric is watched, as `accuracy` or `loss`")]
    value: Annotated[
        Number,
        Words("the value at which training stops", more="for a score: trains longer", less="for a score: stops sooner"),
    ]


@dataclass(frozen=True)
class Convergence(Settings):
    """Stop when the loss changes by less than `loss_change` from epoch to epoch, or the gradient's norm is small."""

    loss_change: Annotated[
        PositiveFloat | None,
        Words("stop when the loss changes by less from epoch to epoch", more="stops sooner", less="trains longer"),
    ] = None
    gradient_norm: Annotated[
        PositiveFloat | None,
        Words("stop when the gradient's norm is below this", more="stops sooner", less="trains longer"),
    ] = None


@dataclass(frozen=True)
class Checkpoint(Settings):
    """How a run keeps its place, so that `--resume` continues it after a crash: in `checkpoints/` of its folder.

    A checkpoint takes about four times the room of the weights. A run that is shorter than `seconds` writes one only
    when it is interrupted: begun again, it ends with the same bits.
    """

    seconds: Annotated[
        NonNegativeFloat,
        Words(
            "seconds between two checkpoints; 0 writes one wherever training can be continued",
            more="less is written, and more has to be trained again after a crash",
            less="less has to be trained again after a crash",
            why="a crash costs a minute; writing takes at most 1 % of the time, however short the interval",
        ),
    ] = 60.0
    keep: Annotated[
        NonNegativeInt,
        Words(
            "how many checkpoints of a run stay on disk; 0: none are written",
            more="more ways back if one is damaged, more room",
            less="less room",
            why="2: one to continue from, and one in case that is damaged",
        ),
    ] = 2


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """How long, in which portions, when to stop, and in which numbers.

    precision: float64 computes, stores and predicts in 64 bits; bfloat16 multiplies matrices in training in 16 bits,
    with parameters, sums and everything else in float32.
    """

    epochs: Annotated[
        PositiveInt,
        Words(
            "passes over the training rows",
            more="fits longer; may overfit, takes longer",
            less="may stop before the loss has settled",
            why="a beginning; early stopping ends sooner",
        ),
    ] = 100
    batch_size: Annotated[
        BatchSize,
        Words(
            "rows in one step; the loss is the mean over them",
            more="steadier gradients, fewer steps an epoch, more memory; may want a larger learning rate",
            less="noisier gradients, more steps an epoch, less memory",
            why="32 rows make a usable gradient at little cost",
        ),
    ] = 32
    seed: Annotated[
        Seed,
        Words(
            "what initial weights, order of rows and random layers are drawn from; the same seed gives the same run",
            why="any number will do",
        ),
    ] = 0
    shuffle: Annotated[
        bool,
        Words(
            "whether the rows come in a new order each epoch",
            why="steps in the order of a file follow its order, not its content",
        ),
    ] = True
    evaluate_every: Annotated[
        PositiveInt,
        Words(
            "epochs between two measurements of the validation part",
            more="less time spent measuring; early stopping sees less",
            less="every change is seen",
            why="each epoch is measured",
        ),
    ] = 1  # epochs
    ensemble: Annotated[
        PositiveInt,
        Words(
            "how many networks are trained, from one seed after another; their probabilities or values are averaged",
            more="steadier and often better answers, and a spread that shows doubt; as many times the work",
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
            less="most rows stay nearly as they are",
            why="none: rows train as they are; 0.2 is a usual beginning",
        ),
    ] = None
    cutmix: Annotated[
        PositiveFloat | None,
        Words(
            "each step trains on images in which a rectangle is another image's, and on targets in that proportion; "
            "the share is drawn from Beta(cutmix, cutmix)",
            more="rectangles of medium size",
            less="tiny rectangles or nearly whole images",
            why="none: images train as they are; 1 draws any size alike",
        ),
    ] = None
    average: Annotated[
        Averaging | None,
        Words("averages the weights of the steps beside those that are trained", why="none: the best weights are kept"),
    ] = None
    early_stopping: Annotated[EarlyStopping | None, Words("stop when the validation loss no longer falls")] = None
    goal: Annotated[Goal | None, Words("stop when a metric is reached")] = None
    convergence: Annotated[Convergence | None, Words("stop when little changes any more")] = None
    time_limit: Annotated[
        PositiveFloat | None, Words("seconds after which training stops", more="trains longer", less="stops sooner")
    ] = None  # seconds
    start: Annotated[
        str | None,
        Words(
            "a run or model file whose weights training begins with, in place of random ones",
            why="none: drawn from the seed",
        ),
    ] = None
    checkpoint: Annotated[Checkpoint, Words("how often a run keeps its place, to be resumed")] = Checkpoint()
    guard: Annotated[
        GuardMode,
        Words(
            "what happens when training diverges or meets values that are not finite: `repair` goes back to the last "
            "healthy weights and on with a lower rate, `stop` ends there, `warn` only reports divergence",
            why="a run is never to end with weights that are not finite",
        ),
    ] = "repair"  # when the loss diverges or is not finite any more
    precision: Annotated[
        Precision,
        Words(
            "in which precision products and sums are computed; weights stay float32 unless float64 is chosen",
            why="float32 is exact enough for training, and fast everywhere",
        ),
    ] = "float32"
    native_kernels: Annotated[
        bool,
        Words("whether compiled kernels are used where these are faster", why="the same results to rounding, sooner"),
    ] = True  # where they are built and faster; without them XLA's formulas run
    check: Annotated[
        bool,
        Words(
            "whether the backward pass is compared with differences before the first step",
            why="the layers that come with the program are tested; yours may not be",
        ),
    ] = False  # the backward pass, before the first step

    def rules(self) -> Iterator[Problem]:
        """An ensemble averages the answers of its members."""
        if self.average is not None and self.ensemble > 1:
            yield Problem("average", "an ensemble averages answers, not weights", "choose one of both")

    @property
    def mixing(self) -> Mixing | None:
        """How the rows of a step are mixed, if they are."""
        return None if self.mixup is None and self.cutmix is None else Mixing(self.mixup, self.cutmix)

    def batch_rows(self, rows: int) -> int:
        """Return how many of `rows` rows a full minibatch has."""
        return rows if self.batch_size == "all" else min(int(self.batch_size), rows)

    def steps(self, rows: int) -> int:
        """Return how many steps are taken at most on `rows` rows; more than `MAX_STEP` cannot be counted."""
        return min(MAX_STEP, self.epochs * -(-rows // self.batch_rows(rows)))


@dataclass(frozen=True)
class LossOn(Settings):
    """A loss on one output: what it compares it with, and its weight in the total.

    `target` names a column, or lists what the loss takes besides the output, columns and other outputs: a triplet's
    [positive, negative], a sequence's [labels, mask].
    """

    loss: Annotated[Loss, Registered(losses), Words("the loss on this output")]
    target: Annotated[Names, Words("the column that it is compared with")] = "y"
    weight: Annotated[
        PositiveFloat,
        Words(
            "what the loss counts for in the total",
            more="this output matters more",
            less="this output matters less",
            why="all outputs alike",
        ),
    ] = 1.0
