from __future__ import annotations

import itertools
import os

import pytest

from retrograd.base.errors import DataError, UsageError
from retrograd.record.events import Epoch, Health, Note, Started, Stopped, write_event
from retrograd.record.logs.ends import BLOCK, read_ends, sampled_losses
from retrograd.record.logs.follow import Place, read_on
from retrograd.record.run import ask_to_stop
from retrograd.record.runs import list_runs
from retrograd.record.writer import RunWriter

STARTED = Started("xor", "binary", 0, epochs=2000)
STOPPED = Stopped("epochs", 8000, 2000, 1990, 0.5, "cd", {"train": {"loss": 0.1}})


def epoch(number):
    return Epoch(number, 4 * number, 1 / number, {"train": {"loss": 1 / number}}, 0.1, float(number))


def log(path, *events):
    path.write_bytes(b"".join(map(write_event, events)))
    return path


# -------------------------------------------------------------------------------------------------------------- ends


def test_the_ends_of_a_log_are_those_of_all_its_events(tmp_path):
    epochs = [epoch(number) for number in range(1, 2001)]
    whole = log(tmp_path / "a", STARTED, *epochs, STOPPED)
    assert whole.stat().st_size > 4 * BLOCK
    assert read_ends(whole) == (STARTED, epochs[-1], STOPPED)
    assert read_ends(log(tmp_path / "b", STARTED, *epochs)) == (STARTED, epochs[-1], None)
    assert read_ends(log(tmp_path / "c", STARTED, Note("a"))) == (STARTED, None, None)
    assert read_ends(log(tmp_path / "d", Note("first"), STARTED, *epochs[:2])) == (STARTED, epochs[1], None)
    assert read_ends(log(tmp_path / "e")) == (None, None, None)


def test_long_lines_at_the_end_hide_no_epoch(tmp_path):
    readings = Health(8, {"gradient_rms": {f"layer_{i}/weight": 0.5 for i in range(2000)}})
    assert read_ends(log(tmp_path / "a", STARTED, epoch(1), epoch(2), readings, STOPPED)).epoch == epoch(2)


def test_a_line_on_its_way_is_left_out(tmp_path):
    path = log(tmp_path / "a", STARTED, epoch(1), epoch(2))
    path.write_bytes(path.read_bytes()[:-5])
    assert read_ends(path).epoch == epoch(1)


def test_a_damaged_end_says_which_line_it_is(tmp_path):
    path = log(tmp_path / "a", STARTED, epoch(1))
    path.write_bytes(path.read_bytes() + b"no event\n")
    with pytest.raises(DataError, match=r"a:3: not an event"):
        read_ends(path)


def test_sampled_losses_lie_in_order_and_spread_over_the_run(tmp_path):
    path = log(tmp_path / "a", STARTED, *(epoch(number) for number in range(1, 1001)), STOPPED)
    losses = sampled_losses(path, 20)
    assert all(loss == 1 / number for number, loss in losses)
    numbers = [number for number, _ in losses]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 20
    assert max(b - a for a, b in itertools.pairwise(numbers)) < 100
    assert sampled_losses(log(tmp_path / "b", STARTED), 20) == []


# --------------------------------------------------------------------------------------------------------- following


def append(path, lines):
    with open(path, "ab") as stream:
        stream.write(lines)


def test_following_gives_every_whole_line_once(tmp_path):
    path = log(tmp_path / "a", STARTED, epoch(1))
    first = read_on(path, Place())
    assert first.lines == path.read_bytes()
    assert first.again
    line = write_event(epoch(2))
    append(path, line[:10])
    second = read_on(path, first.place)
    assert (second.lines, second.again, second.place) == (b"", False, first.place)
    append(path, line[10:])
    third = read_on(path, second.place)
    assert (third.lines, third.again) == (line, False)


def test_a_long_log_comes_in_portions(tmp_path):
    path = log(tmp_path / "a", STARTED, *(epoch(number) for number in range(1, 100)))
    place, lines, portions = Place(), b"", 0
    while True:
        portion = read_on(path, place, most=2000)
        place, lines, portions = portion.place, lines + portion.lines, portions + 1
        if not portion.more:
            break
    assert lines == path.read_bytes()
    assert portions > 5


def test_a_log_that_was_cut_and_written_on_is_read_from_the_start(tmp_path):
    path = log(tmp_path / "a", STARTED, epoch(1), epoch(2))
    place = read_on(path, Place()).place
    os.truncate(path, len(write_event(STARTED)))
    assert read_on(path, place).again
    append(path, b"".join(write_event(epoch(number)) for number in (3, 4, 5)))  # longer than before
    portion = read_on(path, place)
    assert portion.again
    assert portion.lines == path.read_bytes()


def test_another_log_in_its_place_is_read_from_the_start(tmp_path):
    path = log(tmp_path / "a", STARTED, epoch(1))
    place = read_on(path, Place()).place
    other = log(tmp_path / "b", STARTED, epoch(1), epoch(2))
    other.replace(path)
    assert read_on(path, place).again
    path.unlink()
    with pytest.raises(UsageError, match="not found"):
        read_on(path, place)


# ------------------------------------------------------------------------------------------------- a list, and a wish


def test_a_list_reads_no_more_than_the_ends_of_long_logs(tmp_path):
    with RunWriter.create(tmp_path, "long") as run:
        run.write_config("name: long\n")
        run.record(STARTED)
        for number in range(1, 401):
            run.record(epoch(number))
        run.record(STOPPED)
    summary = list_runs(tmp_path)[0]
    assert (summary.epochs, summary.planned, summary.metrics) == (2000, 2000, {"train": {"loss": 0.1}})
    log_path = run.path / "events.jsonl"
    content = log_path.read_bytes()
    middle = content.index(b"\n", len(content) // 2) + 1
    log_path.write_bytes(content[:middle] + b"\0" * 100 + content[middle + 100 :])
    assert list_runs(tmp_path)[0].epochs == 2000  # the middle was not looked at


def test_a_wish_to_stop_is_seen_once_and_forgotten_at_the_end(tmp_path):
    with RunWriter.create(tmp_path, "xor") as run:
        assert not run.is_asked_to_stop()
        ask_to_stop(run.path)
        run._looked = 0.0
        assert run.is_asked_to_stop()
        (run.path / "stop").unlink()
        assert run.is_asked_to_stop()  # once asked, it stays so
        ask_to_stop(run.path)
    assert not (run.path / "stop").exists()
    ask_to_stop(run.path)
    run = RunWriter(run.path)
    assert not run.is_asked_to_stop()  # a wish of the past
    run.discard()
    assert not run.path.exists()
