"""The contract of the faults: each is found in its sick loop, and in no other of its own; healthy loops raise no alarm."""

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'retrograd[torch]')")

from retrograd.interop.torch.faults import faults
from tests.interop.torch.loops import LOOPS, clean

CODES = {f"U{number:02d}" for number in range(1, 21)}


def test_every_fault_has_its_loops():
    assert sorted(LOOPS) == sorted(faults)


def test_the_catalogue_of_loop_faults_is_covered():
    assert CODES - {faults[name].code for name in faults} == set()


@pytest.mark.parametrize("name", list(faults))
def test_a_fault_is_found_in_its_sick_loop_and_not_in_its_near_miss(name):
    loops = LOOPS[name]
    sick = loops.sick()
    assert name in [one.name for one in sick.alarms], str(sick)
    assert not sick.journal.trouble
    miss = loops.near_miss()
    assert name not in [one.name for one in miss.alarms], str(miss)
    assert not miss.journal.trouble


@pytest.mark.parametrize("loop", {each.healthy for each in LOOPS.values()} | {clean}, ids=lambda loop: "")
def test_a_healthy_loop_raises_no_alarm(loop):
    chart = loop()
    assert chart.alarms == (), str(chart)
    assert not chart.journal.trouble
