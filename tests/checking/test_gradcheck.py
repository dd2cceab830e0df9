"""The check of gradients finds what is wrong, names the layer, hints at the slip, and lets right ones pass."""

import jax
import numpy as np
import pytest

import retrograd as rg
from retrograd.checking.example import check_example, moved
from retrograd.checking.network import check_network
from retrograd.checking.slopes import verdict_of
from retrograd.network.layer import Input
from tests.checking.faults import FAULTS

GROUP = 5  # faults in one network: fewer programs to compile
RNG = np.random.default_rng(0)
BATCH = {"x": RNG.normal(size=(5, 3)), "y": RNG.normal(size=(5, 2))}


def checked(*layers, loss=None, batch=BATCH, share=0.1, **settings):
    network = rg.Network(*layers)
    variables = moved(network.init(jax.random.key(0), batch), np.random.default_rng(1), share)
    objectives = [rg.Objective.on(network, loss or rg.MeanSquaredError())]
    return check_network(network, objectives, variables, batch, jax.random.key(1), **settings)


@pytest.mark.parametrize("first", range(0, len(FAULTS), GROUP))
def test_planted_faults_are_found_their_layers_named_and_their_kinds_hinted(first):
    planted = {f"planted_{i}": fault for i, fault in enumerate(FAULTS[first : first + GROUP])}
    loss = next((layer for layer, _ in planted.values() if isinstance(layer, rg.Loss)), None)
    layers = [rg.named(layer, name) for name, (layer, _) in planted.items() if layer is not loss]
    expected = {"loss" if layer is loss else name: words for name, (layer, words) in planted.items()}
    result = checked(rg.Dense(4, "tanh"), *layers, rg.Dense(2), loss=loss)
    assert result.verdict == "wrong"
    assert [fault.path for fault in result.faults] == list(expected)  # no healthy layer is blamed
    for fault in result.faults:
        assert expected[fault.path] in fault.hint


def test_twenty_faults_are_planted():
    assert len({type(layer) for layer, _ in FAULTS}) == 20


def test_right_gradients_are_exact_with_dropout_batch_norm_and_sharing():
    result = checked(rg.named(rg.Dense(3, "tanh"), "first"), rg.Dropout(0.3), rg.BatchNorm(),
                     rg.named(rg.Dense(3), "back", share={"weight": "first/weight"}), rg.Dense(2))  # fmt: skip
    assert result.verdict == "exact"
    assert all(tensor.error <= 1e-7 and tensor.vjp <= 1e-12 for tensor in result.tensors)
    assert {tensor.path for tensor in result.tensors} >= {"first/weight", "batch_norm_1/scale", "input x"}


def test_a_deep_sigmoid_network_is_right_although_its_gradients_are_tiny():
    result = checked(*(rg.Dense(3, "sigmoid") for _ in range(8)), rg.Dense(2))
    smallest = min(abs(tensor.worst.backward) for tensor in result.tensors)
    assert smallest < 1e-6
    assert result.verdict == "exact"


def test_a_corner_is_reported_as_a_kink_with_both_one_sided_derivatives():
    layer = rg.named(rg.Dense(1, "relu", weight=[[1.0], [2.0]], bias=[0.0]), "hidden")
    batch = {"x": np.array([[0.0, 0.0], [1.0, 1.0]]), "y": np.array([[1.0], [0.0]])}
    result = checked(layer, batch=batch, share=0.0)
    assert result.verdict == "exact"
    (bias,) = [tensor for tensor in result.tensors if tensor.path == "hidden/bias"]
    (kink,) = bias.kinks
    # d/db of ((relu(b) - 1)² + relu(3 + b)²) / 2 at 0: 3 from the left, 3 - 1 from the right
    assert (kink.left, kink.right) == pytest.approx((3.0, 2.0), abs=1e-4)
    assert kink.backward == 3.0
    assert kink.nodes == (("hidden/relu", 1),)


def test_a_fault_is_not_excused_by_a_corner():
    class Doubled(rg.ReLU):
        def backward(self, params, tape, dy):
            return rg.Backward((2 * super().backward(params, tape, dy).inputs[0],))

    batch = {"x": np.zeros((2, 2)), "y": np.ones((2, 2))}
    result = checked(rg.named(Doubled(), "suspect"), batch=batch)
    assert result.verdict == "wrong"
    assert [fault.path for fault in result.faults] == ["suspect"]


@jax.custom_jvp
def _lying(x):
    return x**3


_lying.defjvps(lambda dx, y, x: dx * x**2)


class Conspiracy(rg.Tanh):
    """Its forward gives jax.vjp the same wrong gradient as backward."""

    def forward(self, params, state, ctx, x):
        return rg.Forward(_lying(x), x)

    def backward(self, params, tape, dy):
        return rg.Backward((dy * tape**2,))


def test_what_deceives_jax_as_well_is_found_by_the_difference():
    (fault,) = checked(rg.Dense(3), rg.named(Conspiracy(), "suspect"), rg.Dense(2)).faults
    assert (fault.path, fault.oracle) == ("suspect", "a central difference")
    assert "0.333333 times" in fault.hint


def test_a_backward_that_does_not_run_is_named():
    class Broken(rg.Tanh):
        def backward(self, params, tape, dy):
            return rg.Backward((dy @ tape,))

    result = checked(rg.Dense(3), rg.named(Broken(), "suspect"), rg.Dense(2))
    assert result.verdict == "wrong"
    assert [fault.path for fault in result.faults] == ["suspect"]


def test_a_large_tensor_is_sampled_and_a_single_wrong_entry_still_shows():
    class OneEntry(rg.Dense):
        def backward(self, params, tape, dy):
            back = super().backward(params, tape, dy)
            return rg.Backward(back.inputs, {**back.grads, "weight": back.grads["weight"].at[7, 5].add(1.0)})

    result = checked(rg.Dense(20), rg.named(OneEntry(20), "suspect"), rg.Dense(2), entries=8)
    tensor = next(tensor for tensor in result.tensors if tensor.path == "suspect/weight")
    assert tensor.tried <= 8
    assert tensor.along > 1e-3
    assert [fault.path for fault in result.faults] == ["suspect"]


def test_a_loss_is_checked_alone():
    result = check_example(rg.Huber(), [Input((4, 2)), Input((4, 2))], name="huber")
    assert result.verdict == "exact"


@pytest.mark.parametrize(
    ("error", "word"),
    [(0.0, "exact"), (1e-6, "acceptable"), (1e-4, "suspicious"), (1e-2, "wrong"), (float("nan"), "wrong")],
)
def test_the_verdict_is_a_word(error, word):
    assert verdict_of(error) == word
