"""Checkpoints on disk, and the log of events that they belong to."""

import errno
import os

import numpy as np
import pytest

from retrograd.base.errors import ModelFileError, ResourceError
from retrograd.record.checkpoint import (
    Checkpoint,
    checkpoint_paths,
    forget_checkpoints,
    read_checkpoint,
    write_checkpoint,
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


def test_a_damaged_one_is_told_from_a_model_and_from_a_whole_one(tmp_path):
    write_checkpoint(tmp_path, checkpoint(7), keep=1)
    (path,) = checkpoint_paths(tmp_path)
    with pytest.raises(ModelFileError, match="not a retrograd model: a retrograd checkpoint"):
        load_model(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ModelFileError, match="truncated"):
        read_checkpoint(path)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelFileError, match="does not match its checksum"):
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
