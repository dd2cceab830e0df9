"""The gradient check: correct modules pass, a wrong gradient is named, corners are reported, nothing stays changed."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install 'retrograd[torch]')")

from torch import nn

import retrograd
from retrograd.base.errors import UsageError


class WrongCube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return 2 * dy * x**2


def test_a_right_module_with_buffers_and_dropout_passes_and_stays_as_it_was():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(18, 2)
    )
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x, random = torch.randn(4, 1, 5, 5), torch.get_rng_state()
    found = retrograd.torch.check(module, x)
    assert found.verdict == "exact", str(found)
    assert {each.name for each in found.tensors} == {"input 0", *dict(module.named_parameters())}
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())


def test_a_module_in_channels_last_is_judged_like_any_other():
    torch.manual_seed(0)
    module = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 5, 5)
    found = retrograd.torch.check(module, x)
    assert found.verdict == "exact", str(found)
    assert module.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_wrong_autograd_function_is_wrong_by_a_third():
    found = retrograd.torch.check(WrongCube, torch.randn(3, 2, generator=torch.Generator().manual_seed(0)))
    assert found.verdict == "wrong"
    assert found.error == pytest.approx(1 / 3, rel=1e-6)


def test_entries_on_a_corner_are_reported_and_left_out():
    (only,) = retrograd.torch.check(torch.relu, torch.tensor([0.0, 1.0, -1.0])).tensors
    assert (only.kinks, only.entries, only.verdict) == (1, 2, "exact")


def test_outputs_cut_off_from_all_inputs_are_refused():
    with pytest.raises(UsageError, match="do not depend"):
        retrograd.torch.check(lambda x: x.detach(), torch.ones(2))


class Ignores(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sigmoid(x)

    @staticmethod
    def backward(ctx, dy):
        y = torch.sigmoid(ctx.saved_tensors[0])
        return y * (1 - y)


class Shares(torch.autograd.Function):
    """Softmax, with the diagonal of its Jacobian only."""

    @staticmethod
    def forward(ctx, x):
        y = torch.softmax(x, 1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        return dy * y * (1 - y)


class Normalised(torch.autograd.Function):
    """Batch norm, with mean and variance taken as constants."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x - x.mean(0)) / x.std(0)

    @staticmethod
    def backward(ctx, dy):
        return dy / ctx.saved_tensors[0].std(0)


class Shifted(torch.autograd.Function):
    """x + b, with the gradient of b summed over its own axis."""

    @staticmethod
    def forward(ctx, x, b):
        return x + b

    @staticmethod
    def backward(ctx, dy):
        return dy, dy.sum(1)


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, dy):
        return -2 * ctx.saved_tensors[0] * dy


@pytest.mark.parametrize(
    ("function", "shapes", "words"),
    [
        (Ignores, [(4, 3)], "does not change with the incoming gradient"),
        (Shares, [(5, 4)], "only the diagonal of the Jacobian"),
        (Normalised, [(6, 3)], "the mean and variance along axis 0 are taken as constants"),
        (Shifted, [(4, 4), (4,)], "summed over the wrong axis"),
        (Reversed, [(4, 3)], "the sign is wrong"),
        (WrongCube, [(3, 2)], "0.666667 times"),
    ],
)
def test_the_slip_of_a_wrong_function_is_named(function, shapes, words):
    draw = torch.Generator().manual_seed(0)
    found = retrograd.torch.check(function, *(torch.randn(shape, generator=draw) for shape in shapes))
    assert words in "".join(each.hint for each in found.tensors), str(found)
    assert words in str(found)
