"""Losses against numbers from another implementation, in float64."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.network.layer import Context
from retrograd.network.losses import (
    CTC,
    BinaryCrossEntropy,
    CosineEmbedding,
    CrossEntropy,
    GaussianNLL,
    HingeEmbedding,
    Huber,
    KLDivergence,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    MultiMargin,
    PoissonNLL,
    Triplet,
)
from retrograd.propagation.one_layer import adjoint, run_layer
from tests.oracles import Case, cases

# soft_margin, log(1 + exp(-s y)), is binary cross-entropy on logits with the targets -1, 1 written as 0, 1
KINDS = ("mse", "l1", "huber", "smooth_l1", "bce", "bce_logits", "soft_margin", "cross_entropy", "nll", "kldiv",
         "triplet", "ctc", "multi_margin", "hinge_embedding", "cosine_embedding", "poisson_nll", "gaussian_nll")  # fmt: skip

BUILD: dict[str, Callable[[dict[str, Any], str], Loss]] = {
    "mse": lambda config, reduction: MeanSquaredError(reduction=reduction),
    "l1": lambda config, reduction: MeanAbsoluteError(reduction=reduction),
    "huber": lambda config, reduction: Huber(config["delta"], reduction=reduction),
    "smooth_l1": lambda config, reduction: Huber(config["beta"], scale=1 / config["beta"], reduction=reduction),
    "bce": lambda config, reduction: BinaryCrossEntropy(from_logits=False, reduction=reduction),
    "bce_logits": lambda config, reduction: BinaryCrossEntropy(config.get("pos_weight", 1.0), reduction=reduction),
    "soft_margin": lambda config, reduction: BinaryCrossEntropy(reduction=reduction),
    "cross_entropy": lambda config, reduction: CrossEntropy(
        config.get("label_smoothing", 0.0),
        tuple(config.get("class_weights", ())),
        config.get("ignore_index"),
        reduction=reduction,
    ),
}


ELEMENTWISE = cases("mse", "l1", "huber", "smooth_l1", "bce", "bce_logits", "soft_margin", "cross_entropy")


@pytest.mark.parametrize("case", ELEMENTWISE, ids=lambda case: case.id)
def test_loss_and_delta_are_those_of_the_oracle(case: Case):
    prediction, target, weight = given(case)
    expected, delta = case.arrays["out.loss"], axes_last(case.arrays[f"grad_in.{prediction_name(case)}"])
    reduction, seed = case.config.get("reduction", "mean"), case.arrays["cot.loss"]
    if reduction == "none":  # every term has a delta of its own: a sum that is weighed by them
        reduction, weight, seed, expected = "sum", seed, np.ones(()), np.sum(expected * seed)
    loss = BUILD[case.kind](case.config, reduction)
    inputs = (prediction, target) if weight is None else (prediction, target, weight)
    with jax.enable_x64(True):
        found, found_delta = jax.jit(lambda inputs, dy: both_ways(loss, inputs, dy))(inputs, seed)
        np.testing.assert_allclose(found, expected, **case.tol)
        np.testing.assert_allclose(found_delta, delta, **case.tol)


@pytest.mark.parametrize("case", [c for c in ELEMENTWISE if c.config.get("reduction") == "none"], ids=lambda c: c.id)
def test_terms_are_the_unreduced_losses_of_the_oracle(case: Case):
    prediction, target, _ = given(case)
    with jax.enable_x64(True):
        terms, _ = BUILD[case.kind](case.config, "sum").terms(jnp.asarray(prediction), jnp.asarray(target))
        np.testing.assert_allclose(terms, case.arrays["out.loss"], **case.tol)


@pytest.mark.parametrize("case", cases("nll", "kldiv"), ids=lambda case: case.id)
def test_losses_on_log_probabilities_are_ours_on_probabilities(case: Case):
    name = "logp" if case.kind == "nll" else "logq"
    probabilities = np.exp(case.arrays[f"in.{name}"])
    loss: Loss = KLDivergence(from_logits=False)
    target = case.arrays.get("in.nd_target")
    if target is None:
        weights = tuple(case.config["class_weights"])
        loss, target = CrossEntropy(0.0, weights, from_logits=False, normalize=False), case.arrays["in.target"]
    value, deltas = compiled_both_ways(loss, (probabilities, target), case.arrays["cot.loss"])
    np.testing.assert_allclose(value, case.arrays["out.loss"], **case.tol)
    np.testing.assert_allclose(deltas[0] * probabilities, case.arrays[f"grad_in.{name}"], **case.tol)


# the losses that compare several inputs, or have settings of their own; and the names of these inputs
SEVERAL: dict[str, tuple[Callable[..., Loss], tuple[str, ...]]] = {
    "triplet": (Triplet, ("anchor", "pos", "neg")),
    "multi_margin": (MultiMargin, ("logits", "target")),
    "hinge_embedding": (HingeEmbedding, ("x", "nd_target")),
    "cosine_embedding": (CosineEmbedding, ("x1", "x2", "nd_target")),
    "poisson_nll": (PoissonNLL, ("x", "nd_target")),
    "gaussian_nll": (GaussianNLL, ("x", "var", "nd_target")),
}
RECORDED = cases("triplet", "multi_margin", "hinge_embedding", "cosine_embedding", "poisson_nll", "gaussian_nll")


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.id)
def test_losses_of_several_inputs_have_the_recorded_values_and_deltas(case: Case):
    build, names = SEVERAL[case.kind]
    inputs = tuple(case.arrays[f"in.{name}"] for name in names)
    loss = build(**{name: value for name, value in case.config.items() if name in build.__annotations__})
    value, deltas = compiled_both_ways(loss, inputs, case.arrays["cot.loss"])
    np.testing.assert_allclose(value, case.arrays["out.loss"], **case.tol)
    for name, delta in zip(names, deltas, strict=True):
        if f"grad_in.{name}" in case.arrays:
            np.testing.assert_allclose(delta, case.arrays[f"grad_in.{name}"], **case.tol)


@pytest.mark.parametrize("case", cases("ctc"), ids=lambda case: case.id)
def test_ctc_has_the_recorded_loss_and_delta(case: Case):
    names = ("targets", "input_lengths", "target_lengths")
    inputs = (case.arrays["in.logits"].swapaxes(0, 1), *(case.arrays[f"in.{name}"] for name in names))
    value, deltas = compiled_both_ways(CTC(case.config["blank"]), inputs, case.arrays["cot.loss"])
    np.testing.assert_allclose(value, case.arrays["out.loss"], **case.tol)
    np.testing.assert_allclose(deltas[0], case.arrays["grad_in.logits"].swapaxes(0, 1), **case.tol)


def compiled_both_ways(loss: Loss, inputs: tuple[np.ndarray, ...], dy: np.ndarray) -> Any:
    def run(inputs: Any, dy: Any) -> Any:
        step = run_layer(loss, {}, {}, Context(), inputs)
        return step.y, adjoint(loss, {}, step.tape, dy).inputs

    with jax.enable_x64(True):
        return jax.device_get(jax.jit(run)(inputs, dy))


def both_ways(loss: Loss, inputs: tuple[jax.Array, ...], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    step = run_layer(loss, {}, {}, Context(), inputs)
    return step.y, adjoint(loss, {}, step.tape, dy).inputs[0]


def given(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return prediction, target and sample weight of a case as the loss takes them."""
    target = case.arrays["in.target"] if "in.target" in case.arrays else case.arrays["in.nd_target"]
    if case.kind == "soft_margin":
        target = (target + 1) / 2
    return axes_last(case.arrays[f"in.{prediction_name(case)}"]), target, case.arrays.get("in.nd_weight")


def prediction_name(case: Case) -> str:
    return next(name for name in ("pred", "logits", "prob", "x") if f"in.{name}" in case.arrays)


def axes_last(x: np.ndarray) -> np.ndarray:
    """Return [batch, classes, ...] as [batch, ..., classes]."""
    return np.moveaxis(x, 1, -1) if x.ndim > 2 else x
