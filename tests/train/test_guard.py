"""The guard: training that goes wrong goes back, and on more mildly; it never ends with weights that are not finite."""

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import NonFiniteError
from retrograd.record.events import Intervention, read_events
from retrograd.train.guard import diverged, rescues

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 3)).astype(np.float32)
Y = (X @ np.array([1.0, -2.0, 0.5])).astype(np.float32)


def fit(root, rate, **training):
    return rg.fit(X, Y, network=[rg.Dense(1)], optimizer=rg.SGD(rate), epochs=6, batch_size=16, root=root, **training)


def test_a_rate_a_thousand_times_too_large_ends_healthy_and_says_what_was_done(tmp_path):
    run = fit(tmp_path, 50.0)
    assert run.stop.reason == "epochs"
    assert run.scores["test"]["r2"] > 0.9
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.model.variables))
    told = [event for event in read_events(run.folder / "events.jsonl") if isinstance(event, Intervention)]
    assert [event.action for event in told] == [event.action for event in run.interventions]
    assert "back to the last healthy weights" in told[0].action
    assert told[-1].permanent.startswith("optimizer.sgd.learning_rate: ")


def test_what_the_guard_did_can_be_made_permanent(tmp_path):
    first = fit(tmp_path, 50.0)
    rate = float(first.interventions[-1].permanent.rpartition(" ")[2])
    assert fit(tmp_path, rate).interventions == ()


def test_stop_ends_with_a_reason_and_the_last_healthy_weights(tmp_path):
    run = fit(tmp_path, 1.5, guard="stop")
    assert run.stop.reason == "diverged"
    assert "the loss rose" in run.stop.sentence


def test_what_is_not_finite_is_an_error_under_stop(tmp_path):
    with pytest.raises(NonFiniteError, match="first non-finite"):
        fit(tmp_path, 1e30, guard="stop")


def test_warn_tells_and_goes_on(tmp_path):
    run = fit(tmp_path, 1.5, guard="warn")
    assert run.stop.reason == "epochs"
    assert "guard is `warn`" in run.interventions[0].action


def test_off_neither_tells_nor_acts_on_divergence(tmp_path):
    assert fit(tmp_path, 1.5, guard="off").interventions == ()


def test_a_healthy_run_is_left_alone(tmp_path):
    assert fit(tmp_path, 0.05).interventions == ()


@pytest.mark.parametrize(
    ("losses", "first", "grown"),
    [
        ([1.0, 0.9, 0.8, 0.7], 1.0, False),
        ([1.0, 2.0, 4.0, 5.0], 1.0, True),
        ([1.0, 500.0, 3.0, 0.9], 1.0, False),
        ([1.0, 500.0, 3.0, 1.2], 1.0, True),
        ([], 1.0, False),
    ],
)
def test_divergence_is_a_loss_that_ends_far_above_the_first_one(losses, first, grown):
    assert bool(diverged(losses, first)) is grown


def test_rescues_become_stronger():
    factors = [rescue.rate_factor for rescue in rescues()]
    assert factors == sorted(factors, reverse=True)
    assert not next(rescues()).clip
    assert list(rescues())[-1].clip
