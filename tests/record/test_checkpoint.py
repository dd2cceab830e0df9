"""Checkpoints on disk, and the log of events that they belong to."""

import errno
import os

import numpy as np
import pytest

from retrograd.base.errors import ModelFileError, ResourceError
from retrograd.record.checkpoint import (
    Checkpoint,
    Slice,
    checkpoint_paths,
    forget_checkpoints,
    read_checkpoint,
    write_checkpoint,
    write_slices,
)
from retrograd.record.events import Epoch, Note, Started, beginning, read_events, write_event
from retrograd.record.logs.log import EventLog, Mark
from retrograd.record.model import load_model, save_model

ARRAYS = {"train/params/dense/weight": np.arange(6.0, dtype=np.float32).reshape(2, 3), "train/step": np.array(7)}


def checkpoint(step):
    return Checkpoint(step, ARRAYS, {"name": "run"}, {"seconds": 1.5})


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    write_checkpoint(tmp_path, checkpoint(7), keep=2)
    (path,) = checkpoint_paths(tmp_path)
    found = read_checkpoint(path)
    assert (found.step, found.config, found.facts) == (7, {"name": "run"}, {"seconds": 1.5})
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found.arrays[name], array, strict=True)


def test_the_newest_stay_by_step_and_other_files_are_left_alone(tmp_path):
    for step in (5, 1000, 20):
        write_checkpoint(tmp_path, checkpoint(step), keep=2)
    (tmp_path / "checkpoints" / "notes.txt").write_text("mine")
    assert [int(path.stem[5:]) for path in checkpoint_paths(tmp_path)] == [1000, 20]
    forget_checkpoints(tmp_path, after=20)
    assert [int(path.stem[5:]) for path in checkpoint_paths(tmp_path)] == [20]
    forget_checkpoints(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["notes.txt"]


def test_a_damaged_one_is_distinguished_from_a_model_and_from_an_intact_one(tmp_path):
    write_checkpoint(tmp_path, checkpoint(7), keep=1)
    (path,) = checkpoint_paths(tmp_path)
    with pytest.raises(ModelFileError, match="not a retrograd model: a retrograd checkpoint"):
        load_model(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ModelFileError, match="truncated"):
        read_checkpoint(path)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelFileError, match="do not match the checksum"):
        read_checkpoint(path)
    save_model(path, {}, {}, config={}, preprocessing={}, facts={})
    with pytest.raises(ModelFileError, match="not a retrograd checkpoint: a retrograd"):
        read_checkpoint(path)


# -------------------------------------------------------------------------------------------------------------- the log


def test_a_log_knows_what_it_held_at_a_mark_and_is_cut_there(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(b"first\n")
    mark = log.mark()
    log.append(b"second\n")
    assert (log.holds(mark), log.holds(Mark(mark.size, log.mark().sha256))) == (True, False)
    log.cut(mark.size)
    assert (log.content(), log.mark()) == (b"first\n", mark)
    log.append(b"other\n")
    log.close()
    again = EventLog(tmp_path / "events.jsonl")
    assert again.content() == b"first\nother\n"
    assert again.holds(mark)
    assert not again.holds(Mark(1000, mark.sha256))
    again.close()


def test_a_part_of_a_line_that_a_full_disk_took_is_taken_back(tmp_path, monkeypatch):
    log = EventLog(tmp_path / "events.jsonl")
    log.append(b"first\n")
    mark = log.mark()

    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    class Stream:
        def __init__(self, stream):
            self.stream = stream

        def __getattr__(self, name):
            return getattr(self.stream, name)

        def write(self, lines):
            return self.stream.write(lines[:3])

    stream, log._stream = log._stream, Stream(log._stream)
    truncate = os.ftruncate
    monkeypatch.setattr(os, "ftruncate", refuse)  # which refuses that as well
    with pytest.raises(ResourceError, match="disk full"):
        log.append(b"second\n")
    monkeypatch.setattr(os, "ftruncate", truncate)
    log._stream = stream
    assert log.content() == b"first\nsec"
    assert log.mark() == mark
    log.append(b"third\n")
    assert log.content() == b"first\nthird\n"
    log.close()


def test_what_comes_before_training_is_known_however_the_rest_is_damaged(tmp_path):
    start = b"".join(map(write_event, (Started("xor", "binary", 0), Note("a note"))))
    for rest in (b"", b"{damaged\n", b"\x00" * 99, write_event(Epoch(1, 4, 0.5, {}, 0.1, 0.2)), start[:9]):
        (tmp_path / "events.jsonl").write_bytes(start + rest)
        assert beginning(tmp_path / "events.jsonl") == len(start)
        assert [type(event) for event in read_events(tmp_path / "events.jsonl", len(start))] == [Started, Note]


def slices_of_two(tmp_path, step=7):
    """Write the slices of two processes: rows 0 to 2 and 2 to 3 of one array."""
    whole = np.arange(6, dtype=np.float32).reshape(3, 2)
    parts = [((0, 2), (0, 2)), ((2, 3), (0, 2))]
    sums = [
        write_slices(tmp_path, step, rank, {"train/w": [Slice((3, 2), place, whole[slice(*place[0])])]})
        for rank, place in enumerate(parts)
    ]
    return whole, sums


def test_slices_of_several_processes_make_whole_arrays(tmp_path):
    whole, sums = slices_of_two(tmp_path)
    write_checkpoint(tmp_path, Checkpoint(7, {"train/b": whole[0]}, {}, {"parts": sums}), keep=1)
    (path,) = checkpoint_paths(tmp_path)
    arrays = read_checkpoint(path).arrays
    np.testing.assert_array_equal(arrays["train/w"], whole)
    np.testing.assert_array_equal(arrays["train/b"], whole[0])


@pytest.mark.parametrize("damage", ["gone", "other", "too few"])
def test_slices_that_are_not_those_of_the_checkpoint_are_refused(tmp_path, damage):
    _, sums = slices_of_two(tmp_path)
    named = sums[:1] if damage == "too few" else sums
    write_checkpoint(tmp_path, Checkpoint(7, {}, {}, {"parts": named}), keep=1)
    (part,) = (tmp_path / "checkpoints").glob("*.part-00001-*")
    if damage == "gone":
        part.unlink()
    elif damage == "other":
        write_slices(tmp_path, 8, 1, {"train/w": [Slice((3, 2), ((2, 3), (0, 2)), np.zeros((1, 2), np.float32))]})
        next((tmp_path / "checkpoints").glob("step-000000000008.part-*")).replace(part)
    words = {"gone": "is missing", "other": "not the slices", "too few": "2 of its numbers are missing"}
    with pytest.raises(ModelFileError, match=words[damage]):
        read_checkpoint(checkpoint_paths(tmp_path)[0])


def test_a_checkpoint_stays_whole_while_another_of_its_step_is_written(tmp_path):
    whole, sums = slices_of_two(tmp_path)
    write_checkpoint(tmp_path, Checkpoint(7, {}, {}, {"parts": sums}), keep=1)
    alone = write_slices(tmp_path, 7, 0, {"train/w": [Slice((3, 2), ((0, 3), (0, 2)), whole)]})  # and killed here
    np.testing.assert_array_equal(read_checkpoint(checkpoint_paths(tmp_path)[0]).arrays["train/w"], whole)
    write_checkpoint(tmp_path, Checkpoint(7, {}, {}, {"parts": [alone]}), keep=1)
    np.testing.assert_array_equal(read_checkpoint(checkpoint_paths(tmp_path)[0]).arrays["train/w"], whole)
    write_checkpoint(tmp_path, Checkpoint(8, {}, {}, {}), keep=1)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000000000008.safetensors"]


def test_slices_go_with_their_checkpoint(tmp_path):
    for step in (7, 8, 9):
        _, sums = slices_of_two(tmp_path, step)
        if step != 8:  # whose process was killed before it wrote the checkpoint
            write_checkpoint(tmp_path, Checkpoint(step, {}, {}, {"parts": sums}), keep=1)
    assert {path.name[:17] for path in (tmp_path / "checkpoints").iterdir()} == {"step-000000000009"}
    forget_checkpoints(tmp_path)
    assert not (tmp_path / "checkpoints").exists()
