"""A run that is replaced comes back unless the new one has a model, wherever the process that replaces it is killed."""

import contextlib
from pathlib import Path

import pytest

from retrograd.base.errors import UsageError
from retrograd.record.aside import settle_if_free
from retrograd.record.events import Epoch, Started
from retrograd.record.files import write_file
from retrograd.record.run import RunFolder
from retrograd.record.runs import find_run, list_runs
from retrograd.record.writer import RunWriter

OLD = {
    "config.yaml": b"name: old\n",
    "events.jsonl": b'{"kind":"note","text":"old"}\n',
    "model.safetensors": b"old model",
    "report.html": b"old page",
    "diagnosis.json": b"{}",
}


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the program's own runs after it."""


def old_run(path, names=tuple(OLD)):
    path.mkdir(parents=True)
    for name in names:
        (path / name).write_bytes(OLD[name])
    return path


def content(path):
    return {each.name: each.read_bytes() for each in path.iterdir() if each.name != ".lock"}


def replace_it(path, writers):
    run = RunWriter.at(path, overwrite=True)
    writers.append(run)
    run.write_config("name: new\n")
    run.record(Started("new", "binary", 0))
    run.keep(Epoch(1, 1, 0.5, {}, 0.1, 0.1))
    write_file(path / "repair.json", b"new repair")
    write_file(path / "model.safetensors", b"new model")
    run.saved()
    write_file(path / "report.html", b"new page")


@pytest.fixture
def kill_at(monkeypatch):
    """Return what makes the nth change of a folder the last one, as if the process died right after it."""

    def arm(number):
        left = [number]
        for name in ("rename", "replace", "unlink", "touch"):
            original = getattr(Path, name)

            def counted(self, *arguments, original=original, **named):
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
                return original(self, *arguments, **named)

            monkeypatch.setattr(Path, name, counted)

    return arm


@pytest.mark.parametrize(
    "names", [tuple(OLD), ("config.yaml", "events.jsonl", "model.safetensors"), ("model.safetensors",)]
)
@pytest.mark.parametrize("step", range(22))
def test_a_killed_replacement_leaves_one_whole_run(tmp_path, kill_at, monkeypatch, step, names):
    path = old_run(tmp_path / "run", names)
    writers = []
    kill_at(step)
    with contextlib.suppress(Killed):
        replace_it(path, writers)
    monkeypatch.undo()
    for run in writers:
        run.close()  # the system drops the lock of a dead process
    settle_if_free(path)
    after = content(path)
    if after["model.safetensors"] == b"new model":
        assert after["config.yaml"] == b"name: new\n"
        assert not any(name.startswith(".replaced") for name in after)
        assert b"old" not in b"".join(after.values())
    else:
        assert after == {name: OLD[name] for name in names}


@pytest.mark.parametrize("step", range(8))
def test_a_restoration_that_is_killed_itself_is_completed_by_the_next_one(tmp_path, kill_at, monkeypatch, step):
    path = old_run(tmp_path / "run")
    run = RunWriter.at(path, overwrite=True)
    run.write_config("name: new\n")
    run.close()
    kill_at(step)
    with pytest.raises(Killed):
        settle_if_free(path)
    monkeypatch.undo()
    settle_if_free(path)
    assert content(path) == OLD


def test_every_reader_puts_the_earlier_run_back(tmp_path):
    def aside():
        path = old_run(tmp_path / f"run{len(list(tmp_path.iterdir()))}")
        run = RunWriter.at(path, overwrite=True)
        run.write_config("name: new\n")
        run.close()
        return path

    path = aside()
    assert list_runs(tmp_path)[0].name == path.name
    assert content(path) == OLD
    assert find_run(tmp_path, aside().name).config_text() == "name: old\n"
    assert RunFolder.open(aside()).config_text() == "name: old\n"
    with pytest.raises(UsageError, match="already contains a run"):
        RunWriter.at(aside())


def test_a_reader_leaves_a_run_alone_that_is_being_replaced(tmp_path):
    path = old_run(tmp_path / "run")
    with RunWriter.at(path, overwrite=True) as run:
        run.write_config("name: new\n")
        assert RunFolder.open(path).config_text() == "name: new\n"
        assert (path / ".replaced-model.safetensors").read_bytes() == b"old model"


def test_a_folder_with_nothing_but_a_run_set_aside_holds_a_run(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / ".replaced-model.safetensors").write_bytes(b"old model")
    with pytest.raises(UsageError, match="already contains a run"):
        RunWriter.at(path)
    assert content(path) == {"model.safetensors": b"old model"}
