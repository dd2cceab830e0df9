"""Short training runs in float32, with native kernels and with the formulas, follow the course of float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.native.library import active

RNG = np.random.default_rng(3)
IDS = RNG.integers(0, 12, (6, 18)).astype(np.int32)
SERIES = RNG.normal(size=(6, 7, 5)).astype(np.float32)
THERE = np.arange(7) < np.array([7, 6, 5, 3, 2, 1])[:, None]
STORIES = {  # entries; the batch; kernels called by the step
    "convolution": (
        [
            rg.Conv2D(16, groups=2), rg.BatchNorm(), rg.MaxPool(), rg.Conv2D(16, groups="depthwise", kernel=5),
            rg.Conv2D(16, activation="relu"), rg.Residual([rg.Conv2D(16)]), rg.ReLU(), rg.Flatten(), rg.Dense(3),
        ],
        {"x": RNG.normal(size=(6, 9, 8, 2)).astype(np.float32), "y": np.array([0, 1, 2, 0, 1, 2], np.int32)},
        ("convolve", "data_gradient", "weight_gradient"),
    ),
    "recurrence": (
        [
            rg.named(rg.LSTM(16, output="sequence"), "lstm", inputs=["x", "there"]),
            rg.named(rg.GRU(17), "gru", inputs=["lstm", "there"]), rg.Dense(3),
        ],
        {"x": SERIES, "there": THERE, "y": np.array([0, 1, 2, 0, 1, 2], np.int32)},
        ("lstm", "lstm_back", "gru", "gru_back"),
    ),
    "attention": (
        [
            rg.Embedding(32, 12), rg.TransformerEncoder(32, 2, causal=True), rg.Dense(12),
        ],
        {"x": IDS[:, :-1], "y": IDS[:, 1:]},
        ("attend", "attend_back"),
    ),
}  # fmt: skip
STEPS = 5
CLOSE = 1e-4  # of a loss: the rounding of a few hundred thousand products, accumulated over five steps


def losses(name, wide=False):
    """Return the losses of a few steps on one batch, and the text of the step before XLA compiles it."""
    entries, batch, _ = STORIES[name]
    network = rg.Network(*entries)
    stepper = rg.Stepper(network, [rg.Objective.on(network, rg.CrossEntropy())], rg.SGD(0.2, momentum=0.9))
    variables = network.init(jax.random.key(0), batch)
    if wide:
        variables, batch = jax.tree.map(widened, (variables, batch))
    train = stepper.start(variables, jax.random.key(0))
    text, values = stepper.single.remembered(as_text, train, batch), []
    for _ in range(STEPS):
        train, outcome = stepper.single(train, batch)
        values.append(float(outcome.loss))
    return np.array(values), text


def as_text(lowered):
    return lowered.as_text()


def widened(array):
    return jnp.asarray(array, jnp.float64) if array.dtype == jnp.float32 else array


@functools.cache
def exact(name):
    with jax.enable_x64(True):
        return losses(name, wide=True)[0]


@pytest.mark.parametrize("name", STORIES)
def test_a_network_learns_as_it_does_in_float64(name, either_way):
    values, text = losses(name)
    assert all((f"retrograd_{kernel}" in text) == active() for kernel in STORIES[name][2])
    np.testing.assert_allclose(values, exact(name), rtol=CLOSE)
    assert values[-1] < 0.97 * values[0]
