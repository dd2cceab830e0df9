"""Resume: an interrupted or killed run continues from its newest intact checkpoint, to the same bits."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ConfigError, DataError, ResourceError, RunInUseError, UsageError
from retrograd.record import events as events_module
from retrograd.record import writer as writer_module
from retrograd.record.checkpoint import Checkpoint, checkpoint_paths, read_checkpoint, write_checkpoint
from retrograd.record.events import Epoch, Health, Intervention, Note, Resumed, Stopped, read_events
from retrograd.record.run import RunFolder, ask_to_stop
from retrograd.record.sealed import NewerFormatError
from retrograd.record.tree import digest
from retrograd.record.writer import RunWriter
from retrograd.training.checkpoints import newest
from retrograd.training.config.config import plain_config
from retrograd.training.loop import course as course_module
from retrograd.training.loop import saver as saver_module
from retrograd.training.resume import refuse_other_settings, resume_prepared, unfinished
from retrograd.training.run import as_config, prepare, train_prepared
from retrograd.update import step as step_module

CONFIG = {
    "data": {"builtin": "moons", "samples": 80},
    "network": [{"dense": {"units": 4, "activation": "tanh"}}, {"dropout": 0.1}, {"dense": 1}],
    "optimizer": {"adam": 0.05},
    "training": {
        "epochs": 6,
        "batch_size": 8,
        "checkpoint": {"seconds": 0, "keep": 3},
        "average": {"decay": 0.5, "after": 1},
    },
}


class Crash(Exception):
    """Ends a run in the middle."""


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch):
    """Stretches of a few steps, each followed by a checkpoint."""
    monkeypatch.setattr(course_module, "LOOK_STEPS", 2)
    monkeypatch.setattr(course_module, "FEW_LOOK_STEPS", 2)
    monkeypatch.setattr(step_module, "STEPS_PER_DISPATCH", 2)
    monkeypatch.setattr(saver_module, "SHARE", float("inf"))
    monkeypatch.setattr(saver_module.Saver, "_is_writing", lambda self: False)  # wait for the previous one


def prepared(**training):
    return prepare(as_config({**CONFIG, "training": {**CONFIG["training"], **training}}))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course_module, "LOOK_STEPS", 2)
        patch.setattr(course_module, "FEW_LOOK_STEPS", 2)
        patch.setattr(step_module, "STEPS_PER_DISPATCH", 2)
        folder = tmp_path_factory.mktemp("whole") / "run"
        return train_prepared(prepared(checkpoint={"keep": 0}), folder=folder, readings=True)


def story(folder):
    """Return a run's events without times and resumptions."""
    compared = (Epoch, Health, Intervention, Stopped)
    events = [event for event in read_events(folder / "events.jsonl") if isinstance(event, compared)]
    return [dataclasses.replace(e, time=None, **({"seconds": 0.0} if hasattr(e, "seconds") else {})) for e in events]


def same(run, whole):
    assert digest(run.model.variables.params) == digest(whole.model.variables.params)
    assert story(run.folder) == story(whole.folder)
    for name in ("plane.json", "predictions.json", "weights.bin"):
        assert (run.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    models = [rg.load(each.folder) for each in (run, whole)]
    assert digest(models[0].variables.params) == digest(models[1].variables.params)
    assert digest(models[0].average.params) == digest(models[1].average.params)
    assert models[0].facts == models[1].facts


def crashing(folder, epoch, **training):
    """Train until an epoch has ended, then crash."""

    def crash(event):
        if event.epoch == epoch:
            raise Crash

    with pytest.raises(Crash):
        train_prepared(prepared(**training), folder=folder, readings=True, watchers=(crash,))
    return folder


def again(folder, **further):
    return resume_prepared(RunFolder.open(folder), prepared(**further))


def test_a_run_of_very_many_epochs_records_fewer_and_fewer_and_resumes_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(events_module, "WHOLE", 4)
    settings = {"epochs": 21, "shuffle": False}
    unbroken = train_prepared(prepared(**settings), folder=tmp_path / "unbroken", readings=True)
    recorded = [1, 2, 3, 4, 6, 8, 12, 16, 21]  # the first four, two of each doubling, and the last
    assert [epoch.epoch for epoch in unbroken.history] == recorded
    assert unbroken.epochs == 21
    events = []
    for epoch in (10, 19):
        folder = crashing(tmp_path / f"run {epoch}", epoch, **settings)
        run = resume_prepared(RunFolder.open(folder), prepared(**settings), watchers=(events.append,))
        same(run, unbroken)
        assert run.best_epoch == unbroken.best_epoch
        assert [event.epoch for event in events] == list(range(epoch, 22))  # watchers are notified of every epoch
        events.clear()


def test_a_run_whose_rules_follow_from_all_epochs_records_them_all(tmp_path, monkeypatch):
    monkeypatch.setattr(events_module, "WHOLE", 4)
    waits = {"epochs": 12, "early_stopping": {"patience": 50}}
    assert len(train_prepared(prepared(**waits), folder=tmp_path / "run").history) == 12


@pytest.mark.parametrize("epoch", [1, 4, 6])
def test_an_interrupted_run_resumes_to_the_same_bits(whole, tmp_path, epoch):
    folder = crashing(tmp_path / "run", epoch)
    assert len(checkpoint_paths(folder)) == 3
    run = again(folder)
    same(run, whole)
    (resumed,) = (event for event in read_events(folder / "events.jsonl") if isinstance(event, Resumed))
    assert resumed.epoch == epoch - 1  # it crashed before the epoch's end was saved
    assert resumed.step > 0


def test_averaged_weights_are_in_the_model_file_and_their_scores_in_the_notes(whole, tmp_path):
    model = rg.load(whole.folder)
    averaged = model.averaged()
    assert digest(averaged.variables.params) != digest(model.variables.params)
    (note,) = [e.text for e in read_events(whole.folder / "events.jsonl")
               if isinstance(e, Note) and e.text.startswith("averaged")]  # fmt: skip
    score = whole.model.averaged().evaluator.scores(averaged.variables, whole.dataset.test)["loss"]
    assert note.startswith(f"averaged weights (ema 0.5): test loss {score:.4g}, ")
    again_loaded = rg.load(averaged.save(tmp_path / "average.safetensors"))
    assert digest(again_loaded.variables.params) == digest(averaged.variables.params)
    with pytest.raises(UsageError, match="the model has no averaged weights; train it with"):
        again_loaded.averaged()


def test_a_run_may_be_interrupted_again_and_again(whole, tmp_path):
    folder = crashing(tmp_path / "run", 2)
    for epoch in (3, 3, 5):

        def crash(event, epoch=epoch):
            if event.epoch == epoch:
                raise Crash

        with pytest.raises(Crash):
            resume_prepared(RunFolder.open(folder), prepared(), watchers=(crash,))
    same(again(folder), whole)


def test_without_a_checkpoint_a_run_starts_over_in_its_folder(whole, tmp_path):
    folder = crashing(tmp_path / "run", 3, checkpoint={"seconds": 1000.0})
    assert checkpoint_paths(folder) == []
    same(again(folder), whole)


def test_a_failure_in_the_first_epoch_leaves_its_checkpoint(whole, tmp_path, monkeypatch):
    write = RunWriter.write_checkpoint

    def crash(self, *arguments):
        write(self, *arguments)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "write_checkpoint", crash)
        with pytest.raises(Crash):
            train_prepared(prepared(), folder=tmp_path / "run", readings=True)
    assert not any(isinstance(event, Epoch) for event in read_events(tmp_path / "run" / "events.jsonl"))
    same(again(tmp_path / "run"), whole)


def test_damaged_checkpoints_are_skipped(whole, tmp_path):
    folder = crashing(tmp_path / "run", 4)
    newest, second, third = checkpoint_paths(folder)
    newest.write_bytes(newest.read_bytes()[:-3])
    second.write_bytes(second.read_bytes().replace(b"\x00\x00\x00", b"\x00\x01\x00", 1))
    with pytest.warns(rg.RetrogradWarning, match="skipping a checkpoint") as caught:
        run = again(folder)
    assert len(caught) == 2
    same(run, whole)
    assert third.exists() is False


@pytest.mark.parametrize(
    "error", [ResourceError("permission denied"), ResourceError("out of memory"), NewerFormatError("format 9")]
)
def test_a_checkpoint_that_cannot_be_read_now_is_neither_skipped_nor_deleted(tmp_path, monkeypatch, error):
    with RunWriter.at(tmp_path / "run") as place:
        for step in (1, 2):
            place.write_checkpoint(Checkpoint(step, {}, {}, {}), keep=2)

        def refuse(path):
            raise error

        monkeypatch.setattr("retrograd.training.checkpoints.read_checkpoint", refuse)
        with pytest.raises(type(error), match=str(error)):
            newest(place)
    assert len(checkpoint_paths(tmp_path / "run")) == 2


def with_facts(folder, change):
    """Rewrite the newest checkpoint of a run with a different memory of the guard."""
    (path, *_) = checkpoint_paths(folder)
    checkpoint = read_checkpoint(path)
    facts = {**checkpoint.facts, "guard": {**checkpoint.facts["guard"], **change}}
    write_checkpoint(folder, dataclasses.replace(checkpoint, facts=facts), keep=9)


def test_the_guards_memory_is_restored_with_numbers_that_json_does_not_have(tmp_path):
    folder = crashing(tmp_path / "run", 3)
    with_facts(folder, {"passed": {"dense_1": float("nan"), "dense_2": float("inf")}, "first_loss": float("nan")})
    with RunWriter.resume(folder) as place:
        memory = newest(place).saved.memory
    assert np.isnan([memory.passed["dense_1"], memory.first_loss]).all()
    assert memory.passed["dense_2"] == np.inf


@pytest.mark.parametrize("change", [{"passed": {"dense_1": "much"}}, {"watched": None}, {"first_loss": [1.0]}])
def test_facts_of_the_wrong_type_count_as_damage(tmp_path, change):
    folder = crashing(tmp_path / "run", 3)
    (path, *_) = checkpoint_paths(folder)
    with_facts(folder, change)
    with RunWriter.resume(folder) as place, pytest.warns(rg.RetrogradWarning, match=r"damaged: facts\.guard\."):
        point = newest(place)
    assert point.path != path


def test_modified_events_are_not_accepted_as_the_history_of_a_checkpoint(whole, tmp_path):
    folder = crashing(tmp_path / "run", 4)
    events = folder / "events.jsonl"
    lines = events.read_bytes().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if b'"epoch"' in line)
    events.write_bytes(b"".join([*lines[:first], lines[first].replace(b'"loss":0', b'"loss":1'), *lines[first + 1 :]]))
    with pytest.warns(rg.RetrogradWarning, match="the run's events no longer match"):
        run = again(folder)
    same(run, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stopped_by_a_signal_continues_where_it_was(whole, tmp_path, number):
    def interrupt(event):
        if event.epoch == 3:
            signal.raise_signal(number)

    folder = tmp_path / "run"
    settings = prepared(checkpoint={"seconds": 1000.0, "keep": 1})
    run = train_prepared(settings, folder=folder, readings=True, watchers=(interrupt,), returns_when_interrupted=True)
    assert run.stop.reason in ("interrupted", "terminated")
    assert len(checkpoint_paths(folder)) == 1
    same(again(folder), whole)


def test_a_run_stopped_by_a_file_continues_where_it_was(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "LOOK_SECONDS", 0.0)
    folder = tmp_path / "run"

    def ask(event):
        if event.epoch == 3:
            ask_to_stop(folder)

    settings = prepared(checkpoint={"seconds": 1000.0, "keep": 1})
    run = train_prepared(settings, folder=folder, readings=True, watchers=(ask,))  # nothing is raised: no signal came
    assert run.stop.reason == "interrupted"
    assert not (folder / "stop").exists()
    same(again(folder), whole)


def test_a_finished_run_is_trained_further(whole, tmp_path):
    folder = tmp_path / "run"
    short = train_prepared(prepared(epochs=4), folder=folder, readings=True)
    assert len(checkpoint_paths(folder)) == 1
    with pytest.raises(UsageError, match=r"the run has ended: all 4 epochs done; --extend N"):
        again(folder, epochs=4)
    with pytest.raises(UsageError, match=r"training\.epochs: the run already has 4 epochs; give more than 4"):
        rg.resume(short, epochs=4, progress=False)
    run = rg.resume(short, epochs=6, progress=False)
    same(run, whole)
    assert rg.load(folder).config.training.epochs == 6


def test_a_run_interrupted_while_being_extended_continues(whole, tmp_path):
    folder = tmp_path / "run"
    train_prepared(prepared(epochs=4), folder=folder, readings=True)

    def crash(event):
        if event.epoch == 5:
            raise Crash

    longer = prepared(checkpoint={"keep": 0})  # no new checkpoint before it crashes
    with pytest.raises(Crash):
        resume_prepared(RunFolder.open(folder), longer, extends=True, watchers=(crash,))
    same(again(folder), whole)


def test_a_rate_that_falls_over_the_whole_run_cannot_be_extended(tmp_path):
    config = {**CONFIG, "optimizer": {"adam": {"learning_rate": {"cosine": {"initial": 0.1}}}}}
    run = rg.train(config, folder=tmp_path / "run")
    with pytest.raises(
        ConfigError, match=r"training\.epochs: the learning rate schedule spans the whole run: 42 steps"
    ):
        rg.resume(run, epochs=9, progress=False)


def test_anything_that_differs_from_the_run_is_refused_by_name(tmp_path):
    folder = crashing(tmp_path / "run", 3)
    before = (folder / "events.jsonl").read_bytes()
    for changes, error, words in [
        ({"training": {**CONFIG["training"], "seed": 3}}, ConfigError, r"training\.seed: 0 in .*config\.yaml, 3 here"),
        ({"training": {**CONFIG["training"], "epochs": 9}}, ConfigError, r"training\.epochs: 6 in .*--extend N gives"),
        ({"network": [{"dense": 3}, {"dense": 1}]}, ConfigError, r"network\.0\.dense\.units: 4 in"),
        ({"data": {"builtin": "moons", "samples": 81}}, DataError, "the data have changed since the run started"),
        (
            {"training": {**CONFIG["training"], "epochs": 9, "seed": 3}},
            ConfigError,
            r"(?s)training\.epochs: 6 in .*--extend N gives.*training\.seed: 0 in .*resume with the run.s settings",
        ),
    ]:
        with pytest.raises(error, match=words):
            resume_prepared(RunFolder.open(folder), prepare(as_config({**CONFIG, **changes})))
    assert (folder / "events.jsonl").read_bytes() == before
    with RunWriter.resume(folder), pytest.raises(RunInUseError, match="is writing to this run"):
        again(folder)


def test_rows_that_would_train_in_another_order_are_refused(tmp_path, monkeypatch):
    folder = crashing(tmp_path / "run", 3)
    before = (folder / "events.jsonl").read_bytes()
    monkeypatch.setattr("retrograd.training.resume.reads_in_blocks", lambda columns: True)
    with pytest.raises(ResourceError, match=r"order of the rows: row by row in .*, in blocks here"):
        again(folder)
    assert (folder / "events.jsonl").read_bytes() == before


def test_the_cache_folder_and_the_file_size_limit_may_change():
    settings = plain_config(prepared().config)
    settings["data"] |= {"max_bytes": 1, "cache": "elsewhere"}
    refuse_other_settings("config.yaml", settings, prepared(), extends=False)


def test_other_versions_are_reported(whole, tmp_path, monkeypatch):
    folder = crashing(tmp_path / "run", 3)
    monkeypatch.setattr("retrograd.training.surroundings.versions", lambda: {"jax": "99"})
    words = "changed since the checkpoint, so the last digits may differ: jax .* -> 99, jaxlib .* -> not set"
    with pytest.warns(rg.RetrogradWarning, match=words):
        again(folder)


def test_a_run_on_arrays_needs_them_again(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    settings = {"network": [{"dense": 1}], "epochs": 3, "batch_size": 8, "progress": False}
    whole = rg.fit(x, x.sum(1), root=tmp_path / "a", **settings)

    def crash(event):
        if event.epoch == 2:
            raise Crash

    with pytest.raises(Crash):
        rg.fit(x, x.sum(1), root=tmp_path / "b", watchers=(crash,), **settings)
    with pytest.raises(UsageError, match=r"the run's data were passed from Python.*rg\.resume\(run, x, y\)"):
        rg.resume("last", root=tmp_path / "b")
    run = rg.resume("last", x, x.sum(1), root=tmp_path / "b", progress=False)
    assert digest(run.model.variables.params) == digest(whole.model.variables.params)
    for name in ("last", run):
        with pytest.raises(DataError, match="their digest differs"):
            rg.resume(name, 2 * x, x.sum(1), epochs=5, root=tmp_path / "b", progress=False)


def test_a_warm_start_survives_the_loss_of_its_source_run(whole, tmp_path):
    shutil.copytree(whole.folder, tmp_path / "first")
    start = {"start": str(tmp_path / "first")}
    uninterrupted = train_prepared(prepared(**start), folder=tmp_path / "a", readings=True)
    folder = crashing(tmp_path / "b", 3, **start)
    shutil.rmtree(tmp_path / "first")
    same(rg.resume(folder, progress=False), uninterrupted)


def test_only_an_unfinished_run_of_the_same_configuration_continues_by_itself(tmp_path):
    assert unfinished(tmp_path, prepared()) is None
    folder = crashing(tmp_path / "a", 2)
    assert unfinished(tmp_path, prepared()).path == folder
    assert unfinished(tmp_path, prepared(checkpoint={"seconds": 5.0})).path == folder
    assert unfinished(tmp_path, prepared(seed=1)) is None
    again(folder)
    assert unfinished(tmp_path, prepared()) is None


def test_an_unreadable_neighbour_does_not_prevent_a_run_from_continuing(tmp_path):
    folder = crashing(tmp_path / "a", 2)
    shutil.copytree(folder, tmp_path / "b")
    (tmp_path / "b" / "config.yaml").write_bytes(b"\xff")
    assert unfinished(tmp_path, prepared()).path == folder


def test_a_folder_whose_process_died_before_it_wrote_anything_is_no_run(tmp_path):
    run = RunWriter.at(tmp_path / "run")
    run.close()
    assert unfinished(tmp_path, prepared()) is None
    with pytest.raises(UsageError, match="contains no run"):
        rg.resume("last", root=tmp_path)


PROGRAM = """
import json, math, sys
import retrograd as rg
from retrograd.record.run import RunFolder
from retrograd.training.loop import course, saver
course.LOOK_STEPS = course.FEW_LOOK_STEPS = 2
saver.SHARE = math.inf
folder, config = sys.argv[1], json.loads(sys.argv[2])
try:
    RunFolder.open(folder)
except rg.UsageError:
    rg.train(config, folder=folder, overwrite=True)
else:
    rg.resume(folder)
"""


def test_a_run_killed_at_any_moment_continues(tmp_path, monkeypatch):
    monkeypatch.undo()
    config = {**CONFIG, "training": {**CONFIG["training"], "epochs": 60}}
    program = [sys.executable, "-c", PROGRAM, str(tmp_path / "run"), json.dumps(config)]
    for _ in range(2):
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 100
        earlier = checkpoint_paths(tmp_path / "run")
        while checkpoint_paths(tmp_path / "run") == earlier and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    run = rg.resume(tmp_path / "run", progress=False)
    assert digest(run.model.variables.params) == digest(rg.train(config, root=tmp_path).model.variables.params)
    assert len([event for event in read_events(run.folder / "events.jsonl") if isinstance(event, Resumed)]) == 2
