"""Right loops of many kinds: no alarm, and the same weights, buffers and random numbers as without the doctor."""

import contextlib

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'retrograd[torch]')")

import retrograd
from tests.interop.torch.healthy import LOOPS
from tests.interop.torch.healthy_more import MORE


def run(loop, watched):
    charts = []

    def look(*args):
        charts.append(retrograd.torch.watch(*args) if watched else contextlib.nullcontext())
        return charts[0]

    torch.manual_seed(2)
    model = loop(look)
    return charts[0], [*model.state_dict().values(), torch.get_rng_state()]


@pytest.mark.parametrize("loop", [*LOOPS, *MORE], ids=lambda loop: loop.__name__)
def test_a_right_loop_raises_no_alarm_and_ends_bit_for_bit_as_without_the_doctor(loop):
    chart, watched = run(loop, watched=True)
    assert chart.alarms == (), str(chart)
    assert not chart.journal.trouble
    _, alone = run(loop, watched=False)
    assert all(torch.equal(a, b) for a, b in zip(watched, alone, strict=True))
