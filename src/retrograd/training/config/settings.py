"""The `training:` section of a configuration, and the losses of several outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from retrograd.base.annotations import Expect, Registered, describing
from retrograd.base.keys import SEED_LIMIT
from retrograd.base.quantities import NonNegativeFloat, Number, PositiveFloat, PositiveInt
from retrograd.base.schema import Settings
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.precision import Precision
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

    patience: PositiveInt = 20
    min_change: NonNegativeFloat = 0.0
    stop_when_perfect: bool = True

    words = describing(
        patience=(
            "evaluations without progress before training stops",
            "waits through longer plateaus, and longer for nothing",
            "stops sooner, perhaps on a plateau",
            "long enough for most plateaus",
        ),
        min_change=(
            "by how much the watched loss must fall to count as progress",
            "stops sooner",
            "counts smaller progress",
            "0: any progress counts",
        ),
        stop_when_perfect=(
            "whether training ends once the validation part cannot show any further progress",
            "",
            "",
            "true: what follows takes time and changes no score",
        ),
    )


@dataclass(frozen=True)
class Goal(Settings):
    """Stop when a metric of the validation part (of the training part, if there is none) is reached."""

    metric: str
    value: Number

    words = describing(
        metric="which metric is watched, as `accuracy` or `loss`",
        value=("the value at which training stops", "for a score: trains longer", "for a score: stops sooner"),
    )


@dataclass(frozen=True)
class Convergence(Settings):
    """Stop when the loss changes by less than `loss_change` from epoch to epoch, or the gradient's norm is small."""

    loss_change: PositiveFloat | None = None
    gradient_norm: PositiveFloat | None = None

    words = describing(
        loss_change=("stop when the loss changes by less from epoch to epoch", "stops sooner", "trains longer"),
        gradient_norm=("stop when the gradient's norm is below this", "stops sooner", "trains longer"),
    )


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """How long, in which portions, when to stop, and in which numbers.

    precision: float64 computes, stores and predicts in 64 bits; bfloat16 multiplies matrices in training in 16 bits,
    with parameters, sums and everything else in float32.
    """

    epochs: PositiveInt = 100
    batch_size: BatchSize = 32
    seed: Seed = 0
    shuffle: bool = True
    evaluate_every: PositiveInt = 1  # epochs
    early_stopping: EarlyStopping | None = None
    goal: Goal | None = None
    convergence: Convergence | None = None
    time_limit: PositiveFloat | None = None  # seconds
    guard: GuardMode = "repair"  # when the loss diverges or is not finite any more
    precision: Precision = "float32"
    native_kernels: bool = True  # where they are built and faster; without them XLA's formulas run
    check: bool = False  # the backward pass, before the first step

    words = describing(
        epochs=(
            "passes over the training rows",
            "fits longer; may overfit, takes longer",
            "may stop before the loss has settled",
            "a beginning; early stopping ends sooner",
        ),
        batch_size=(
            "rows in one step; the loss is the mean over them",
            "steadier gradients, fewer steps an epoch, more memory; may want a larger learning rate",
            "noisier gradients, more steps an epoch, less memory",
            "32 rows make a usable gradient at little cost",
        ),
        seed=(
            "what initial weights, order of rows and random layers are drawn from; the same seed gives the same run",
            "",
            "",
            "any number will do",
        ),
        shuffle=(
            "whether the rows come in a new order each epoch",
            "",
            "",
            "steps in the order of a file follow its order, not its content",
        ),
        evaluate_every=(
            "epochs between two measurements of the validation part",
            "less time spent measuring; early stopping sees less",
            "every change is seen",
            "each epoch is measured",
        ),
        early_stopping="stop when the validation loss no longer falls",
        goal="stop when a metric is reached",
        convergence="stop when little changes any more",
        time_limit=("seconds after which training stops", "trains longer", "stops sooner"),
        guard=(
            "what happens when training diverges or meets values that are not finite: `repair` goes back to the last "
            "healthy weights and on with a lower rate, `stop` ends there, `warn` only tells of divergence",
            "",
            "",
            "a run is never to end with weights that are not finite",
        ),
        precision=(
            "in which precision products and sums are computed; weights stay float32 unless float64 is chosen",
            "",
            "",
            "float32 is exact enough for training, and fast everywhere",
        ),
        native_kernels=(
            "whether compiled kernels are used where these are faster",
            "",
            "",
            "the same results to rounding, sooner",
        ),
        check=(
            "whether the backward pass is compared with differences before the first step",
            "",
            "",
            "the layers that come with the program are tested; yours may not be",
        ),
    )

    def batch_rows(self, rows: int) -> int:
        """Return how many of so many rows a full minibatch has."""
        return rows if self.batch_size == "all" else min(int(self.batch_size), rows)

    def steps(self, rows: int) -> int:
        """Return how many steps are taken at most on so many rows; more than `MAX_STEP` cannot be counted."""
        return min(MAX_STEP, self.epochs * -(-rows // self.batch_rows(rows)))


@dataclass(frozen=True)
class LossOn(Settings):
    """A loss on one output: what it compares it with, and its weight in the total.

    `target` names a column, or lists what the loss takes besides the output, columns and other outputs: a triplet's
    [positive, negative], a sequence's [labels, mask].
    """

    loss: Annotated[Loss, Registered(losses)]
    target: Names = "y"
    weight: PositiveFloat = 1.0

    words = describing(
        loss="the loss on this output",
        target="the column that it is compared with",
        weight=(
            "what the loss counts for in the total",
            "this output matters more",
            "this output matters less",
            "all outputs alike",
        ),
    )
