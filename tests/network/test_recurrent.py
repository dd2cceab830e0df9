"""Recurrent layers: masks, both directions, carried states, truncation, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.errors import ConfigError, DataTypeError, ShapeError
from retrograd.checking.contract import check_layer
from retrograd.network.entries import parse_entries
from retrograd.network.layer import Context
from retrograd.network.layers import GRU, LSTM, RNN, Dense
from retrograd.network.network import Network
from retrograd.network.scope import named
from retrograd.propagation.backprop import backward, forward
from retrograd.propagation.one_layer import adjoint, run_layer

LAYERS = (RNN, LSTM, GRU)
SAME = {"rtol": 1e-12, "atol": 1e-12}  # the same sums in float64
rng = np.random.default_rng(5)
X = rng.normal(size=(3, 5, 2))
LENGTHS = (5, 1, 3)
MASK = np.arange(5) < np.array(LENGTHS)[:, None]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def first(layer, *inputs):
    """Parameters away from their first values, so that no bias is 0."""
    params = jax.eval_shape(layer.init, jax.random.key(0), *inputs).params
    numbers = np.random.default_rng(1)
    return {name: jnp.asarray(0.5 * numbers.normal(size=p.shape)) for name, p in params.items()}


def run(layer, params, *inputs):
    return jax.jit(lambda params, *inputs: layer.forward(params, {}, Context(), *inputs).y)(params, *inputs)


def both(layer, params, *inputs):
    """Return the output, and the deltas of the inputs for a delta of ones."""

    @jax.jit
    def passed(params, *inputs):
        step = run_layer(layer, params, {}, Context(), inputs)
        return step.y, adjoint(layer, params, step.tape, jax.tree.map(jnp.ones_like, step.y)).inputs

    return passed(params, *inputs)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_padded_batch_is_its_sequences_one_by_one(kind):
    layer = kind(2, bidirectional=True, output="all")
    params = first(layer, X)
    rubbish = np.where(MASK[..., None], X, 1e3)
    y = run(layer, params, rubbish, MASK)
    for i, length in list(enumerate(LENGTHS))[1:]:
        alone = run(layer, params, X[i : i + 1, :length])
        np.testing.assert_allclose(y["sequence"][i, :length], alone["sequence"][0], **SAME)
        np.testing.assert_array_equal(y["sequence"][i, length:], 0)
        for part in set(alone) - {"sequence"}:
            np.testing.assert_allclose(y[part][i], alone[part][0], **SAME)


@pytest.mark.parametrize("kind", LAYERS)
def test_nothing_flows_back_into_what_is_padded(kind):
    layer = kind(2, output="sequence")
    params = first(layer, X)
    _, (dx, none) = both(layer, params, X, MASK)
    assert none is None
    np.testing.assert_array_equal((np.asarray(dx) != 0).all(-1), MASK)


def test_masks_that_leave_one_step_or_none_or_have_holes_keep_the_contract():
    mask = np.array([[True, False, False], [False, False, False], [False, True, False]])
    check_layer(LSTM(2, bidirectional=True, output="all"), X[:, :3], mask)


def test_where_nothing_is_valid_the_last_state_is_the_initial_one():
    start = rng.normal(size=(1, 2))
    layer = GRU(2)
    y = run(layer, first(layer, X), X[:1], np.zeros((1, 5), bool), start)
    np.testing.assert_array_equal(y, start)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_sequence_in_two_halves_with_the_state_carried_over_is_the_whole(kind):
    layer = kind(3, output="all")
    params = first(layer, X)
    whole, begin = run(layer, params, X), run(layer, params, X[:, :2])
    end = run(layer, params, X[:, 2:], *(begin[part] for part in layer.states))
    np.testing.assert_allclose(jnp.concatenate([begin["sequence"], end["sequence"]], 1), whole["sequence"], **SAME)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_parts_of_all_are_the_outputs_on_their_own(kind):
    params = first(kind(2, bidirectional=True), X)
    parts = run(kind(2, bidirectional=True, output="all"), params, X)
    for output in ("last", "sequence"):
        np.testing.assert_array_equal(run(kind(2, bidirectional=True, output=output), params, X), parts[output])


def test_an_unread_part_brings_no_delta():
    parts = Network(named(LSTM(2, output="all"), "lstm"), named(Dense(1), "y", inputs="lstm.last"))
    plain = Network(named(LSTM(2), "lstm"), named(Dense(1), "y"))
    params = plain.init(jax.random.key(0), {"x": X}).params

    def grads(network, params):
        record = forward(network, params, {}, Context(), {"x": X})
        return backward(network, params, record.tapes, {"y": jnp.ones((3, 1))})[1]

    found = [jax.jit(lambda params, network=network: grads(network, params))(params) for network in (parts, plain)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), *found)  # float32 parameters


def test_truncation_changes_the_gradient_and_not_the_output():
    params = first(LSTM(2), X)
    found = {}
    for truncate in (None, 2, 5):
        y, (dx,) = both(LSTM(2, truncate=truncate), params, X)
        found[truncate] = y, dx
    np.testing.assert_array_equal(found[2][0], found[None][0])
    np.testing.assert_allclose(found[5][1], found[None][1], **SAME)  # no border within five steps
    np.testing.assert_array_equal(found[2][1][:, :4], 0)  # the last border is before the fifth step
    np.testing.assert_allclose(found[2][1][:, 4], found[None][1][:, 4], **SAME)


def test_the_forget_gate_can_begin_open():
    bias = LSTM(2, forget_bias=1.0, bidirectional=True).init(jax.random.key(0), X).params["reverse_bias"]
    np.testing.assert_array_equal(bias, [0, 0, 1, 1, 0, 0, 0, 0])


def test_a_configuration_stacks_them_in_two_lines():
    entries = parse_entries([{"lstm": {"units": 4, "output": "sequence", "bidirectional": True}}, {"gru": 3}, "tanh"])
    specs = Network(*entries).specs({"x": X})
    assert [spec.shape for spec in specs.values()] == [(3, 5, 8), (3, 3), (3, 3)]


@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        ([X[:, 0]], ShapeError, r"expected \(batch, time, features\), got \(3, 2\).*output: sequence"),
        ([X, MASK[:, :4]], ShapeError, r"expected one mask \(batch, time\) = \(3, 5\), got \(3, 4\)"),
        ([X, X[:, 0]], ShapeError, r"initial states: expected \(3, 2\) and \(3, 2\), got \(3, 2\)"),
        ([np.ones((3, 5, 2), int)], DataTypeError, "expected real numbers, got int64"),
    ],
)
def test_inputs_that_do_not_fit_are_named(inputs, error, words):
    columns = {f"x{i}": x for i, x in enumerate(inputs)}
    with pytest.raises(error, match=words):
        Network(LSTM(2), inputs=list(columns)).specs(columns)


def test_a_forget_bias_needs_a_bias():
    with pytest.raises(ConfigError, match=r"forget_bias.*there is no bias to add it to"):
        LSTM(2, bias=False, forget_bias=1.0)
