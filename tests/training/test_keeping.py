"""A run that is killed leaves its best weights so far; a short one is not slowed by it."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ResourceError, UsageError
from retrograd.record.events import Epoch
from retrograd.record.run import RunFolder
from retrograd.record.tree import digest
from retrograd.record.writer import RunWriter
from retrograd.training.loop.keeping import SECONDS, Keeper

CONFIG = {
    "data": {"builtin": "moons", "samples": 60},
    "network": [{"dense": {"units": 4, "activation": "tanh"}}, {"dense": 1}],
    "optimizer": {"adam": 0.01},
    "training": {"epochs": 1_000_000, "batch_size": 20},
}
PROGRAM = """
import json, sys
import retrograd as rg
from retrograd.training.loop import keeping
keeping.SECONDS = 0.05
rg.train(json.loads(sys.argv[1]), folder=sys.argv[2])
"""


def test_a_killed_run_leaves_the_best_weights_that_it_had_written(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, json.dumps(CONFIG), str(folder)])
    try:
        deadline = time.monotonic() + 120
        while not (folder / "model.safetensors").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)  # a few writes later, perhaps in the middle of one
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    run = RunFolder.open(folder)
    epochs = [event for event in run.events() if isinstance(event, Epoch)]
    summary = run.summary()
    assert (summary.status, summary.epochs, summary.stop_reason) == ("interrupted", epochs[-1].epoch, None)
    model = rg.load(folder)
    best = next(epoch for epoch in epochs if epoch.weights == digest(model.variables.params))
    assert best.metrics["valid"]["loss"] == min(epoch.metrics["valid"]["loss"] for epoch in epochs[: best.epoch])
    assert model.facts["metrics"] == best.metrics
    assert model.predict(np.zeros((3, 2), np.float32)).shape == (3,)
    assert {path.name for path in folder.iterdir() if path.suffix != ".tmp"} == {
        ".lock", "config.yaml", "events.jsonl", "model.safetensors",
    }  # fmt: skip


def test_a_run_that_was_killed_before_it_wrote_a_model_says_so(tmp_path):
    with RunWriter.at(tmp_path / "run") as run:
        run.write_config("")
        with pytest.raises(UsageError, match="the run has written no model yet; wait for its end"):
            rg.load(tmp_path / "run")
    with pytest.raises(UsageError, match="ended before it wrote a model; continue it"):
        rg.load(tmp_path / "run")


def epoch(number):
    return Epoch(number, number, 0.5, {}, 0.1, 0.1)


def test_new_weights_are_written_when_the_last_write_is_long_ago(clock):
    written = []
    keeper = Keeper(lambda variables, best: written.append((variables, best.epoch)), clock)
    for now, best in [(0.5, 1), (0.9, 2), (1.1, 2), (1.2, 3), (2.0, 2), (2.2, 3), (9.0, 3), (9.1, 4)]:
        clock.now = now * SECONDS
        keeper(lambda: "weights", epoch(best))
    assert written == [("weights", 2), ("weights", 3), ("weights", 4)]


def test_a_slow_disk_is_written_to_less_often(clock):
    def write(variables, best):
        written.append(best.epoch)
        clock.now += 5.0

    written = []
    keeper = Keeper(write, clock)
    for best in range(1, 101):
        clock.now += SECONDS
        keeper(lambda: "weights", epoch(best))
    assert written == [1, 51]  # 5 s of 500


def test_a_failure_is_reported_once_and_does_not_fail_the_run(clock):
    def refuse(variables, best):
        raise ResourceError("disk full")

    keeper = Keeper(refuse, clock)
    clock.now = 2 * SECONDS
    with pytest.warns(rg.RetrogradWarning, match="not saved: disk full"):
        keeper(lambda: "weights", epoch(1))
    clock.now = 4 * SECONDS
    keeper(lambda: "weights", epoch(2))  # warnings are errors here
