"""Averages of weights against the numbers of PyTorch's AveragedModel, and what they do not touch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ConfigError, UsageError
from retrograd.tracing.look import Looker
from retrograd.training.config.settings import TrainingSettings
from retrograd.update.average import Averaging

WEIGHTS = [1.0, 3.0, -2.0, 0.5, 4.0]  # after each step


@pytest.mark.parametrize(
    ("average", "expected"),
    [  # torch 2.13, AveragedModel: get_ema_multi_avg_fn(0.9), the mean, and both begun after two steps
        (Averaging(0.9), [1.0, 1.2, 0.88, 0.842, 1.1578]),
        (Averaging(kind="mean"), [1.0, 2.0, 0.6666666666666667, 0.625, 1.3]),
        (Averaging(0.9, after=1), [1.0, 3.0, -2.0, -1.75, -1.175]),
        (Averaging(kind="mean", after=1), [1.0, 3.0, -2.0, -0.75, 0.8333333333333333]),
    ],
)
def test_the_average_is_pytorchs_and_integers_are_the_newest(average, expected):
    rule, found = average.rule(2), {"w": jnp.zeros(()), "count": jnp.zeros((), jnp.int32)}
    for step, (weight, wanted) in enumerate(zip(WEIGHTS, expected, strict=True)):
        found = rule(found, {"w": jnp.asarray(weight), "count": jnp.asarray(step)}, jnp.asarray(step))
        np.testing.assert_allclose(found["w"], wanted, rtol=1e-6)
    assert found["count"] == 4


def test_a_number_alone_is_the_decay_and_an_ensemble_has_none():
    assert TrainingSettings(average=0.99).average == Averaging(0.99, "ema", 0)
    with pytest.raises(ConfigError, match="average: an ensemble averages answers, not weights; set either"):
        TrainingSettings(average=0.99, ensemble=2)


def test_a_step_with_sharpness_lookahead_and_an_average_is_the_one_by_hand():
    network = rg.Network(rg.Dense(1, bias=False))
    x, y = np.array([1.0, 2.0, -0.5]), np.array([1.0, 0.0, 2.0])
    batch = {"x": np.float32(x[:, None]), "y": np.float32(y[:, None])}
    objective = rg.Objective.on(network, rg.MeanSquaredError())
    optimizer = rg.SGD(0.1, momentum=0.5, sharpness=0.3, lookahead={"steps": 2, "share": 0.25})
    stepper = rg.Stepper(network, [objective], optimizer, average=Averaging(0.5).rule(1))
    train = stepper.start(network.init(jax.random.key(0), batch), jax.random.key(1))
    w = slow = float(train.params["dense_1"]["weight"][0, 0])
    velocity = average = 0.0

    def slope(w):
        return float(np.mean(2 * (x * w - y) * x))

    for step in range(4):
        train, _ = stepper.single(train, batch)
        velocity = 0.5 * velocity + slope(w + 0.3 * np.sign(slope(w)))
        w -= 0.1 * velocity
        if step % 2:
            w = slow = slow + 0.25 * (w - slow)
        average = w if step == 0 else 0.5 * average + 0.5 * w
        np.testing.assert_allclose(train.params["dense_1"]["weight"][0, 0], w, rtol=1e-5)
        np.testing.assert_allclose(train.average[0]["dense_1"]["weight"][0, 0], average, rtol=1e-5)
    with pytest.raises(UsageError, match="optimizer: a step with sharpness is more than the one pass and one update"):
        Looker(stepper, None)
