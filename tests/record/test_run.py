from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from retrograd.base.errors import DataError, ResourceError, RunInUseError, UsageError
from retrograd.record.events import Epoch, Note, Started, Stopped
from retrograd.record.layout import MAX_NAME_BYTES, folder_name
from retrograd.record.run import RunFolder
from retrograd.record.runs import find_run, latest, list_runs
from retrograd.record.writer import RunWriter

START = datetime(2031, 5, 1, 9, 30, tzinfo=UTC)
STOPPED = Stopped("patience", 8, 2, 1, 0.5, "cd")


class Clock:
    """Moves on by a second with each look."""

    def __init__(self, begin=START):
        self.time = begin

    def __call__(self):
        self.time += timedelta(seconds=1)
        return self.time


def epoch(number, accuracy):
    return Epoch(number, 4 * number, 1 / number, {"validation": {"accuracy": accuracy}}, 0.1, float(number))


def write_run(root, name="xor", begin=START, finish=True):
    with RunWriter.create(root, name, clock=Clock(begin)) as run:
        run.write_config(f"name: {name}\n")
        run.record(Started(name, "classification", 0))
        run.record(epoch(1, 0.75))
        run.record(epoch(2, 0.5))
        if finish:
            run.finish(STOPPED)
    return run.path


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ----------------------------------------------------------------------------------------------------------- writing


def test_a_run_is_read_back_as_it_was_written(tmp_path):
    path = write_run(tmp_path / "runs")
    assert path.name == "20310501-093001-xor"
    run = RunFolder.open(path)
    assert run.config_text() == "name: xor\n"
    events = list(run.events())
    assert [event.kind for event in events] == ["started", "epoch", "epoch", "stopped"]
    assert [event.time for event in events] == [START + timedelta(seconds=s) for s in (2, 3, 4, 5)]
    assert run.model_path == path / "model.safetensors"


def test_a_copy_elsewhere_opens_too(tmp_path):
    path = write_run(tmp_path)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.yaml", "events.jsonl"):
        (copy / name).write_bytes((path / name).read_bytes())
    assert RunFolder.open(copy).summary().status == "finished"


def test_events_are_in_the_file_at_once(tmp_path):
    with RunWriter.create(tmp_path, "xor") as run:
        run.record(Note("here"))
        assert [event.text for event in RunFolder(run.path).events()] == ["here"]


def test_runs_of_the_same_second_get_numbers(tmp_path):
    names = [RunWriter.create(tmp_path, "xor", clock=lambda: START) for _ in range(3)]
    for run in names:
        run.close()
    assert sorted(os.listdir(tmp_path)) == ["20310501-093000-xor", "20310501-093000-xor-2", "20310501-093000-xor-3"]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("xor", "xor"),
        ("../../x", "x"),
        ("/etc/passwd", "etc-passwd"),
        ("a\nb\x1b[2J", "a-b-2J"),
        ("<script>alert(1)</script>", "script-alert-1-script"),
        ("=cmd()", "cmd"),
        ("", "run"),
        ("..", "run"),
        ("日本 déjà", "日本-déjà"),
        ("हिन्दी", "हिन्दी"),
        ("a\u202eb\ud800c\0d", "a-b-c-d"),
        (".hidden", "hidden"),
        ("n" * 300, "n" * MAX_NAME_BYTES),
        ("日" * 300, "日" * (MAX_NAME_BYTES // 3)),
    ],
)
def test_any_name_gives_a_folder_below_the_root(tmp_path, name, folder):
    assert folder_name(name) == folder
    with RunWriter.create(tmp_path, name, clock=lambda: START) as run:
        assert run.path == tmp_path / f"20310501-093000-{folder}"
        run.record(Started(name, "regression", 0))
        assert RunFolder(run.path).summary().name == name


def test_a_root_that_cannot_be_written_is_refused_before_any_training():
    with pytest.raises(ResourceError, match=r"/proc/x.*permission") as caught:
        RunWriter.create("/proc/x", "xor")
    assert caught.value.exit_code == 6
    with pytest.raises(ResourceError, match=r"/proc/2031.*permission"):
        RunWriter.create("/proc", "xor", clock=lambda: START)
    with pytest.raises(ResourceError, match=r"/proc/x.*permission"):
        RunWriter.at("/proc/x")


def test_a_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not a folder"):
        RunWriter.create(tmp_path / "file", "xor")
    with pytest.raises(UsageError, match="not a folder"):
        RunWriter.at(tmp_path / "file" / "below")


def test_a_disk_that_fills_up_leaves_whole_events(tmp_path):
    program = f"""
import resource, signal
from retrograd.base.errors import ResourceError
from retrograd.record.events import Note
from retrograd.record.writer import RunWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
run = RunWriter.at({str(tmp_path / "run")!r})
run.write_config("")
run.record(Note("first"))
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for _ in range(2):
    try:
        run.record(Note("second" * 20))
    except ResourceError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.count("events.jsonl: ") == 2
    content = (tmp_path / "run" / "events.jsonl").read_bytes()
    assert content.endswith(b"\n")
    assert [event.text for event in RunFolder.open(tmp_path / "run").events()] == ["first"]


# -------------------------------------------------------------------------------------------------- a folder of one's own


def test_a_run_can_be_written_to_any_folder(tmp_path):
    with RunWriter.at(tmp_path / "new" / "run") as run:
        run.write_config("")
    empty = tmp_path / "empty"
    empty.mkdir()
    RunWriter.at(empty).close()
    assert os.listdir(run.path.parent) == ["run"]


@pytest.mark.parametrize("finish", [True, False])
def test_a_folder_that_holds_a_run_is_left_as_it_is(tmp_path, finish):
    path = write_run(tmp_path, finish=finish)
    before = content(path)
    with pytest.raises(UsageError, match=r"already contains a run.*--force") as caught:
        RunWriter.at(path)
    assert caught.value.exit_code == 2
    assert content(path) == before


def test_overwriting_replaces_the_run_and_nothing_else(tmp_path):
    path = write_run(tmp_path)
    (path / "model.safetensors").write_bytes(b"old")
    (path / "notes.txt").write_text("mine")
    with RunWriter.at(path, overwrite=True) as run:
        run.write_config("name: new\n")
        run.record(Epoch(1, 1, 0.5, {}, 0.1, 0.1))
        assert (path / ".replaced-model.safetensors").read_bytes() == b"old"  # until the new one has a model
        run.saved()
    assert content(path).keys() == {"config.yaml", "events.jsonl", "notes.txt", ".lock"}
    assert len(list(RunFolder.open(path).events())) == 1


@pytest.mark.parametrize("killed", [True, False])
def test_a_replacement_that_fails_before_its_first_epoch_gives_the_run_back(tmp_path, killed):
    path = write_run(tmp_path)
    before = content(path)
    run = RunWriter.at(path, overwrite=True)
    run.write_config("name: new\n")
    if killed:
        run.close()
        run = RunWriter.at(path, overwrite=True)
    run.discard()
    assert content(path) | {".lock": b""} == before | {".lock": b""}


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_with_other_peoples_files_is_never_taken(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(UsageError, match="not empty, and not a run"):
        RunWriter.at(tmp_path, overwrite=overwrite)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(UsageError, match="a link"):
        RunWriter.at(tmp_path / "run")
    assert (tmp_path / "precious").read_text() == "keep"


# ----------------------------------------------------------------------------------------------------- two processes

HOLDER = """
import sys, time
from retrograd.record.writer import RunWriter
run = RunWriter.at(sys.argv[1])
run.write_config("")
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def held(tmp_path):
    """A run that another process writes to, and that process."""
    path = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield path, process
        process.kill()


@pytest.mark.parametrize("overwrite", [True, False])
def test_only_one_process_writes_to_a_run_and_a_dead_one_does_not(held, overwrite):
    path, process = held
    before = content(path)
    with pytest.raises(RunInUseError, match=rf"process {process.pid} is writing to this run") as caught:
        RunWriter.at(path, overwrite=overwrite)
    assert caught.value.exit_code == 3
    assert content(path) == before
    assert RunFolder.open(path).summary().status == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert RunFolder.open(path).summary().status == "interrupted"
    RunWriter.at(path, overwrite=True).close()


def test_a_writer_that_ends_lets_the_next_one_in(tmp_path):
    path = write_run(tmp_path)
    first = RunWriter.at(path, overwrite=True)
    with pytest.raises(RunInUseError):
        RunWriter.at(path, overwrite=True)
    first.close()
    first.close()
    RunWriter.at(path, overwrite=True).close()


# ----------------------------------------------------------------------------------------------------------- reading


def test_a_folder_that_is_no_run_is_refused_with_the_missing_file(tmp_path):
    with pytest.raises(UsageError, match=r"it has no config.yaml and no events.jsonl"):
        RunFolder.open(tmp_path)
    (tmp_path / "events.jsonl").touch()
    with pytest.raises(UsageError, match=r"it has no config.yaml$"):
        RunFolder.open(tmp_path)
    with pytest.raises(UsageError, match="not a folder"):
        RunFolder.open(tmp_path / "events.jsonl")
    for name in ("none", "a\0b", "n" * 300):
        with pytest.raises(UsageError, match="not found"):
            RunFolder.open(tmp_path / name)


def test_a_summary_holds_the_metrics_of_the_weights_that_were_kept(tmp_path):
    summary = RunFolder.open(write_run(tmp_path)).summary()
    assert (summary.name, summary.task, summary.status) == ("xor", "classification", "finished")
    assert (summary.epochs, summary.seconds, summary.stop_reason) == (2, 0.5, "patience")
    assert summary.metrics == {"validation": {"accuracy": 0.75}}  # of the best epoch, the first
    assert summary.started == START + timedelta(seconds=2)


def test_a_run_that_broke_off_shows_how_far_it_came(tmp_path):
    path = write_run(tmp_path, finish=False)
    with open(path / "events.jsonl", "ab") as stream:
        stream.write(b'{"kind": "epo')
    summary = RunFolder.open(path).summary()
    assert (summary.status, summary.epochs, summary.stop_reason) == ("interrupted", 2, None)
    assert summary.metrics == {"validation": {"accuracy": 0.5}}


def test_a_configuration_that_is_no_file_is_not_read(tmp_path):
    path = write_run(tmp_path)
    (path / "config.yaml").unlink()
    os.mkfifo(path / "config.yaml")
    with pytest.raises(UsageError, match="not a regular file"):
        RunFolder.open(path).config_text()


# ----------------------------------------------------------------------------------------------------------- listing


@pytest.fixture
def root(tmp_path):
    """Three runs, one of which is damaged, and what is none."""
    root = tmp_path / "runs"
    write_run(root, "zebra", START)
    write_run(root, "apple", START + timedelta(hours=1), finish=False)
    damaged = write_run(root, "broken", START - timedelta(days=1))
    (damaged / "events.jsonl").write_text("garbage\n")
    (root / "not-a-run").mkdir()
    (root / "file").touch()
    return root


def test_runs_are_listed_by_their_start_and_damaged_ones_too(root):
    runs = list_runs(root)
    assert [run.name for run in runs] == ["20310430-093001-broken", "zebra", "apple"]
    assert [run.status for run in runs] == ["unreadable", "finished", "interrupted"]
    assert "events.jsonl:1" in runs[0].problem
    assert latest(root).path == runs[-1].path


def test_no_runs_are_an_empty_list(tmp_path):
    assert list_runs(tmp_path) == []
    assert list_runs(tmp_path / "none") == []
    with pytest.raises(UsageError, match="contains no run"):
        latest(tmp_path / "none")


def test_a_run_is_found_by_path_folder_beginning_name_or_last(root):
    apple = root / "20310501-103001-apple"
    for text in (str(apple), apple.name, "20310501-10", "apple", "last"):
        assert find_run(root, text).path == apple


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2031", "may mean 3 runs: .*-broken, .*-zebra, .*-apple"),
        ("20310501-103001-aple", "did you mean '20310501-103001-apple'"),
        ("", "no run ''"),
        ("n" * 300, "no run"),
        ("a\0b", "no run"),
        ("..", "has no config.yaml"),
    ],
)
def test_a_text_that_means_no_run_or_several_is_refused(root, text, words):
    with pytest.raises(UsageError, match=words):
        find_run(root, text)


def test_a_damaged_run_opens_but_its_events_say_where_they_are_damaged(root):
    with pytest.raises(DataError, match=r"events.jsonl:1"):
        find_run(root, "broken").summary()


# ------------------------------------------------------------------------------------------------- the order of runs


def test_a_run_dated_far_ahead_is_not_the_last_one_for_ever(tmp_path):
    for name, begin in [
        ("a", START),
        ("wrong", START.replace(year=2300)),
        ("b", START),
        ("back", START.replace(year=1970)),
    ]:
        write_run(tmp_path, name, begin)
    assert [run.name for run in list_runs(tmp_path)] == ["a", "wrong", "b", "back"]
    assert latest(tmp_path).path.name.endswith("back")


def test_of_copies_the_one_with_a_believable_date_is_last(tmp_path):
    now = datetime.now(UTC)
    path = write_run(tmp_path, "now", now)
    copy = tmp_path / "copy"
    shutil.copytree(path, copy)
    events = (copy / "events.jsonl").read_text()
    (copy / "events.jsonl").write_text(events.replace(f'"time":"{now.year}', '"time":"2300'))
    assert list_runs(tmp_path)[0].started.year == 2300
    assert latest(tmp_path).path == path


def test_a_run_that_may_not_be_read_is_listed_and_says_so(tmp_path, monkeypatch):
    path = write_run(tmp_path, "secret")
    monkeypatch.setattr(os, "access", lambda *_: False)  # as root everything may be read
    assert [(run.name, run.problem) for run in list_runs(tmp_path)] == [
        (path.name, f"{path}: permission denied; ask its owner for permission to read it")
    ]


def test_a_folder_in_which_a_process_died_before_its_configuration_may_be_used_again(tmp_path):
    RunWriter.at(tmp_path / "run").close()
    (tmp_path / "run" / ".12-0123abcd.tmp").write_bytes(b"name: x")
    assert list_runs(tmp_path) == []
    with RunWriter.at(tmp_path / "run") as run:
        run.write_config("name: new\n")
    assert [path.name for path in (tmp_path / "run").glob("*.tmp")] == []
    with pytest.raises(UsageError, match="already contains a run"):
        RunWriter.at(tmp_path / "run")
