"""Two processes with a device each come to the numbers of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import retrograd as rg
from retrograd.distributed.launch import free_port
from retrograd.distributed.seat import COORDINATOR, PROCESSES, RANK
from retrograd.record.run import RunFolder

from . import crew

EQUAL = 1e-6  # float32, summed in another order


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = tmp_path_factory.mktemp("crew")
    common = {**os.environ, COORDINATOR: f"127.0.0.1:{free_port()}", PROCESSES: "2", "JAX_PLATFORMS": "cpu"}
    processes = [
        subprocess.Popen([sys.executable, crew.__file__, str(root)], env={**common, RANK: str(rank)}, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for rank in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=900) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert said[1][0] == ""
    return {**json.loads(said[0][0]), "root": root}


@pytest.mark.parametrize("name", crew.NETWORKS)
def test_losses_are_those_of_one_process(found, name):
    assert found[name]["crew"] == pytest.approx(found[name]["alone"], abs=EQUAL)
    assert found[name]["apart"] < EQUAL


def test_parameters_and_moments_that_are_cut_take_their_part_of_a_device(found):
    whole, cut = (found[name] for name in crew.NETWORKS)
    assert whole["bytes"] == whole["all bytes"]
    assert cut["bytes"] < 0.55 * cut["all bytes"]


def test_a_run_of_two_processes_is_that_of_one(found, tmp_path):
    assert [path.name for path in found["root"].iterdir()] == ["run"]
    written = RunFolder.open(found["root"] / "run")
    config = rg.read_config(Path(written.path / "config.yaml"))
    alone = rg.train(config, folder=tmp_path / "alone")
    assert [epoch.loss for epoch in alone.history] == pytest.approx(found["run"]["losses"], abs=EQUAL)
    assert written.stopped().reason == "epochs"
    assert (written.path / "model.safetensors").exists()
