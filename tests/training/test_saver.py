"""When the place of a run is saved, by which thread, and what happens on failure."""

import threading

import pytest

import retrograd as rg
from retrograd.base.errors import ResourceError
from retrograd.training.loop.saver import SHARE, Saver


def saved(saver, clock, moments):
    """Offer a place at several moments, waiting for the thread each time; return those that were saved."""
    places = []
    for now, moment in moments:
        clock.now = now
        saver(lambda now=now: places.append(now), moment)
        if saver._thread is not None:
            saver._thread.join()
    return places


def test_a_place_is_saved_when_the_last_save_is_long_ago_and_at_an_interrupt(clock):
    saver = Saver(lambda place: lambda: None, 60.0, clock=clock)
    moments = [
        (1, "between"),
        (59, "between"),
        (60, "between"),
        (119, "between"),
        (121, "between"),
        (122, "interrupted"),
    ]
    assert saved(saver, clock, moments) == [60, 121, 122]


def test_the_end_of_a_long_run_is_saved_but_not_that_of_a_short_one(clock):
    for before, expected in [(0.0, []), (55.0, [10])]:
        clock.now = 0.0
        saver = Saver(lambda place: lambda: None, 60.0, before, clock)
        assert saved(saver, clock, [(10, "ended")]) == expected


def test_slow_saves_are_made_less_often(clock):
    def job(place):
        clock.now += 2.0
        return lambda: None

    saver = Saver(job, 60.0, clock=clock)
    moments = [(60, "between"), (130, "between"), (259, "between"), (261, "between")]
    assert saved(saver, clock, moments) == [60, 261]
    assert SHARE == 0.01


def test_a_thread_writes_between_stretches_and_the_caller_at_an_interrupt(clock):
    writers = []
    saver = Saver(lambda place: lambda: writers.append(threading.current_thread().name), 0.0, clock=clock)
    saved(saver, clock, [(1, "between"), (2, "interrupted")])
    assert writers == ["checkpoint", threading.current_thread().name]


def test_a_failing_disk_is_reported_at_the_next_stretch_and_only_once(clock):
    def refuse():
        raise ResourceError("disk full", where="/runs")

    saver = Saver(lambda place: refuse, 1.0, clock=clock)
    saved(saver, clock, [(1, "between")])
    with pytest.warns(rg.RetrogradWarning, match=r"no checkpoint was written, training continues: /runs: disk full"):
        saved(saver, clock, [(1.5, "between")])
    saved(saver, clock, [(3, "between"), (3.5, "between")])  # warnings are errors here


def test_any_other_error_of_the_writer_is_raised_at_the_next_stretch_or_the_end(clock):
    def fail():
        raise ValueError("a fault")

    saver = Saver(lambda place: fail, 1.0, clock=clock)
    saved(saver, clock, [(1, "between")])
    with pytest.raises(ValueError, match="a fault"):
        saved(saver, clock, [(1.5, "between")])
    with pytest.raises(ValueError, match="a fault"), saver:
        saved(saver, clock, [(3, "between")])


def test_a_lack_of_memory_for_a_copy_does_not_end_the_run_and_is_reported_to_a_waiting_caller(clock):
    def job(place):
        raise MemoryError

    answers = []
    saver = Saver(job, 1.0, clock=clock, missed=lambda: answers.append("none"))
    saved(saver, clock, [(1, "between")])
    assert answers == ["none"]
    with pytest.warns(rg.RetrogradWarning, match="no checkpoint was written.*out of memory"):
        saved(saver, clock, [(1.5, "between")])
