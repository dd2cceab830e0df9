"""Nodes after a convolution are fused with it where nothing observes them, and compute the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import ShapeError
from retrograd.network.fuse import FusedConvolution, fuse
from retrograd.network.layers import Conv1D, Conv2D
from retrograd.network.precision import computing_in, in_precision, taken_out
from retrograd.propagation.backprop import backprop
from tests.closeness import assert_same_sums

ROWS, SIDE, CHANNELS, CLASSES = 6, 5, 3, 4


class OwnConv2D(Conv2D):
    """A convolution that may compute something else."""


def kinds(*entries, keep=()):
    """The nodes of the rewritten network."""
    network = rg.Network(*entries)
    fused = fuse(network, keep)
    assert {name for node in fused for name, _, _ in [node.inputs[0].partition(".")]} <= {"x", *fused.by_name}
    return {node.name: node.layer.kind for node in fused}


def a(*inputs, **settings):
    return rg.named(Conv2D(CHANNELS, **settings), "a", inputs=inputs or None)


def b(*inputs, **settings):
    return rg.named(Conv2D(CHANNELS, **settings), "b", inputs=inputs or None)


def plus(*inputs):
    return rg.named(rg.Add(), "add", inputs=inputs)


RELU, END = rg.named(rg.ReLU(), "relu"), rg.named(rg.Tanh(), "end")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([a(), END], {"a": "conv2d", "end": "tanh"}),
        ([a(activation=rg.ReLU()), END], {"a/relu": "conv2d + relu", "end": "tanh"}),
        ([rg.named(Conv1D(2), "a"), RELU, END], {"relu": "conv1d + relu", "end": "tanh"}),
        ([a(padding_mode="reflect", bias=False), RELU, END], {"relu": "conv2d + relu", "end": "tanh"}),
        ([a(), plus("x", "a"), RELU, END], {"relu": "conv2d + add + relu", "end": "tanh"}),
        ([a(), plus("a", "x"), END], {"add": "conv2d + add", "end": "tanh"}),
        ([a(), b("x"), plus("a", "b"), RELU, END], {"a": "conv2d", "relu": "conv2d + add + relu", "end": "tanh"}),
        ([a(), b("x", groups=3), plus("a", "b"), END], {"b": "conv2d", "add": "conv2d + add", "end": "tanh"}),
        ([a(), RELU, b("x"), plus("relu", "b"), END],
         {"relu": "conv2d + relu", "add": "conv2d + add", "end": "tanh"}),
    ],
)  # fmt: skip
def test_these_become_one(entries, expected):
    assert kinds(*entries) == expected


@pytest.mark.parametrize(
    "entries",
    [
        [rg.named(OwnConv2D(3), "a"), RELU, END],
        [a(), rg.Tanh(), RELU, END],
        [a(), RELU, rg.named(rg.Add(), "end", inputs=("a", "relu"))],  # two read the convolution
        [a(), plus("a", "a"), END],
        [a(), plus("a", "x", "x"), END],
        [a(groups=2), plus("a", "x"), RELU, END],
        [rg.named(a().layer, "a", recompute=True), RELU, END],  # what is computed again keeps its own nodes
        [rg.named(rg.BatchNorm(), "a"), RELU, END],
    ],
)
def test_these_stay_as_they_are(entries):
    assert len(kinds(*entries)) == len(rg.Network(*entries))
    assert not any("+" in kind for kind in kinds(*entries).values())


def test_what_is_asked_for_is_not_fused_over():
    entries = [a(), plus("a", "x"), RELU, END]
    assert kinds(*entries, keep=["relu"])["relu"] == "conv2d + add + relu"
    assert kinds(*entries, keep=["add"]) == {"add": "conv2d + add", "relu": "relu", "end": "tanh"}
    assert len(kinds(*entries, keep=["a"])) == 4
    assert kinds(a(), RELU)["relu"] == "conv2d + relu"


def test_of_one_group_that_is_computed_again_the_nodes_become_one():
    block = rg.named(rg.Residual((a(activation=rg.ReLU()), b())), "block", recompute=True)
    fused = fuse(rg.Network(block, RELU, END))
    found = {node.name: (node.layer.kind, node.recompute) for node in fused}
    assert found["block/a/relu"] == ("conv2d + relu", "block")
    assert found["block/add"] == ("conv2d + add", "block")
    assert found["relu"] == ("relu", "")


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_the_fused_layer_keeps_the_contract(relu, residual):
    layer = FusedConvolution(Conv2D(2, stride=2, padding_mode="circular" if relu else "zeros"), residual, relu)
    rg.check_layer(layer, (2, 4, 5, 3), *[(2, 2, 3, 2)] * residual)


def test_nothing_is_broadcast():
    layer = FusedConvolution(Conv2D(2, kernel=1), True, True)
    params = layer.init(jax.random.key(0), jax.ShapeDtypeStruct((2, 4, 5, 3), jnp.float32)).params
    with pytest.raises(ShapeError, match="of equal shape"):
        layer.forward(params, {}, rg.Context(), jnp.zeros((2, 4, 5, 3)), jnp.zeros((2, 1, 5, 2)))


# ------------------------------------------------------------------------------------------------------ the same step


def residual_network():
    """Fused in every way; with shared, frozen and recomputed convolutions, and a norm in between."""
    return rg.Network(
        rg.named(Conv2D(4, activation=rg.ReLU()), "first"),
        rg.named(rg.Residual((rg.named(Conv2D(4, activation=rg.ReLU()), "a"), Conv2D(4))), "one", recompute=True),
        rg.ReLU(),
        rg.named(Conv2D(4), "again", share={"weight": "one/a/weight"}),
        rg.ReLU(),
        rg.named(rg.Residual((Conv2D(6, stride=2, bias=False),), (Conv2D(6, kernel=1, stride=2),)), "two", frozen=True),
        rg.ReLU(),
        rg.BatchNorm(),
        rg.named(Conv2D(6, groups=2), "grouped"),
        rg.ReLU(),
        rg.Residual((Conv2D(6, kernel=2, padding_mode="reflect"),)),
        rg.named(rg.GlobalAveragePool(), "mean"),
        rg.Dense(CLASSES),
    )


def batch():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, SIDE, SIDE, CHANNELS)).astype(np.float32)
    return {"x": x, "y": rng.integers(0, CLASSES, ROWS).astype(np.int32), "z": x[..., :1].repeat(4, -1)}


def steps(precision, parts, count=2):
    """The states after some steps, and what they reported, of the step as it is and of one that fuses nothing."""
    network, found = residual_network(), []
    objectives = [rg.Objective("loss", rg.CrossEntropy(), (network.output, "y")),
                  rg.Objective("size", rg.MeanSquaredError(), ("again", "z"), 0.1)]  # fmt: skip
    key = jax.random.key(0)
    with computing_in(precision):
        data = in_precision(batch(), precision)
        variables = in_precision(network.init(key, batch()), precision)
        for fused in (True, False):
            stepper = rg.Stepper(network, objectives, rg.Adam(0.01, accumulate=parts), [rg.L2(0.1)])
            assert len(stepper.fused) < len(network)
            if not fused:
                stepper.fused = network
            train = stepper.start(variables, key)
            for _ in range(count):
                train, outcome = stepper.single(train, data)
            found.append(taken_out((train._replace(key=0), outcome), "float64"))
    return found


def test_steps_of_two_parts_are_the_same_in_float64():
    ours, plain = steps("float64", 2)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12), ours, plain)


def test_a_step_is_the_same_with_native_kernels():
    ours, plain = steps("float32", 1, count=1)
    assert_same_sums(ours, plain)


def test_gradients_and_state_have_their_old_names_and_values_in_between_are_there_for_who_asks():
    network, data = residual_network(), batch()
    objective = rg.Objective("loss", rg.CrossEntropy(), (network.output, "y"))
    stepper = rg.Stepper(network, [objective], rg.Adam(0.01))
    train = stepper.start(network.init(jax.random.key(0), data), jax.random.key(0))
    whole = jax.eval_shape(stepper.evaluate, train, data)
    assert {node.name for node in network} <= whole.outputs.keys()
    assert {node.name for node in network} <= whole.deltas.keys()
    less = jax.eval_shape(lambda train, data: stepper.evaluate(train, data, stepper.fused), train, data)
    assert (less.grads, less.state, less.losses) == (whole.grads, whole.state, whole.losses)
    assert {"first", "one/a", "one/conv2d_1"}.isdisjoint(less.outputs)
    specs = stepper.fused.specs(data)
    assert specs == {name: network.specs(data)[name] for name in stepper.fused.by_name}
    ctx = rg.Context(True, jax.random.key(0))
    one, other = (
        jax.jit(lambda p, s, n=n: backprop(n, [objective], p, s, ctx, data))(train.params, train.state)
        for n in (network, stepper.fused)
    )
    for name in stepper.fused.by_name:
        assert_same_sums((one.outputs[name], one.deltas[name]), (other.outputs[name], other.deltas[name]))
