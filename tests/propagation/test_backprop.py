"""The pass: its gradients and deltas on random graphs, and every rule of how deltas travel."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from retrograd.base.errors import ConfigError, ShapeError
from retrograd.network.layer import Backward, Context, Forward, Init, Layer
from retrograd.network.layers import Add, Concat, Dense, Embedding, Flatten, Multiply, ReLU, Sigmoid, Tanh
from retrograd.network.losses import MeanSquaredError
from retrograd.network.network import Network
from retrograd.network.scope import named
from retrograd.propagation.backprop import backprop, backward, forward
from retrograd.propagation.objective import Objective, evaluate_losses
from retrograd.propagation.one_layer import adjoint, run_layer
from tests.propagation.graphs import evaluate, numbers, problems

EXACT = 1e-10  # float64: two ways to write one derivative differ by round-off alone
MSE = MeanSquaredError()
CTX = Context()


def assert_close(found, expected, what):
    scale = max(float(jnp.linalg.norm(expected)), 1e-3)
    assert float(jnp.linalg.norm(found - expected)) <= EXACT * scale, what


@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems())
def test_gradients_and_deltas_of_a_random_graph_equal_jax_grad(problem):
    network, objectives, seed = problem
    with jax.enable_x64(True):
        params, batch = numbers(network, objectives, seed)
        step = backprop(network, objectives, params, {}, CTX, batch)
        nudges = {node.name: jnp.zeros_like(step.outputs[node.name]) for node in network.nodes}
        reals = {name: batch[name] for name in ("x", "z")}
        loss, (grads, by_column, deltas) = jax.value_and_grad(
            lambda p, columns, n: evaluate(network, objectives, p, {**batch, **columns}, n), argnums=(0, 1, 2)
        )(params, reals, nudges)
        assert_close(step.loss, loss, "loss")
        assert jax.tree.structure(step.grads) == jax.tree.structure(params)
        for path, grad in jax.tree_util.tree_leaves_with_path(grads):
            (node, name) = (part.key for part in path)
            assert_close(step.grads[node][name], grad, f"gradient of {node}/{name}")
        for name, delta in {**deltas, **by_column}.items():
            if name in step.deltas:
                assert_close(step.deltas[name], delta, f"delta of {name}")
            else:
                assert not delta.any(), f"{name} is reached by a loss and has no delta"


# --------------------------------------------------------------------------------------------------- how deltas travel


def passed(network, objectives, batch, train=False, key=0):
    """Return params and the pass of a network with its first values, in float32."""
    variables = network.init(jax.random.key(key), batch)
    ctx = Context(train, jax.random.key(1))
    return variables, backprop(network, objectives, variables.params, variables.state, ctx, batch)


X = jnp.array([[1.0, -2.0, 0.5], [0.3, 0.1, -1.0]])


def test_an_output_that_several_nodes_read_sums_their_deltas():
    network = Network(
        named(Dense(3), "h"),
        named(Tanh(), "a"),
        named(Sigmoid(), "b", inputs="h"),
        named(Add(), "y", inputs=["a", "b", "h"]),
    )
    variables, step = passed(network, [Objective("loss", MSE, ("y", "x"))], {"x": X})
    tapes = forward(network, variables.params, {}, CTX, {"x": X}).tapes
    by_tanh, by_sigmoid = (adjoint(network.by_name[n].layer, {}, tapes[n], step.deltas[n]).inputs[0] for n in "ab")
    np.testing.assert_allclose(step.deltas["h"], by_tanh + by_sigmoid + step.deltas["y"], rtol=1e-6)


def test_a_node_may_read_another_twice():
    network = Network(named(Multiply(), "square", inputs=["x", "x"]))
    deltas, _ = backward(network, {}, forward(network, {}, {}, CTX, {"x": X}).tapes, {"square": jnp.ones_like(X)})
    np.testing.assert_allclose(deltas["x"], 2 * X)


def test_a_node_that_no_loss_reaches_has_no_delta_and_zero_gradients():
    network = Network(named(Dense(3), "used"), named(Dense(4), "idle"), named(Tanh(), "y", inputs="used"))
    variables, step = passed(network, [Objective("loss", MSE, ("y", "x"))], {"x": X})
    assert "idle" not in step.deltas
    assert step.grads["idle"].keys() == variables.params["idle"].keys()
    assert not any(grad.any() for grad in step.grads["idle"].values())
    assert step.grads["used"]["weight"].any()


def test_whole_numbers_get_no_delta():
    network = Network(Embedding(2, vocabulary=5), Flatten(), named(Dense(3), "y"))
    batch = {"x": jnp.array([[0, 4], [1, 1]]), "t": X}
    _, step = passed(network, [Objective("loss", MSE, ("y", "t"))], batch)
    assert "x" not in step.deltas
    assert "t" not in step.deltas
    np.testing.assert_array_equal(step.grads["embedding_1"]["weight"].any(1), [True, True, False, False, True])


def test_objectives_add_with_their_weights_and_a_micro_batch_with_its_share():
    network = Network(named(Dense(3), "a"), named(Tanh(), "b"))
    first, second = Objective("first", MSE, ("a", "x"), 0.5), Objective("second", MSE, ("b", "x"), 3.0)
    variables, both = passed(network, [first, second], {"x": X})
    alone = [passed(network, [objective], {"x": X})[1] for objective in (first, second)]
    np.testing.assert_allclose(both.loss, 0.5 * both.losses["first"] + 3 * both.losses["second"], rtol=1e-6)
    np.testing.assert_allclose(both.grads["a"]["weight"], sum(each.grads["a"]["weight"] for each in alone), rtol=1e-5)
    shares = {"first": jnp.float32(0.25), "second": jnp.float32(1.0)}
    part = backprop(network, [first, second], variables.params, {}, CTX, {"x": X}, shares)
    expected = 0.25 * alone[0].grads["a"]["weight"] + alone[1].grads["a"]["weight"]
    np.testing.assert_allclose(part.grads["a"]["weight"], expected, rtol=1e-5)


def test_gradients_of_shared_parameters_add_up_on_their_owner():
    network = Network(
        named(Dense(3), "owner"),
        named(Dense(3), "same", share={"weight": "owner/weight"}),
        named(Dense(3), "turned", share={"weight": "owner/weight.T", "bias": "owner/bias"}),
    )
    variables, step = passed(network, [Objective("loss", MSE, ("turned", "x"))], {"x": X})
    assert {name: set(own) for name, own in variables.params.items()} == {"owner": {"weight", "bias"}, "same": {"bias"}}
    w, outputs, deltas = variables.params["owner"]["weight"], step.outputs, step.deltas
    np.testing.assert_allclose(deltas["same"], deltas["turned"] @ w, rtol=1e-5)
    expected = X.T @ deltas["owner"] + outputs["owner"].T @ deltas["same"] + (outputs["same"].T @ deltas["turned"]).T
    np.testing.assert_allclose(step.grads["owner"]["weight"], expected, rtol=1e-5)
    np.testing.assert_allclose(step.grads["owner"]["bias"], deltas["owner"].sum(0) + deltas["turned"].sum(0), rtol=1e-5)


# ------------------------------------------------------------------------------------- layers without a backward, parts


@dataclass(frozen=True)
class Halves(Layer):
    """Two outputs: the first half of the features, squared, and the rest. jax.vjp writes its backward."""

    def forward(self, params, state, ctx, x):
        half = x.shape[1] // 2
        return Forward({"head": x[:, :half] ** 2, "tail": x[:, half:]})


@dataclass(frozen=True)
class WrittenHalves(Halves):
    """The same with a hand-written backward, which receives None for an unread part."""

    def forward(self, params, state, ctx, x):
        return super().forward(params, state, ctx, x)._replace(tape=x)

    def backward(self, params, tape, dy):
        half = tape.shape[1] // 2
        head, tail = (dy.get(part) for part in ("head", "tail"))
        left = jnp.zeros_like(tape[:, :half]) if head is None else 2 * tape[:, :half] * head
        return Backward((jnp.concatenate([left, jnp.zeros_like(tape[:, half:]) if tail is None else tail], 1),))


@dataclass(frozen=True)
class FallbackDense(Dense):
    """Dense whose backward jax.vjp writes."""

    backward = Layer.backward


def test_a_layer_without_backward_is_recorded_by_jax_vjp_and_says_so():
    written, derived = Dense(2), FallbackDense(2)
    assert (written.derivation, derived.derivation) == ("written", "jax.vjp")
    params, dy = {"weight": jnp.ones((3, 2)), "bias": jnp.zeros(2)}, jnp.array([[1.0, -1.0], [0.5, 2.0]])
    backs = [adjoint(layer, params, run_layer(layer, params, {}, CTX, (X,)).tape, dy) for layer in (written, derived)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), *backs)


def test_the_tape_of_jax_vjp_crosses_jit_and_leaves_whole_numbers_alone():
    @dataclass(frozen=True)
    class Lookup(Layer):
        def init(self, key, ids, scale):
            return Init({"table": jnp.ones((4, 2))})

        def forward(self, params, state, ctx, ids, scale):
            return Forward(params["table"][ids] * scale)

    layer = Lookup()
    params, inputs = {"table": jnp.ones((4, 2))}, (jnp.array([0, 3]), jnp.array([[2.0], [3.0]]))
    step = jax.jit(lambda p, *xs: run_layer(layer, p, {}, CTX, xs))(params, *inputs)
    back = jax.jit(lambda p, tape, dy: adjoint(layer, p, tape, dy))(params, step.tape, jnp.ones((2, 2)))
    assert back.inputs[0] is None
    np.testing.assert_array_equal(back.inputs[1], [[2.0], [2.0]])
    np.testing.assert_array_equal(back.grads["table"], [[2, 2], [0, 0], [0, 0], [3, 3]])


@pytest.mark.parametrize("halves", [Halves(), WrittenHalves()], ids=str)
@pytest.mark.parametrize("read", [["head"], ["tail"], ["head", "tail"], ["tail", "tail"]], ids=str)
def test_parts_of_an_output_are_read_by_name_and_absent_ones_count_nothing(halves, read):
    x = jnp.array([[1.0, 2.0, 3.0, 4.0]])
    network = Network(named(halves, "halves"), named(Concat(), "y", inputs=[f"halves.{part}" for part in read]))
    tapes = forward(network, {}, {}, CTX, {"x": x}).tapes
    deltas, _ = backward(network, {}, tapes, {"y": jnp.ones((1, 2 * len(read)))})
    assert set(deltas["halves"]) == set(read)
    expected = [2.0, 4.0] if "head" in read else [0.0, 0.0]
    np.testing.assert_allclose(deltas["x"], [expected + [float(read.count("tail"))] * 2])


def test_a_loss_may_act_on_one_part():
    x = jnp.array([[1.0, 2.0, 3.0, 4.0]])
    network = Network(named(Halves(), "halves"))
    _, step = passed(network, [Objective("loss", MSE, ("halves.tail", "t"))], {"x": x, "t": jnp.zeros((1, 2))})
    np.testing.assert_allclose(step.deltas["x"], [[0, 0, 3, 4]])


def test_a_part_that_does_not_exist_is_named():
    network = Network(named(Halves(), "halves"), named(Tanh(), "y", inputs="halves.tial"))
    with pytest.raises(ConfigError, match="'halves' has no output called 'tial'; did you mean 'tail'"):
        network.init(jax.random.key(0), {"x": jnp.ones((1, 4))})


# --------------------------------------------------------------------------------------------------- state and errors


@dataclass(frozen=True)
class Running(Layer):
    """Subtract the batch's mean in training and a running one otherwise; jax.vjp writes its backward."""

    def init(self, key, x):
        return Init({}, {"mean": jnp.zeros(x.shape[1:], jnp.float32)})

    def forward(self, params, state, ctx, x):
        if not ctx.train:
            return Forward(x - state["mean"], (), state)
        return Forward(x - x.mean(0), (), {"mean": 0.9 * state["mean"] + 0.1 * x.mean(0)})


def test_state_moves_in_training_and_stays_otherwise():
    network = Network(named(Running(), "running"), ReLU())
    for train, mean in ((True, 0.1 * X.mean(0)), (False, 0 * X[0])):
        _, step = passed(network, [Objective("loss", MSE, (network.output, "x"))], {"x": X}, train)
        np.testing.assert_allclose(step.state["running"]["mean"], mean)
        assert set(step.state) == {"running"}


def test_a_frozen_node_uses_its_running_state_and_keeps_it():
    network = Network(named(Running(), "running", frozen=True), ReLU())
    _, step = passed(network, [Objective("loss", MSE, (network.output, "x"))], {"x": X}, train=True)
    np.testing.assert_array_equal(step.outputs["running"], X)
    np.testing.assert_array_equal(step.state["running"]["mean"], 0 * X[0])


def test_an_error_inside_a_layer_names_the_node():
    network = Network(named(Dense(2), "a"), named(Dense(3), "b"))
    params = {"a": {"weight": jnp.ones((3, 2))}, "b": {"weight": jnp.ones((5, 3))}}
    with pytest.raises(ShapeError, match=r"^b \(dense\): input: expected \(batch, ..., 5\), got \(2, 2\)"):
        forward(network, params, {}, CTX, {"x": X})


def test_an_error_inside_a_loss_names_the_objective():
    with pytest.raises(
        ShapeError, match=r"^fit \(mean_squared_error of x, t\): expected a target of the prediction's shape"
    ):
        evaluate_losses([Objective("fit", MSE, ("x", "t"))], {"x": X, "t": X[:, :1]}, CTX)
