"""The symptoms known to both doctors, by code: titles, thresholds and the thresholds' reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Threshold(NamedTuple):
    """The value at which a quantity becomes a symptom; the reason completes the sentence that the number begins.

    The reason says what the number separates, or shows the arithmetic behind it.
    """

    value: float
    reason: str


class Kind(NamedTuple):
    """What findings with the same code share in both doctors."""

    title: str
    thresholds: Mapping[str, Threshold] = {}


def _kind(title: str, **thresholds: tuple[float, str]) -> Kind:
    return Kind(title, {name: Threshold(*threshold) for name, threshold in thresholds.items()})


def threshold(code: str, name: str) -> float:
    """Return a threshold's value."""
    return CATALOGUE[code].thresholds[name].value


CATALOGUE: dict[str, Kind] = {
    # the configuration
    "S01": _kind("softmax over one unit"),
    "S02": _kind("output activation unsuited to the loss"),
    "S03": _kind(
        "targets out of range", share=(0.01, "of the targets: a few extreme ones are outliers, not another range")
    ),
    "S04": _kind("loss for another task"),
    "S05": _kind("no nonlinearity between layers"),
    "S06": _kind(
        "initial weights",
        spread=(1e-6, "of the weights' size: float32 rounding alone causes a tenth of that"),
        scale=(3.0, "times the usual deviation, or a third: He's and Glorot's rules differ by 1.4 for square matrices"),
        overall=(10.0, "times the scale of the inputs, or a tenth, after all layers"),
        bias=(4.0, "deviations: fewer than one in 10,000 normal values lies on the other side"),
    ),
    "S07": _kind(
        "learning rate",
        overshoot=(4.0, "times the stable rate: a rate just above it may still settle where the loss is flatter"),
        standstill=(10.0, "for rate x curvature x updates: a direction a tenth as steep keeps e^-1 of its error"),
        timid=(0.05, "of the stable rate: steps twenty times as long would be stable"),
        clipped=(0.1, "of the norm of the initial weights: weights that move less stay at their random values"),
        largest_update=(3e-2, "of the weights: thirty times the usual 1e-3"),
        eps=(10.0, "times the gradients: steps are then a tenth of the learning rate"),
        moved=(0.01, "of the weights' size: a hundredth changes only the answers near a boundary"),
        smallest_update=(1e-5, "of the weights: a hundredth of the usual 1e-3"),
    ),
    "S08": _kind(
        "too deep for its activation",
        sigmoid=(4, "sigmoid layers: they pass at most 0.25^4 = 0.4 % of a delta"),
        tanh=(10, "tanh layers: the slope is 1 at 0, so the limit is higher"),
        exponential=(2, "exponential layers: an exponential of an exponential overflows"),
        born_dead=(0.2, "for the probability of a dead layer: one seed in five"),
    ),
    "S09": _kind("softmax between layers"),
    "S10": _kind("probabilities where logits are expected"),
    "S11": _kind("softmax over the rows"),
    "S12": _kind(
        "too few updates",
        updates=(100, "updates: at the usual rate of 1e-3 they move a weight by 0.1, a third of what it may need"),
        distance=(0.3, "to turn one weight into another: the deviation of He's initial weights at 22 inputs"),
    ),
    "S13": _kind(
        "too narrow",
        units=(5, "units: of four relu layers with 5 units each, one is dead with probability 0.12"),
    ),
    "S14": _kind(
        "strong regularisation",
        dropped=(0.5, "of the units: the noise, sqrt(p / (1 - p)) of a unit's value, is then as large as the value"),
        penalties=(1.0, "times the data loss: the penalties then decide where the weights go"),
        smoothed=(
            0.5,
            "of a target spread over all classes: 0.1 is usual; beyond 0.5 its own class no longer has most of it",
        ),
        noise=(1.0, "times the deviation of its input: half of the result is then noise"),
        decay=(3.3, "decoupled: full steps against it sustain a weight of 0.3, He's deviation at 22 inputs"),
    ),
    "S15": _kind("no bias"),
    "S16": _kind("loss summed over the batch"),
    "S17": _kind(
        "momentum of batch norm",
        first=(0.1, "of a running average is still its initial value"),
        newest=(0.5, "of a running average is the last batch: that is hardly an average any more"),
        newest_in_torch=(0.9, "of a running average is the last batch: what Keras and papers write for PyTorch's 0.1"),
    ),
    "S18": _kind(
        "schedule of the learning rate",
        share=(0.1, "of the configured rate: a cosine leaves 0.5 on average, a decay to a hundredth 0.2"),
    ),
    "S19": _kind("frozen at random"),
    "S24": _kind(
        "skipped places",
        read=(0.2, "of the places: a 1x1 kernel with stride 2, as in residual shortcuts, reads 0.25"),
    ),
    "S23": _kind("augmentation that changes answers"),
    "S22": _kind(
        "lost on the way",
        lost=(0.4, "of what can be predicted: models on 256 rows differ by less than 0.1 from fold to fold"),
        known=(0.2, "above a constant: with less, no loss of information can be established"),
    ),
    "S21": _kind(
        "order of steps", change=(1e-3, "of the outputs' deviation: summing in another order changes 1e-6 in float32")
    ),
    "S20": _kind("class weights", ratio=(10.0, "to one: the ratio that counts as imbalance without weights")),
    # the data
    "D01": _kind(
        "unscaled inputs",
        largest=(20.0, "in magnitude: standardised samples seldom exceed 10"),
        spreads=(100.0, "times the smallest spread: the loss curves 10,000 times more along one feature than another"),
        offset=(10.0, "deviations from 0: a feature's constant part outweighs its varying part a hundredfold"),
        resolution=(1e-3, "of the spread: fewer than a thousand float32 steps remain to separate rows"),
    ),
    "D02": _kind(
        "unscaled target",
        spread=(
            10.0,
            "in deviation: initial outputs are of size 1, so the squared error starts a hundred times too large",
        ),
        offset=(10.0, "in mean, and as many deviations: nearly all of the initial error is the missing bias"),
    ),
    "D03": _kind(
        "overscaled inputs", spread=(1e-2, "in deviation: pixels divided by 255 have 0.3, pixels divided twice 1e-3")
    ),
    "D04": _kind("missing values", share=(0.3, "of the rows: one filled-in value then dominates the column")),
    "D05": _kind(
        "repeated features",
        correlation=(0.9999, "in correlation: one determines the other to a seventieth of its deviation"),
    ),
    "D06": _kind(
        "class imbalance",
        ratio=(10.0, "to one: never predicting the rare class is right for 91 %"),
    ),
    "D07": _kind(
        "nothing to learn",
        chance=(0.05, "of shuffled answers: the usual level of a permutation test, which 400 shuffles resolve"),
    ),
    "D08": _kind(
        "sorted rows",
        neighbours=(0.9, "of neighbouring rows have the same class: for shuffled rows of two equal classes it is 0.5"),
        unknown=(0.02, "of the validation rows: beyond that, their score says nothing about the network"),
        apart=(0.5, "between class frequencies: two random parts of 20 rows from ten classes differ by 0.26"),
    ),
    "D09": _kind(
        "parts that differ",
        factor=(5.0, "between spreads: two random parts of 30 rows differ by less than 2"),
        share=(0.5, "of the features: single features may be unusual"),
    ),
    "D10": _kind("leaked answers", share=(0.05, "of the validation rows: accuracy is then too high by up to 0.05")),
    "D11": _kind("units without a class"),
    "D12": _kind("few rows", rows=(50, "rows: a share measured on ten held-out ones is known to 0.16")),
    "D13": _kind("contradictory rows", share=(0.05, "of the rows: accuracy cannot then exceed 0.95")),
    "D14": _kind("outliers", share=(0.5, "of a column's variance: a few cells then outweigh all others")),
    "D15": _kind("orders of magnitude"),
    "D16": _kind(
        "codes as numbers", gain=(0.1, "of the target's variance: five times what 40 codes in 600 rows gain by chance")
    ),
    "D17": _kind("clipped inputs", cut=(0.25, "of the cells: clipping is meant for the few far from the rest")),
    # the behaviour of a run
    "B01": _kind("not finite"),
    "B02": _kind("divergence", times=(3.0, "times the first loss: chance changes the loss of an epoch by less")),
    "B03": _kind(
        "stuck",
        near=(0.05, "of the way from a constant answer to a perfect one: verdicts ignore such a difference"),
    ),
    "B04": _kind(
        "vanishing gradients",
        per_layer=(0.5, "per layer: sigmoid leaves at most 0.25"),
        overall=(1e-3, "of the last layer's relative gradient: a half at each of ten layers"),
        through_time=(1e-3, "of the delta at the last steps: a half at each of ten steps"),
    ),
    "B05": _kind(
        "exploding gradients",
        per_layer=(2.0, "per layer: the mirror of vanishing gradients"),
        overall=(1e3, "in total: twice at each of ten layers"),
        growth=(10.0, "times the median of the first observations, while the loss does not fall"),
    ),
    "B06": _kind("dead units", share=(0.5, "of a layer's units: the layer has then lost more than it keeps")),
    "B07": _kind("saturation", share=(0.5, "of a layer's units: most of them then pass hardly any gradient")),
    "B08": _kind("parameters without gradient"),
    "B10": _kind(
        "oscillation",
        correlation=(-0.3, "between successive changes: -0.5 for independent losses, 0 or more for a smooth descent"),
        jumps=(0.1, "of the loss: smaller jumps are batch noise"),
    ),
    "B11": _kind("unfinished training", fall=(0.08, "of the loss in the last quarter: more updates would gain more")),
    "B12": _kind(
        "overfitting",
        rise=(1.1, "times the smallest held-out loss"),
        gap=(0.05, "of accuracy or R²: verdicts ignore smaller differences"),
    ),
    "B13": _kind("underfitting", margin=(0.05, "of accuracy or R²: verdicts ignore smaller differences")),
    "B14": _kind(
        "constant output",
        variance=(1e-3, "of the targets' variance: a calibrated output of that variance has an R² of 0.001"),
        spread=(1e-3, "of the outputs' size: rounding alone causes 1e-7"),
    ),
    "B15": _kind("equal units", share=(0.5, "of a layer's units: with fewer the layer still learns")),
    "B17": _kind("wrong gradient"),
    "B20": _kind(
        "initial loss",
        times=(5.0, "times that of an uninformed prediction: the initial answers are confident and wrong"),
    ),
    "B21": _kind("rows not memorised", score=(0.95, "in accuracy or R²: 15 of 16 rows right give 0.94")),
    "B25": _kind(
        "running averages of batch norm",
        gain=(0.1, "of accuracy or R²: beyond the differences that verdicts ignore, 0.05 and 0.1"),
        channels=(0.5, "of the channels are more than a deviation apart: single channels may be unusual"),
    ),
    "B26": _kind(
        "stopped too early",
        epochs=(0.5, "of the planned epochs: a stop in the second half is the purpose of early stopping"),
        fall=(0.01, "of the loss in the last quarter of the epochs: less is noise"),
    ),
    "G01": _kind(
        "wrong backward of a function",
        error=(1e-3, "in relative error: central differences in float64 are accurate to 1e-7"),
    ),
    # PyTorch's loops
    "U01": _kind("gradients of other steps", share=(0.5, "of the steps: now and then it may be intended")),
    "U02": _kind("nothing changes"),
    "U03": _kind("parameters outside the optimizer"),
    "U04": _kind("training in evaluation mode"),
    "U05": _kind("validation in training mode"),
    "U06": _kind("ascent", cosine=(0.1, "between update and gradient: momentum may turn single steps")),
    "U07": _kind("softmax twice"),
    "U08": _kind("graph cut"),
    "U09": _kind(
        "rows and answers mixed up",
        contradicted=(0.3, "of the repeated rows: label noise contradicts fewer"),
        pure=(0.7, "of the minibatches contain a single class: shuffled ones hardly ever do"),
    ),
    "U10": _kind("broadcast loss"),
    "U11": _kind("graphs kept alive", alive=(3, "graphs that are five iterations old: a correct loop keeps none")),
    "U12": _kind(
        "learning-rate schedule",
        early=(0.5, "of the steps: a schedule that ends in the second half is intended"),
        vanished=(1e-3, "of the largest rate: the weights hardly move any more"),
        restarts=(3, "restarts: warm restarts are usually fewer, and less frequent than epochs"),
    ),
    "U13": _kind("rows left out", share=(0.1, "of the rows: a dropped last batch is usually smaller")),
    "U14": _kind("updates of a copy"),
    "U15": _kind("frozen parameters"),
    "U16": _kind("sum of several passes", weight=(1.5, "times the weight of one pass: an average has 1")),
    "U17": _kind("gradients changed too late", share=(0.5, "of the observations: now and then it may be chance")),
    "U18": _kind("several optimizers", turns=(3, "changes: a single one is deliberate, warm-up and then training")),
    "U19": _kind("number format"),
    "U20": _kind("mixed dimensions"),
}
