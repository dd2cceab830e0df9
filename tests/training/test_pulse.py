"""Progress within epochs: reported rarely enough, and only for results that are ready."""

import numpy as np
import pytest

from retrograd.record.events import Phase, Progress
from retrograd.training.loop.health import HealthWatch
from retrograd.training.loop.pulse import MOST_SECONDS, Pulse


class Loss:
    """The losses of a dispatch, possibly still being computed."""

    def __init__(self, values, ready=True):
        self.values, self.ready = np.asarray(values), ready

    @property
    def size(self):
        return self.values.size

    def is_ready(self):
        return self.ready

    def block_until_ready(self):
        self.ready = True

    def __array__(self, dtype=None, copy=None):
        assert self.ready, "somebody waits"
        return self.values


def test_progress_is_reported_at_most_four_times_a_second_and_waits_for_nothing():
    now, events = [0.0], []
    pulse = Pulse(events.append, lambda: now[0])
    pulse.enter("compiling")
    now[0] = 5.0  # it took so long to compile the first
    late = Loss([5.0] * 8, ready=False)
    for at, step, loss in [(0.0, 8, Loss([1.0] * 8)), (0.1, 16, Loss([3.0] * 8)), (0.3, 24, late), (0.6, 32, late)]:
        now[0] = 5.0 + at
        pulse.dispatched(step, loss)
    assert events == [Phase("compiling"), Phase("training"), Progress(16, 2.0, pytest.approx(16 / 0.3))]
    pulse.wait()
    assert events[3:] == [Progress(32, 5.0, pytest.approx(16 / 0.3))]


def test_the_end_of_an_epoch_is_progress_enough_and_long_runs_report_less_often():
    now, events = [0.0], []
    pulse = Pulse(events.append, lambda: now[0])
    for step in range(1, 100):  # epochs of two steps, ten a second
        now[0] += 0.05
        pulse.dispatched(step, Loss(1.0))
        if step % 2 == 0:
            pulse.stands(step)
    assert events == [Phase("training")]
    day = 24 * 3600
    for second in range(0, day, 1):
        now[0] = 10.0 + second
        pulse.dispatched(100 + second, Loss(1.0))
    assert len(events) <= day / MOST_SECONDS + 1000


def test_undone_steps_are_not_reported_and_repeated_ones_are():
    now, events = [0.0], []
    pulse = Pulse(events.append, lambda: now[0])
    pulse.dispatched(8, Loss([1.0] * 8))
    now[0] = 0.1
    pulse.dispatched(16, Loss([np.nan] * 8))
    pulse.stands(0)  # both
    for at, step in [(0.2, 8), (0.5, 16)]:
        now[0] = at
        pulse.dispatched(step, Loss([2.0] * 8))
    assert events == [Phase("training"), Progress(16, 2.0, pytest.approx(16 / 0.4))]
    pulse.stands(8)
    now[0] = 1.0
    pulse.dispatched(16, Loss([3.0] * 8))
    assert events[-1] == Progress(16, 3.0, pytest.approx(8 / 0.5))


def test_the_first_epochs_of_a_long_run_are_read():
    def read(total, interval, epoch=45):
        watch, steps = HealthWatch(total, print), []
        watch.interval = interval
        for step in range(epoch, min(total, 100 * interval) + 1, epoch):
            if step >= watch.due:
                watch.last_step = step
                steps.append(step)
        return steps

    long = read(4_500_000, 22_500)
    assert long[:5] == [45, 90, 180, 360, 720]
    assert long[9:13] == [23_040, 45_540, 68_040, 90_540]
    assert read(480, 160) == [180, 360]  # where each reading counts, and a program would have to be compiled
