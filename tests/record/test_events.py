from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import numpy as np
import pytest

from retrograd.base.errors import DataError, UsageError
from retrograd.record.events import (
    KINDS,
    Epoch,
    Health,
    Intervention,
    Note,
    Phase,
    Progress,
    Resumed,
    Started,
    Stopped,
    read_events,
    write_event,
)

TIME = datetime(2031, 5, 1, 9, 30, tzinfo=UTC)
EVENTS = [
    Started("xor", "classification", 7, data_digest="ab", device="cpu", versions={"jax": "0.10.2"}, time=TIME),
    Epoch(1, 4, 0.7, {"training": {"accuracy": 0.5}, "validation": {}}, 0.1, 0.25, time=TIME),
    Note("a column is <constant>\nand \udc80 odd", time=TIME),
    Intervention(4, "the loss rose", "learning rate 0.01", "optimizer.sgd.learning_rate: 0.01", time=TIME),
    Resumed(4, 1, time=TIME),
    Phase("training", time=TIME),
    Progress(6, 0.25, 120.5, time=TIME),
    Health(4, {"gradient_rms": {"dense_1/weight": 0.5, "dense_1/bias": math.inf}, "dead": {}}, time=TIME),
    Stopped("patience", 8, 2, 1, 0.5, "cd", {"test": {"accuracy": 1.0}}, time=TIME),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


def test_every_kind_of_event_comes_back(path):
    path.write_bytes(b"".join(map(write_event, EVENTS)))
    assert list(read_events(path)) == EVENTS
    assert {type(event) for event in EVENTS} == set(KINDS.values())


def test_an_event_is_one_line_of_json_that_begins_with_its_kind():
    line = write_event(EVENTS[2])
    assert line.count(b"\n") == 1
    assert list(json.loads(line)) == ["kind", "time", "text"]


def test_numbers_that_are_not_finite_are_texts_in_the_file_and_numbers_again_when_read(path):
    path.write_bytes(write_event(Epoch(1, 4, math.nan, {"training": {"rmse": math.inf}}, np.float32(0.5), -math.inf)))

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    plain = json.loads(path.read_text(), parse_constant=refuse)
    assert (plain["loss"], plain["metrics"], plain["seconds"]) == ("nan", {"training": {"rmse": "inf"}}, "-inf")
    (event,) = read_events(path)
    assert math.isnan(event.loss)
    assert event.metrics == {"training": {"rmse": math.inf}}
    assert event.learning_rate == 0.5


def test_a_torn_last_line_is_left_out_wherever_it_was_torn(path):
    first, second = write_event(EVENTS[0]), write_event(EVENTS[1])
    for length in range(len(second)):
        path.write_bytes(first + second[:length])
        assert list(read_events(path)) == EVENTS[:1]


def test_kinds_and_fields_of_later_versions_are_passed_over(path):
    later = {**json.loads(write_event(EVENTS[2])), "colour": "red"}
    path.write_text('{"kind": "dream"}\n' + json.dumps(later) + "\n")
    assert list(read_events(path)) == [EVENTS[2]]


@pytest.mark.parametrize(
    "line",
    [b"", b"\xff", b"[]", b"{}", b'{"kind": []}', b'{"kind": "note"}', b'{"kind": "note", "text": 3}', b"[" * 99_999],
)
def test_a_line_that_is_no_event_is_named(path, line):
    path.write_bytes(write_event(EVENTS[0]) + line + b"\n")
    with pytest.raises(DataError, match=r"events.jsonl:2: not an event"):
        list(read_events(path))


def test_an_endless_line_is_neither_read_nor_written(path):
    path.write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(DataError, match=r"jsonl:1: line longer than"):
        list(read_events(path))
    with pytest.raises(UsageError, match=r"too large: .* limit 1,048,576"):
        write_event(Note("x" * 2**20))


def test_the_start_records_what_a_run_depends_on():
    event = Started.here("xor", "classification", 7, device="cpu")
    assert {"python", "jax", "numpy", "retrograd"} <= set(event.versions)
    assert event.versions["jax"][0].isdigit()
    assert event.platform
