"""A run with pretrained weights that broke off: the folder may have been moved, but not replaced."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ModelFileError, UsageError
from retrograd.record.run import RunFolder
from retrograd.record.runs import list_runs
from retrograd.record.tree import digest
from retrograd.training.config.config import with_weights
from retrograd.training.resume import prepare_again, resume_prepared, stored_config
from tests.interop.hub.test_folder import BERT, MODELS, dataset

ADAPTED = {"layers": "*/attention", "rank": 2}


class Crash(Exception):
    """What ends a run in the middle."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    shutil.copytree(MODELS / "bert", tmp_path / "bert")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(seconds, **more):
    """Return a run of four epochs, with this many seconds between checkpoints."""
    training = {"epochs": 4, "batch_size": 8, "checkpoint": {"seconds": seconds}}
    return {**BERT, "weights": {"path": "bert"}, "optimizer": {"adam": 0.05}, "training": training, **more}


def broken(settings):
    """Return the folder of a run that ends in its third epoch."""

    def crash(event):
        if event.epoch == 3:
            raise Crash

    with pytest.raises(Crash):
        rg.train(settings, dataset=dataset(), watchers=(crash,))
    return list_runs(Path("runs"))[-1].path


def resumed(folder, path):
    """Return the digest of a run that continues with pretrained weights in another folder."""
    run = RunFolder.open(folder)
    moved = with_weights(stored_config(run), lambda _: path)
    again = resume_prepared(run, prepare_again(run, moved, dataset()))
    return digest(again.model.variables.params)


@pytest.mark.parametrize("seconds", [0, 3600], ids=["from a checkpoint", "from the beginning"])
@pytest.mark.parametrize("more", [{}, {"adapt": ADAPTED}], ids=["plain", "adapted"])
def test_it_ends_as_an_unbroken_run_wherever_the_weights_lie_now(place, seconds, more):
    whole = rg.train(config(seconds, **more), dataset=dataset(), root="elsewhere")
    folder = broken(config(seconds, **more))
    (place / "bert").rename(place / "moved")
    with pytest.raises(UsageError, match=r"no such folder.*--set weights.path=FOLDER"):
        rg.resume(folder, dataset=dataset(), progress=False)
    assert resumed(folder, str(place / "moved")) == digest(whole.model.variables.params)


def replace_one_value(place):
    """Change a number in the weights' file, whose header stays."""
    path = place / "bert" / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-4:] = np.float32(7).tobytes()
    path.write_bytes(raw)


def test_other_values_are_refused_where_the_run_would_begin_again(place):
    folder = broken(config(3600))
    replace_one_value(place)
    with pytest.raises(ModelFileError, match=r"have changed since the run started.*restore them, or train again"):
        rg.resume(folder, dataset=dataset(), progress=False)


def test_after_a_checkpoint_the_values_in_the_folder_count_no_more(place):
    whole = rg.train(config(0), dataset=dataset(), root="elsewhere")
    folder = broken(config(0))
    replace_one_value(place)
    again = rg.resume(folder, dataset=dataset(), progress=False)
    assert digest(again.model.variables.params) == digest(whole.model.variables.params)
