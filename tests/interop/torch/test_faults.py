"""The contract of the faults: each is found in its sick loop, and in no other of its own; healthy loops raise no alarm."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'retrograd[torch]')")

from retrograd.interop.torch.chart import watch
from retrograd.interop.torch.faults import faults
from tests.interop.torch.loops import LOOPS, clean, train

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


@pytest.mark.parametrize("rate", [10.0, 30.0])
def test_a_rate_that_killed_units_comes_before_the_dead_units(rate):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(6, 32), torch.nn.ReLU(), torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3)
    )
    chart = train(model, optimizer=torch.optim.SGD(model.parameters(), rate), epochs=12)
    assert [alarm.name for alarm in chart.alarms][:2] == ["update_size", "dead_units"], str(chart)


def test_units_dead_from_the_start_are_no_fault_of_the_rate():
    assert LOOPS["dead_units"].sick().alarms[0].name == "dead_units"


def test_weights_that_start_at_zero_have_no_size_to_compare_with():
    model = torch.nn.Linear(6, 3)
    torch.nn.init.zeros_(model.weight)
    chart = train(model, optimizer=torch.optim.SGD(model.parameters(), 0.1))
    assert max(ratio for look in chart.journal.updates for ratio in look.ratios.values()) < 1e3


def test_many_classes_have_no_order_and_their_rows_a_signal():
    draw = torch.Generator().manual_seed(3)
    centres, y = torch.randn(100, 6, generator=draw), torch.randint(0, 100, (600,), generator=draw)
    x = centres[y] + 0.02 * torch.randn(600, 6, generator=draw)
    model = torch.nn.Linear(6, 100)
    with watch(model) as chart:
        optimizer = torch.optim.SGD(model.parameters(), 1e-9)
        for _ in range(60):
            rows = torch.randperm(600, generator=draw)[:64]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
    assert chart.verdict.state == "ill"
    assert "no_signal" not in [finding.name for finding in chart.findings], str(chart)


def test_new_rows_on_which_the_loss_falls_have_a_signal():
    draw = torch.Generator().manual_seed(3)
    model = torch.nn.Linear(20, 1)
    with watch(model) as chart:
        optimizer = torch.optim.Adam(model.parameters(), 0.02)
        for _ in range(150):
            x = torch.randn(32, 20, generator=draw)
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(
                model(x), x[:, :1] + 2 * (x[:, 1:2] > 0) + torch.randn(32, 1, generator=draw)
            ).backward()
            optimizer.step()
    assert chart.verdict.state == "learns"
    assert "no_signal" not in [finding.name for finding in chart.findings], str(chart)
