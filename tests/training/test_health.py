"""Readings: what they report on each layer, when they are taken, and that they change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.document import Document
from retrograd.data.dataset import from_arrays
from retrograd.propagation.readings import derivative, read, steepest, steepest_on_grid, units
from retrograd.record.events import Health, Phase, read_events
from retrograd.record.logs.weights import read_weights
from retrograd.training.config.config import config_of
from retrograd.training.loop.guarded import copied
from retrograd.training.loop.health import HealthWatch, in_order, sentence
from retrograd.training.loop.loop import Loop
from retrograd.training.prepare import prepare

CONFIG = {
    "data": {"builtin": "moons", "samples": 200},
    "network": [{"dense": {"units": 8, "activation": "relu"}}, {"dense": 1}],
    "optimizer": {"adam": 0.01},
    "training": {"epochs": 30, "batch_size": 20},
}
SIZES = {"dense_1/weight": 16, "dense_1/bias": 8, "dense_2/weight": 8, "dense_2/bias": 1}


def test_a_reading_contains_size_zeros_and_non_finite_values():
    reading = jax.device_get(read(jnp.array([3.0, 4.0, 0.0, jnp.nan, -jnp.inf])))
    assert reading.rms == pytest.approx(np.sqrt(25 / 5))
    assert reading.largest == 4
    assert reading.zeros == pytest.approx(1 / 5)
    assert reading.nonfinite == 2


@pytest.mark.parametrize(
    ("layer", "x", "dead", "saturated"),
    [
        (rg.ReLU(), [[-1.0, 1.0], [-2.0, -1.0]], 0.5, 0.5),
        (rg.Sigmoid(), [[9.0, 0.0], [-9.0, 1.0]], 0.0, 0.5),
        (rg.Tanh(), [[30.0, 30.0], [30.0, 30.0]], 1.0, 1.0),
    ],
)
def test_dead_and_saturated_units_are_counted_by_their_derivative(layer, x, dead, saturated):
    counts = units(layer, derivative(layer, {}, jnp.array(x)))
    assert counts.dead == dead
    assert counts.saturated == saturated


@pytest.mark.parametrize("layer", [rg.ReLU(), rg.Sigmoid(), rg.Tanh()])
def test_the_steepest_point_declared_by_an_activation_is_correct(layer):
    assert steepest(layer) == layer.steepest == pytest.approx(steepest_on_grid(layer), rel=1e-3)


def test_readings_are_recorded_at_intervals_and_change_nothing(tmp_path):
    plain = rg.train(CONFIG, root=tmp_path / "plain")
    read_run = rg.train(CONFIG, root=tmp_path / "read", readings=True)
    for a, b in zip(*map(jax.tree.leaves, (plain.model.variables, read_run.model.variables)), strict=True):
        assert np.array_equal(a, b)
    recorded = list(read_events(read_run.folder / "events.jsonl"))
    assert [event.name for event in recorded if isinstance(event, Phase)] == ["compiling", "training", "finishing"]
    events = [event for event in recorded if isinstance(event, Health)]
    steps = [event.step for event in events]
    assert [step for step, _ in read_weights(read_run.folder)] == [0, *steps]
    assert steps == [7, 14, 28, 42, 56, 70, 84, 98, 112, 126, 140, 154, 168, 182, 196, 210]
    readings = events[-1].readings
    assert set(readings["gradient_rms"]) == {"dense_1/weight", "dense_1/bias", "dense_2/weight", "dense_2/bias"}
    assert 0 < readings["update_ratio"]["dense_1/weight"] < 1
    norm = np.sqrt(sum(size * readings["gradient_rms"][path] ** 2 for path, size in SIZES.items()))
    assert readings["gradient_norm"]["network"] == pytest.approx(norm, rel=1e-3)
    deltas, gains = readings["delta_rms"], readings["backward_gain"]
    assert gains["dense_2"] == pytest.approx(deltas["dense_1/relu"] / deltas["dense_2"], rel=2e-3)
    assert 0 < readings["output_zeros"]["dense_1/relu"] < 1
    assert readings["output_largest"]["dense_2"] >= readings["output_rms"]["dense_2"]
    assert not any(name.endswith("nonfinite") for name in readings)
    assert "units" in read_run.health or "weights change" in read_run.health


def test_after_a_rescue_the_reading_is_of_the_step_actually_taken():
    def look(stepper, train, batch):
        watch.interval, watch.last_step = 1, -1  # a reading each time
        watch(stepper, train, batch)
        before = np.asarray(train.params["dense_1"]["weight"])
        after, _ = stepper.single(copied(train), batch())
        moved.append(np.linalg.norm(after.params["dense_1"]["weight"] - before) / np.linalg.norm(before))

    moved, recorded = [], []
    x = np.random.default_rng(0).normal(size=(96, 3)).astype(np.float32)
    config = {"network": [{"dense": 1}], "optimizer": {"sgd": 5e4}, "training": {"epochs": 3, "batch_size": 16}}
    prepared = prepare(config_of(Document(config)), from_arrays(x, x.sum(1)))
    watch = HealthWatch(prepared.steps, recorded.append)
    fitted = Loop(prepared.stepper(), prepared.config.training, prepared.dataset.train, lambda variables: {}, True,
                  look=look).run(prepared.network.init(jax.random.key(0), prepared.dataset.train))  # fmt: skip
    assert fitted.interventions[-1].clip_global_norm == 1.0
    assert [event.readings["update_ratio"]["dense_1/weight"] for event in recorded] == pytest.approx(moved, rel=2e-3)


def test_readings_are_in_the_order_of_the_forward_pass():
    network = rg.Network(rg.named(rg.Dense(2), "z"), rg.named(rg.Dense(2), "a"), rg.named(rg.Dropout(0.1), "m"))
    ordered = in_order(network, {"output_rms": {"a": 1, "m": 2, "z": 3}, "rms": {"a/weight": 4, "z/bias": 5}})
    assert [list(values) for values in ordered.values()] == [["z", "a", "m"], ["z/bias", "a/weight"]]


def test_missing_readings_produce_no_text():
    assert sentence({}) == ""
