"""Watching changes nothing, survives anything, and names the user's own line."""

import copy
import io
import pickle

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'retrograd[torch]')")

import torch.nn.functional as F
from torch import nn
from torch.overrides import _get_current_function_mode_stack

import retrograd
from retrograd.base.errors import UsageError
from tests.interop.torch.loops import LOOPS, data, network, train


def run(watched):
    x, y = data()
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.4), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)

    def loop():
        for i in range(60):
            loss = F.cross_entropy(model(x[i : i + 20]), y[i : i + 20])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    if watched:
        with retrograd.torch.watch(model, optimizer):
            loop()
    else:
        loop()
    return [*model.state_dict().values(), torch.get_rng_state()]


def test_weights_buffers_and_random_numbers_are_bit_for_bit_those_of_an_unwatched_loop():
    assert all(torch.equal(a, b) for a, b in zip(run(True), run(False), strict=True))


def test_pytorch_is_as_before_after_the_block():
    before = torch.autograd.backward, torch.autograd.grad
    chart = train(epochs=1)
    assert (torch.autograd.backward, torch.autograd.grad) == before
    assert not _get_current_function_mode_stack()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in chart.journal.model.modules())


def test_a_copy_or_a_file_of_a_watched_model_does_without_the_doctor():
    model = network()
    with retrograd.torch.watch(model) as chart:
        copied, loaded = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
        for other in (copied, loaded):
            other(data()[0])
    assert chart.journal.forwards == 0


def test_an_error_of_the_loop_comes_through_and_is_explained():
    x, y = data()
    model = network()
    chart = retrograd.torch.watch(model)
    with pytest.raises(RuntimeError), chart:
        F.cross_entropy(model(x), y.float()).backward()
    assert "wrong_dtype" in [one.name for one in chart.alarms]
    assert not _get_current_function_mode_stack()


def test_the_report_shows_the_line_to_change():
    chart = LOOPS["gradients_changed_after_step"].sick()
    out = io.StringIO()
    chart.report(out)
    text = out.getvalue()
    assert "> nn.utils.clip_grad_norm_(model.parameters(), 1.0)" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_loop_full_of_nan_is_survived():
    chart = LOOPS["nonfinite"].sick()
    assert chart.verdict.state == "ill"
    assert not chart.journal.trouble


def test_two_charts_do_not_disturb_one_another():
    x, y = data()
    first, second = network(), network()
    with retrograd.torch.watch(first) as one, retrograd.torch.watch(second) as two:
        for model in (first, second):
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            for _ in range(30):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
    assert one.journal.turns == two.journal.turns == 60  # each hears all, and looks at its own
    assert one.alarms == two.alarms == ()


def test_every_backward_pass_is_counted_and_between_looks_nothing_hangs_on_the_model():
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    hooks = set()
    with retrograd.torch.watch(model, optimizer) as chart:
        for _ in range(200):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            hooks.add(sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules()))
        assert chart.verdict.state == "learns"
    assert chart.journal.turns == 200
    assert chart.journal.looks < 20
    assert min(hooks) == 0


def test_what_is_not_a_module_is_refused():
    with pytest.raises(UsageError, match=r"expected a torch\.nn\.Module, found int"):
        retrograd.torch.watch(3)


def likelihood(sign, weight=lambda rows: 1.0):
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    with retrograd.torch.watch(model, optimizer) as chart:
        for i in range(60):
            rows = torch.arange(i, i + 16) % len(x)
            chosen = F.log_softmax(model(x[rows]), 1).gather(1, y[rows, None])[:, 0]
            optimizer.zero_grad()
            (sign * (chosen * weight(rows)).mean()).backward()
            optimizer.step()
    return chart


def test_a_loss_is_negated_where_its_graph_proves_it_and_else_nothing_is_known():
    wrong = likelihood(1.0)
    assert wrong.verdict.state == "ill"
    assert "negated" in wrong.verdict.sentence
    assert "ascent" in [one.name for one in wrong.alarms]
    assert likelihood(-1.0).verdict.state == "learns"
    gains = likelihood(1.0, lambda rows: torch.linspace(-1, 1, len(rows)))  # of a policy: they may have either sign
    assert gains.verdict.state == "unknown"
    assert gains.alarms == ()


def test_the_answers_of_another_loss_are_no_reference_for_one_without_a_floor():
    x, y = data()
    model, critic = network(), nn.Linear(6, 1)
    optimizer, other = torch.optim.SGD(model.parameters(), 0.05), torch.optim.SGD(critic.parameters(), 0.05)
    with retrograd.torch.watch(model, optimizer) as chart:
        for i in range(60):
            rows = torch.arange(i, i + 16) % len(x)
            gain = x[rows, 0] * 20
            other.zero_grad()
            value = critic(x[rows])[:, 0]
            F.mse_loss(value, gain).backward()
            other.step()
            optimizer.zero_grad()
            chosen = F.log_softmax(model(x[rows]), 1).gather(1, y[rows, None])[:, 0]
            (-(gain - value.detach()) * chosen).sum().backward()
            optimizer.step()
    assert chart.verdict.state == "unknown"
    assert "constant answer" not in str(chart)
