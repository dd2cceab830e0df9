"""The guard: failing training is rolled back and continues more gently; it never ends with non-finite weights."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import NonFiniteError
from retrograd.data.batches import epoch_order
from retrograd.data.dataset import from_arrays
from retrograd.record.events import Epoch, Intervention, read_events
from retrograd.record.run import RunFolder
from retrograd.training.config.config import changed, read_config
from retrograd.training.loop.course import LOOK_STEPS
from retrograd.training.loop.divergence import Compared, Condition, diverged, gathered, rows_there, suspicious
from retrograd.training.loop.guard import LOOKS, Guard, rescues
from retrograd.training.loop.loop import Loop
from retrograd.training.prepare import prepare

EXAMPLES = Path(__file__).parents[2] / "examples"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 3)).astype(np.float32)
Y = (X @ np.array([1.0, -2.0, 0.5])).astype(np.float32)


def fit(root, rate, **training):
    settings = {"epochs": 6, "batch_size": 16, "early_stopping": None, **training}  # even after a perfect fit
    return rg.fit(X, Y, network=[rg.Dense(1)], optimizer=rg.SGD(rate), root=root, **settings)


def test_a_rate_a_thousand_times_too_large_ends_healthy_and_the_interventions_are_reported(tmp_path):
    run = fit(tmp_path, 50.0)
    assert run.stop.reason == "epochs"
    assert run.scores["test"]["r2"] > 0.9
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.model.variables))
    recorded = [event for event in read_events(run.folder / "events.jsonl") if isinstance(event, Intervention)]
    assert [event.action for event in recorded] == [event.action for event in run.interventions]
    assert "back to the last healthy weights" in recorded[0].action
    assert recorded[-1].permanent.startswith("optimizer.sgd.learning_rate: ")


@pytest.mark.parametrize(
    ("optimizer", "named"),
    [
        ({"sgd": {"learning_rate": 2000.0, "momentum": 0.5}}, ["learning_rate", "clip_global_norm"]),
        ({"sgd": {"learning_rate": {"cosine": {"initial": 50.0, "warmup": 2}}}}, ["learning_rate.cosine.initial"]),
        (
            {"sgd": {"learning_rate": {"one_cycle": {"peak": 50.0, "initial": 20.0}}}},
            ["learning_rate.one_cycle.peak", "learning_rate.one_cycle.initial"],
        ),
        (
            {"sgd": {"learning_rate": {"cyclic": {"initial": 0.01, "peak": 50.0, "every": 5}}}},
            ["learning_rate.cyclic.initial", "learning_rate.cyclic.peak"],
        ),
    ],
)
def test_the_guards_changes_can_be_made_permanent_as_reported(optimizer, named, tmp_path):
    config = {"network": [{"dense": 1}], "optimizer": optimizer, "training": {"epochs": 6, "batch_size": 16}}
    data = from_arrays(X, Y)
    first = rg.train(config, dataset=data, root=tmp_path)
    lines = first.interventions[-1].permanent.split(" and ")
    assert [line.partition(": ")[0] for line in lines] == [f"optimizer.sgd.{name}" for name in named]
    for line in lines:
        config = changed(config, line.replace(": ", "="))
    second = rg.train(config, dataset=data, root=tmp_path)
    assert second.interventions == ()
    rates = [[epoch.learning_rate for epoch in run.history] for run in (first, second)]
    assert rates[1] == pytest.approx(rates[0], rel=1e-2)


def test_stop_ends_with_a_reason_and_the_last_healthy_weights(tmp_path):
    run = fit(tmp_path, 1.5, guard="stop")
    assert run.stop.reason == "diverged"
    assert "the loss rose" in run.stop.sentence


def test_non_finite_values_are_an_error_under_stop(tmp_path):
    with pytest.raises(NonFiniteError, match="first non-finite"):
        fit(tmp_path, 1e30, guard="stop")


def test_warn_reports_once_and_continues(tmp_path):
    run = fit(tmp_path, 1.5, guard="warn")
    assert run.stop.reason == "epochs"
    assert len(run.history) == 6
    assert ["guard is `warn`" in event.action for event in run.interventions] == [True]


def test_off_neither_reports_nor_treats_divergence(tmp_path):
    assert fit(tmp_path, 1.5, guard="off").interventions == ()


def test_a_healthy_run_is_left_alone(tmp_path):
    assert fit(tmp_path, 0.05).interventions == ()


# -------------------------------------------------------------------------------------------------------- a long epoch

ROWS = np.random.default_rng(1).normal(size=(1500, 3)).astype(np.float32)
LONG = (ROWS, (ROWS @ np.array([1.0, -2.0, 0.5]) + 0.1 * RNG.normal(size=1500)).astype(np.float32))
LEAP = 600  # the step at which the rate jumps


def fit_long(root, **training):
    rate = {"milestones": {"initial": 0.01, "at": [LEAP], "factor": 200.0}}
    return rg.fit(*LONG, network=[rg.Dense(1)], loss="mean_squared_error", optimizer={"sgd": {"learning_rate": rate}},
                  epochs=2, batch_size=1, root=root, **training)  # fmt: skip


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    return fit_long(tmp_path_factory.mktemp("long"))


def test_a_long_epoch_is_rolled_back_a_few_hundred_steps_and_uses_every_row_once(long_run):
    rows = long_run.dataset.rows["train"]
    assert LEAP < LOOK_STEPS * 2 < rows
    assert {event.step for event in long_run.interventions} == {LOOK_STEPS}  # not 0: what was learnt before is kept
    assert [epoch.step for epoch in long_run.history] == [rows, 2 * rows]
    last = long_run.interventions[-1]
    assert last.clip_global_norm is None
    weights = descended(long_run.dataset.train, long_run.best_epoch, last.step, last.rate_factor)
    trained = long_run.model.variables.params["dense_1"]
    assert np.allclose(np.append(trained["weight"][:, 0], trained["bias"]), weights, atol=1e-4)


def descended(columns, epochs, step, factor):
    """Descent on squared errors, one row per step, written out; from `step` on the rates are multiplied by `factor`."""
    x = np.hstack([columns["x"], np.ones((len(columns["x"]), 1))]).astype(float)
    y = np.ravel(columns["y"]).astype(float)
    first = rg.Network(rg.Dense(1)).init(jax.random.key(0), {"x": columns["x"]}).params["dense_1"]
    weights = np.append(first["weight"][:, 0], first["bias"]).astype(float)
    order = np.concatenate([epoch_order(len(x), 1, 0, epoch).full[:, 0] for epoch in range(epochs)])
    for t, row in enumerate(order):
        rate = 0.01 * (200.0 if t >= LEAP else 1.0) * (factor if t >= step else 1.0)
        weights -= rate * 2 * (weights @ x[row] - y[row]) * x[row]
    return weights


def test_the_replay_of_a_rescue_within_an_epoch_gives_the_same_bits(long_run, tmp_path):
    config = config_of_run(long_run)
    prepared = prepare(config, long_run.dataset)
    fitted = Loop(
        prepared.stepper(),
        dataclasses.replace(config.training, guard="off"),
        long_run.dataset.train,
        score=lambda variables: {},
        held_out=True,
        recorded=long_run.interventions,
    ).run(prepared.network.init(jax.random.key(config.training.seed), long_run.dataset.train))
    assert [epoch.weights for epoch in fitted.history] == [epoch.weights for epoch in long_run.history]
    assert fit_long(tmp_path).history[-1].weights == long_run.history[-1].weights


def config_of_run(run):
    return rg.load(run.folder).config


def test_giving_up_within_an_epoch_keeps_the_progress_made_before(tmp_path):
    with pytest.raises(NonFiniteError, match=r"step 6.*first non-finite.*kept the weights of epoch 1"):
        fit_long(tmp_path, guard="stop")
    (folder,) = tmp_path.iterdir()
    summary = RunFolder.open(folder).summary()
    assert (summary.stop_reason, summary.epochs) == ("non-finite", 1)
    assert [event.step for event in read_events(folder / "events.jsonl") if isinstance(event, Epoch)] == [LOOK_STEPS]
    assert summary.metrics["train"]["r2"] > 0.9
    assert rg.load(folder).facts["metrics"] == summary.metrics


def test_a_run_asked_to_stop_within_an_epoch_ends_at_that_step(long_run):
    prepared = prepare(config_of_run(long_run), long_run.dataset)
    answers = iter([None] * 9)  # before the first step, and after each dispatch of 64 and each stretch
    fitted = Loop(
        prepared.stepper(), prepared.config.training, long_run.dataset.train, lambda variables: {}, True,
        asked_to_stop=lambda: next(answers, "interrupted"),
    ).run(prepared.network.init(jax.random.key(0), long_run.dataset.train))  # fmt: skip
    assert fitted.stop.reason == "interrupted"
    assert [epoch.step for epoch in fitted.history] == [8 * 64]


# ------------------------------------------------------------------------------------------------ what is not divergence


def test_an_easy_first_row_is_no_reason_to_call_the_others_too_hard(tmp_path):
    x = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    y = np.random.default_rng(1).normal(size=300).astype(np.float32)  # nothing to learn: the loss stays as it is
    run = rg.fit(x, y, network=[rg.Dense(1)], loss="mean_squared_error", optimizer=rg.SGD(0.001), epochs=1,
                 batch_size=1, seed=0, root=tmp_path)  # fmt: skip
    assert (run.stop.reason, run.interventions) == ("epochs", ())


def compared(*, first=1.0, passed=None):
    """The guard's measurements: the loss of the initial weights on any rows, and the fraction of deltas that pass."""
    condition = never if passed is None else lambda: Condition(1.0, {"relu": passed})
    return Compared(lambda steps: first, lambda steps: first, condition)


def never(*args):
    raise AssertionError("nothing to measure")


UNASKED = Compared(never, never, never)
FULL = np.full(400, 32.0)


def guarding():
    guard = Guard("repair", rg.SGD(0.1), lambda event: None)
    guard.judged(np.ones(4), FULL, 0, UNASKED)
    return guard


def condition(loss, share):
    return lambda: Condition(loss, {"relu": share})


def test_an_alarm_is_believed_when_the_first_weights_are_better_on_the_same_rows():
    guard, risen = guarding(), 9 * np.ones(8)
    assert guard.judged(risen, FULL, 4, compared(first=9.0)) is None  # these rows are hard for any weights
    assert guard.judged(risen, FULL, 4, compared(first=1.1)) == "the loss rose from 1.1 to 9"


def test_the_weights_are_measured_after_an_inconclusive_last_step():
    losses, rows = np.array([1.0, 1e3]), np.array([95.0, 1.0])
    hard = Compared(lambda steps: 100.0, lambda steps: 120.0, never)
    assert guarding().judged(losses, rows, 4, hard) is None
    ruined = Compared(lambda steps: 100.0, lambda steps: 900.0, never)
    assert guarding().judged(losses, rows, 4, ruined) == "the loss rose from 100 to 900"


def test_a_step_after_which_the_loss_jumped_is_compared_on_its_own_rows():
    losses = np.array([1.0, 500.0, 2.0, 1.0])
    steps = gathered(losses, np.full(4, 128.0))
    outlier = Compared(lambda rows: 480.0 if rows == range(1, 2) else 1.0, never, never)
    assert diverged(losses, steps, 1.0, outlier) is None
    assert "sent the loss from 1 to 500" in diverged(losses, steps, 1.0, compared(first=1.0))


def test_a_wrong_row_alone_in_the_last_batch_is_no_divergence():
    losses, rows = np.array([0.7, 0.6, 0.6, 0.6, 0.6, 0.6, 2.3]), np.array([32.0] * 6 + [1.0])
    assert guarding().judged(losses, rows, 7, Compared(lambda steps: 0.7, lambda steps: 0.6, never)) is None
    assert gathered(losses, rows).at_the_end() == pytest.approx((32 * 0.6 + 2.3) / 33)


# ----------------------------------------------------------------------------------------------------- a ruined network


def test_a_rescue_that_leaves_a_network_that_passes_no_deltas_is_followed_by_a_milder_one():
    guard, alike = guarding(), np.ones(4)
    assert guard.rescue(0, "risen", 0.1, condition(1.0, 0.5)).rate_factor == 0.1
    assert guard.judged(alike, FULL, 0, compared(passed=0.4)) is None
    assert "relu passes on 1.0% of the deltas, 50% before" in guard.judged(alike, FULL, 0, compared(passed=0.01))
    assert guard.rescue(0, "ruined", 0.1, never).rate_factor == 0.01
    assert guard.judged(0.05 * alike, FULL, 0, UNASKED) is None  # solved: units that need no deltas may be dead
    for _ in range(LOOKS - 1):
        assert guard.judged(alike, FULL, 0, compared(passed=0.4)) is None
    assert guard.judged(alike, FULL, 0, UNASKED) is None  # long enough


def test_units_dead_before_or_at_any_rate_are_not_blamed_on_the_rate():
    guard = guarding()
    guard.rescue(0, "risen", 0.1, condition(1.0, 0.1))
    assert guard.judged(np.ones(4), FULL, 0, compared(passed=0.0)) is None
    guard = guarding()
    factors = [guard.rescue(0, "risen", 0.1, condition(1.0, 0.5)).rate_factor]
    while guard.judged(np.ones(4), FULL, 0, compared(passed=0.0)):
        factors.append(guard.rescue(0, "ruined", 0.1, never).rate_factor)
    assert factors == [0.1, 0.01, 0.001]


def test_xor_at_a_thousand_times_its_rate_is_solved(tmp_path):
    config = read_config(EXAMPLES / "xor.yaml", ["optimizer.sgd.learning_rate=500"])
    run = rg.train(config, root=tmp_path)
    assert run.scores["train"]["accuracy"] == 1.0
    assert "dense_1/tanh passes" in run.interventions[-1].reason


def test_losses_of_few_rows_are_gathered_until_they_are_conclusive():
    losses = np.arange(10.0)

    def means(*rows):
        return gathered(losses[: len(rows)], np.array(rows, float)).losses.tolist()

    assert means(*[16] * 10) == losses.tolist()
    assert means(*[4] * 10) == [1.5, 6.5]
    assert means(*[1] * 10) == [4.5]
    assert means() == []
    assert means(16, 16, 4) == [0.0, (16 * 1 + 4 * 2) / 20]


def test_rows_count_according_to_their_weights():
    weights = np.array([1.0, 1.0, 1.0, 1.0, 100.0, 0.0, 0.0], np.float32)
    columns = {"x": np.zeros((7, 1)), "sample_weight": weights}
    assert rows_there(columns, np.arange(4)) == 4
    assert rows_there(columns, np.array([0, 4])) == pytest.approx(101**2 / 10001)
    assert rows_there(columns, np.array([5, 6])) == 0
    assert rows_there({"x": np.zeros((7, 1))}, np.array([5, 6])) == 2


OUTLIER = np.append(Y[:64], 3000.0).astype(np.float32)  # one row of 65, alone in the last batch


@pytest.mark.parametrize(("batch", "rate"), [(16, 1e-4), (1, 1e-5), (500, 1e-4)])
def test_an_outlier_is_no_divergence(batch, rate, tmp_path):
    data = rg.DataSettings(task="regression", scale="none", split={"valid": 0, "test": 0})
    run = rg.fit(X[:65], OUTLIER, network=[rg.Dense(1)], optimizer=rg.SGD(rate), epochs=3, batch_size=batch, data=data,
                 root=tmp_path)  # fmt: skip
    assert (run.stop.reason, run.interventions) == ("epochs", ())


@pytest.mark.parametrize(("batch", "rate"), [(1, 1.0), (95, 3.0), (500, 3.0)])
def test_divergence_is_seen_whatever_the_size_of_a_batch(batch, rate, tmp_path):
    data = rg.DataSettings(task="regression", split={"valid": 0, "test": 0})
    run = rg.fit(X, Y, network=[rg.Dense(1)], optimizer=rg.SGD(rate), epochs=12, batch_size=batch, data=data,
                 root=tmp_path)  # fmt: skip
    assert run.stop.reason == "epochs"
    assert run.interventions
    assert run.history[-1].loss < 1.0


def test_the_loss_of_an_epoch_counts_each_row_once(tmp_path):
    data = rg.DataSettings(task="regression", scale="none", split={"valid": 0, "test": 0})
    run = rg.fit(X[:33], OUTLIER[-33:], network=[rg.Dense(1)], optimizer=rg.SGD(1e-12), epochs=1, batch_size=32,
                 data=data, root=tmp_path)  # fmt: skip
    assert run.history[0].loss == pytest.approx(run.scores["train"]["loss"], rel=1e-4)


def test_non_finite_averages_are_trouble_too(tmp_path):
    x = np.random.default_rng(0).uniform(1, 2, size=(64, 2)).astype(np.float32)
    data = from_arrays(1e13 * x, x.sum(1), settings=rg.DataSettings(task="regression", scale="none"))
    config = {"network": [{"dense": 1}], "optimizer": {"adam": 1e-3}, "training": {"epochs": 2, "batch_size": 16}}
    run = rg.train(config, dataset=data, root=tmp_path)
    assert "the optimizer's average of the gradients has the first non-finite" in run.interventions[0].reason
    assert run.interventions[-1].clip_global_norm == 1.0
    assert run.history[-1].loss < run.history[0].loss  # without clipping, Adam would divide by infinity and stop moving


# ----------------------------------------------------------------------------------------------------------- the rules


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
    values = np.array(losses)
    assert suspicious(values, gathered(values, FULL[: len(values)]), first) is grown


def test_rescues_become_stronger():
    factors = [rescue.rate_factor for rescue in rescues()]
    assert factors == sorted(factors, reverse=True)
    assert not next(rescues()).clip
    assert list(rescues())[-1].clip
