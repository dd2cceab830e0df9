"""Losses against numbers from another implementation, in float64."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.backprop.backprop import adjoint, record
from retrograd.network.layer import Context
from retrograd.network.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)
from tests.oracles import Case, cases

# soft_margin, log(1 + exp(-s y)), is binary cross-entropy on logits with the targets -1, 1 written as 0, 1
KINDS = ("mse", "l1", "huber", "smooth_l1", "bce", "bce_logits", "soft_margin", "cross_entropy")

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


@pytest.mark.parametrize("case", cases(*KINDS), ids=lambda case: case.id)
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


@pytest.mark.parametrize("case", [c for c in cases(*KINDS) if c.config.get("reduction") == "none"], ids=lambda c: c.id)
def test_terms_are_the_unreduced_losses_of_the_oracle(case: Case):
    prediction, target, _ = given(case)
    with jax.enable_x64(True):
        terms, _ = BUILD[case.kind](case.config, "sum").terms(jnp.asarray(prediction), jnp.asarray(target))
        np.testing.assert_allclose(terms, case.arrays["out.loss"], **case.tol)


def both_ways(loss: Loss, inputs: tuple[jax.Array, ...], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    step = record(loss, {}, {}, Context(), inputs)
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
