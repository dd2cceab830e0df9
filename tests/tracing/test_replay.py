"""A step of a run is found again bit for bit, by the run's own program; and a replay that is not the run says so."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import DataError, UsageError
from retrograd.record.tree import digest

XOR = {
    "name": "xor",
    "data": "xor",
    "network": [{"dense": {"units": 4, "activation": "tanh"}}, {"dense": 1}],
    "optimizer": {"adam": 0.1},
    "training": {"epochs": 150, "batch_size": 4},
}
IRIS = {  # shuffled, with dropout, a rest of 10 rows after three full batches, a schedule over the whole run
    "name": "iris",
    "data": "iris",
    "network": [
        {"dense": {"units": 8, "activation": "relu"}},
        {"dropout": 0.3},
        "batch_norm",
        {"dense": "classes"},
    ],
    "optimizer": {"adam": {"learning_rate": {"cosine": {"initial": 0.01}}}},
    "penalties": [{"l2": 0.01}],
    "training": {"epochs": 4, "batch_size": 32},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def xor(root):
    return rg.train(XOR, root=root)


@pytest.fixture(scope="module")
def iris(root):
    return rg.train(IRIS, root=root)


def test_the_weights_after_a_step_inside_a_block_are_those_of_a_run_that_ended_there(xor, root):
    trace = rg.trace(xor, step=137, dtype="float32")
    shorter = rg.train({**XOR, "training": {**XOR["training"], "epochs": 137}}, root=root)
    assert trace.replay.is_exact
    assert trace.replay.weights == shorter.history[-1].weights
    assert set(trace.replay.replayed) == {64, 128, 150}  # where the run measured its weights
    after = {}
    for parameter in trace.numbers.parameters:
        node, _, name = parameter.path.rpartition("/")
        after.setdefault(node, {})[name] = parameter.after
    assert digest(after) == trace.replay.weights  # and the numbers shown are those weights
    assert trace.numbers.loss == pytest.approx(xor.history[136].loss, rel=1e-6)
    assert "replayed bit for bit" in trace.text()


@pytest.fixture(scope="module")
def rest(iris):
    return rg.trace(iris, step=8, dtype="float32")


def test_an_incomplete_batch_with_dropout_shuffling_and_a_schedule_replays_too(iris, rest):
    assert rest.replay.is_exact
    assert rest.numbers.batch == 10
    assert rest.replay.replayed == {4: iris.history[0].weights, 8: iris.history[1].weights}
    assert rest.replay.weights == iris.history[1].weights
    assert "as the run recorded" in " ".join(rest.text().split())


def test_steps_with_a_convolution_are_dispatched_alone_and_replay_too_and_show_what_the_run_fused(root):
    config = {
        "name": "conv",
        "data": "digits",
        "network": [
            {"reshape": {"shape": [8, 8, 1]}},
            {"conv2d": {"filters": 2, "kernel": 3, "activation": "relu"}},
            {"residual": [{"conv2d": {"filters": 2, "kernel": 3}}]},
            "relu",
            {"max_pool": 4},
            "flatten",
            {"dense": "classes"},
        ],
        "training": {"epochs": 1, "batch_size": 400, "shuffle": False},
    }
    run = rg.train(config, root=root)
    trace = rg.trace(run, step=3, dtype="float32")
    assert trace.replay.is_exact
    assert run.history[0].step == 4
    assert list(trace.replay.replayed) == [4]
    between = {node.path: node for node in trace.numbers.nodes}["residual_1/conv2d_1"]
    assert between.output.min() < 0
    assert between.delta.shape == between.output.shape


def test_in_float64_the_same_weights_and_rows_give_more_digits(iris, rest):
    single, double = rest.numbers, rg.trace(iris, step=8).numbers
    assert single.loss == pytest.approx(double.loss, rel=1e-5)
    for a, b in zip(single.parameters, double.parameters, strict=True):
        assert np.array_equal(a.before, b.before)
        assert np.allclose(a.gradient, b.gradient, rtol=1e-3, atol=1e-6)
        assert b.gradient.dtype == np.float64


def test_another_seed_is_found_out(xor, tmp_path):
    copy = tmp_path / "other"
    copy.mkdir()
    for name in ("config.yaml", "events.jsonl"):
        text = (xor.folder / name).read_text()
        (copy / name).write_text(text.replace("seed: 0\n  shuffle", "seed: 1\n  shuffle"))
    assert "seed: 1" in (copy / "config.yaml").read_text()
    trace = rg.trace(copy, step=3, dtype="float32")
    assert not trace.replay.is_exact
    assert "the replay differs from the run: after step 64" in trace.text()


def test_a_run_whose_data_changed_or_whose_step_is_not_there_is_refused(xor, tmp_path):
    with pytest.raises(UsageError, match="there is no step 151"):
        rg.trace(xor, step=151)
    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "config.yaml").write_text((xor.folder / "config.yaml").read_text())
    first, *rest = (xor.folder / "events.jsonl").read_text().splitlines(keepends=True)
    changed = json.dumps({**json.loads(first), "data_digest": "0" * 64}) + "\n"
    (copy / "events.jsonl").write_text(changed + "".join(rest))
    with pytest.raises(DataError, match="have changed since the run"):
        rg.trace(copy)


def test_a_run_of_arrays_is_traced_with_its_data_in_hand(root):
    x = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    run = rg.fit(x, x.sum(1), network=[rg.Dense(1)], epochs=2, batch_size=4, root=root)
    assert rg.trace(run, step=2).numbers.batch == 4
    with pytest.raises(UsageError, match="passed from Python"):
        rg.trace(run.folder, step=2)


@pytest.mark.parametrize(("rate", "step", "clips"), [(0.9, 30, False), (5e4, 3, True)])
def test_what_the_guard_did_is_part_of_the_run(rate, step, clips, root, tmp_path):
    x = np.random.default_rng(0).normal(size=(96, 3)).astype(np.float32)
    y = x @ np.array([1, -2, 0.5], np.float32)
    run = rg.fit(x, y, network=[rg.Dense(1)], optimizer=rg.SGD(rate), epochs=6, batch_size=16, root=root)
    last = run.interventions[-1]
    assert bool(last.clip_global_norm) is clips
    trace = rg.trace(run, step=step, dtype="float32")
    assert trace.replay.is_exact
    assert [replace(event, time=None) for event in trace.replay.interventions] == [last]
    assert trace.numbers.learning_rate == pytest.approx(rate * last.rate_factor)
    assert last.action in " ".join(trace.text().split())
    if clips:  # without its record, the replay is another training, and says so
        events = shutil.copytree(run.folder, tmp_path / "other") / "events.jsonl"
        lines = events.read_text().splitlines(keepends=True)
        events.write_text("".join(line for line in lines if '"intervention"' not in line))
        other = rg.trace(events.parent, step=step, dtype="float32", dataset=run.dataset)
        assert "the replay differs from the run" in other.text()


def test_training_until_a_condition_holds_finds_the_first_such_step(xor):
    losses = [epoch.loss for epoch in xor.history]  # a step an epoch
    first = next(i for i, loss in enumerate(losses, 1) if loss < 0.3)
    assert rg.trace(XOR, break_when="loss<0.3", sample=0).numbers.step == first
    with pytest.raises(UsageError, match="not met in any of the 150 steps"):
        rg.trace(XOR, break_when="grad_norm>1000")
    for wrong in ("loss", "los>1", "loss>x", "loss>nan"):
        with pytest.raises(UsageError):
            rg.trace(XOR, break_when=wrong)


def test_a_condition_may_be_about_accuracy_a_delta_an_output_or_a_gradient():
    def norm(step, name, what):
        node = next(node for node in step.nodes if node.path == name)
        return float(np.linalg.norm(getattr(node, what)))

    first = rg.trace(XOR, step=1).numbers
    delta = norm(first, "dense_1/tanh", "delta")
    found = rg.trace(XOR, break_when=f"delta:dense_1/tanh<{0.9 * delta}").numbers
    assert norm(found, "dense_1/tanh", "delta") < 0.9 * delta <= norm(rg.trace(XOR, step=found.step - 1).numbers,
                                                                      "dense_1/tanh", "delta")  # fmt: skip
    right = rg.trace(XOR, break_when="accuracy>=1").numbers
    output, y = right.objectives[0].inputs
    assert ((output > 0) == (y > 0.5)).all()
    assert rg.trace(XOR, break_when="gradient:dense_2/bias>=0").numbers.step == 1
    for wrong, words in (("delta:dense_9>1", "no node 'dense_9'"), ("gradient:dense_1/w>1", "no parameter 'w'"),
                         ("delta>1", "delta:NODE"), ("nonfinite", "not met in any")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            rg.trace(XOR, break_when=wrong)
