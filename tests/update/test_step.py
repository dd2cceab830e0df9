"""The compiled step: many at once are one after the other, micro-batches are the whole batch, frozen nodes stay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.network.losses.loss import losses
from retrograd.update.step import STEPS_PER_DISPATCH

ROWS, FEATURES, CLASSES = 24, 5, 3


def columns(dtype=np.float32):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, FEATURES)).astype(dtype)
    return {"x": x, "y": rng.integers(0, CLASSES, ROWS).astype(np.int32)}


def stepper_of(optimizer=None, penalties=(), loss=None, entries=None):
    entries = entries or [rg.Dense(7, "tanh"), rg.Dense(CLASSES)]
    network = rg.Network(*entries)
    objective = rg.Objective("loss", loss or rg.CrossEntropy(), (network.output, "y"))
    return rg.Stepper(network, [objective], optimizer or rg.Adam(0.01), penalties)


def start(stepper, batch, seed=0):
    key = jax.random.key(seed)
    return stepper.start(stepper.network.init(key, batch), key)


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def close(a, b, rtol, atol):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def test_many_steps_in_one_dispatch_equal_single_ones():
    stepper, data = stepper_of(), columns()
    order = np.arange(ROWS, dtype=np.int32).reshape(6, 4)
    many, outcomes = stepper.many(start(stepper, data), jax.tree.map(jnp.asarray, data), order)
    one = start(stepper, data)
    for chosen in order:
        one, _ = stepper.single(one, {name: column[chosen] for name, column in data.items()})
    close(many.params, one.params, rtol=1e-5, atol=1e-7)  # two programs may round otherwise in float32
    assert outcomes.loss.shape == (6,)
    assert int(many.step) == 6


def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    data = columns()
    order = np.arange(ROWS, dtype=np.int32).reshape(6, 4)
    entries = [rg.Dense(7, "tanh"), rg.Dropout(0.5), rg.Dense(CLASSES)]

    def weights(seed):
        stepper = stepper_of(entries=entries)
        return stepper.many(start(stepper, data, seed), jax.tree.map(jnp.asarray, data), order)[0].params

    assert equal(weights(3), weights(3))
    assert not equal(weights(3), weights(4))


def test_the_callers_arrays_survive_donation():
    stepper, data = stepper_of(), columns()
    variables = stepper.network.init(jax.random.key(0), data)
    stepper.single(stepper.start(variables, jax.random.key(0)), data)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables.params))


@pytest.mark.parametrize("parts", [2, 5])
@pytest.mark.parametrize(
    "loss",
    [
        rg.CrossEntropy(),
        rg.CrossEntropy(class_weights=(0.2, 1.0, 3.0), ignored=1),
        rg.CrossEntropy(reduction="sum"),
    ],
    ids=["plain", "weighted", "sum"],
)
def test_micro_batches_add_up_to_the_whole_batch(parts, loss):
    with jax.enable_x64(True):
        data = columns(np.float64)
        whole, split = stepper_of(rg.SGD(0.1), loss=loss), stepper_of(rg.SGD(0.1, accumulate=parts), loss=loss)
        train = start(whole, data)
        train = train._replace(params=jax.tree.map(lambda p: p.astype(jnp.float64), train.params))
        a, b = whole.evaluate(train, data), split.evaluate(train, data)
        close((a.loss, a.losses, a.grads), (b.loss, b.losses, b.grads), rtol=1e-12, atol=1e-14)  # float64 round-off


def test_penalties_enter_loss_and_gradient():
    data = columns()
    plain, penalised = stepper_of(), stepper_of(penalties=[rg.L2(0.1), rg.L1(0.01, "dense_2/*")])
    train = start(plain, data)
    a, b = plain.evaluate(train, data), penalised.evaluate(train, data)
    w = train.params["dense_1"]["weight"]
    np.testing.assert_allclose(b.grads["dense_1"]["weight"] - a.grads["dense_1"]["weight"], 0.1 * w, atol=1e-6)
    squares = sum(float((own["weight"] ** 2).sum()) for own in train.params.values())
    absolutes = sum(float(abs(leaf).sum()) for leaf in train.params["dense_2"].values())
    np.testing.assert_allclose(b.loss - a.loss, 0.05 * squares + 0.01 * absolutes, rtol=1e-4)


def test_frozen_nodes_keep_their_parameters_and_have_no_moments():
    entries = [rg.named(rg.Dense(7, "tanh"), "first", frozen=True), rg.Dense(CLASSES)]
    stepper, data = stepper_of(rg.AdamW(0.1, weight_decay=0.5), entries=entries), columns()
    before = start(stepper, data)
    kept = jax.tree.map(np.asarray, before.params)
    shapes = {leaf.shape for leaf in jax.tree.leaves(before.optimizer)}
    after, _ = stepper.single(before, data)
    assert equal(after.params["first"], kept["first"])
    assert not equal(after.params["dense_1"], kept["dense_1"])
    assert (FEATURES, 7) not in shapes


def test_small_steps_go_many_into_a_dispatch_and_large_ones_alone():
    data = columns()
    small, large = stepper_of(), stepper_of(entries=[rg.Dense(20_000), rg.Dense(1000, "relu"), rg.Dense(CLASSES)])
    assert small.steps_per_dispatch(start(small, data), data) == STEPS_PER_DISPATCH
    specs = jax.eval_shape(lambda key: large.start(large.network.init(key, data), key), jax.random.key(0))
    assert large.steps_per_dispatch(specs, data) == 1


def test_the_rate_factor_scales_the_update():
    stepper, data = stepper_of(rg.SGD(0.1)), columns()
    kept = jax.tree.map(np.asarray, start(stepper, data).params)
    moved = [
        stepper.single(start(stepper, data)._replace(rate_factor=jnp.float32(factor)), data)[0] for factor in (1.0, 0.5)
    ]
    step = [jax.tree.map(lambda a, b: np.asarray(a) - b, train.params, kept) for train in moved]
    close(jax.tree.map(lambda s: s * 0.5, step[0]), step[1], rtol=1e-4, atol=1e-7)  # differences of float32 weights


def test_one_step_by_hand_is_the_compiled_step():
    data = columns()
    stepper = stepper_of(rg.SGD(0.1, momentum=0.9))
    train = start(stepper, data)
    network, objectives = stepper.network, stepper.objectives
    record = rg.forward(network, train.params, {}, rg.Context(train=True), data)
    values, deltas = rg.evaluate_losses(objectives, record.outputs, rg.Context(train=True))
    deltas, grads = rg.backward(network, train.params, record.tapes, deltas)
    chain = stepper.optimizer.build(None)
    params, _ = rg.apply_gradients(chain, train.params, grads, chain.init(train.params))
    after, outcome = stepper.single(start(stepper, data), data)
    close(after.params, params, rtol=1e-5, atol=1e-7)  # compiled and eager round otherwise in float32
    np.testing.assert_allclose(outcome.loss, values["loss"], rtol=1e-6)


def test_every_loss_counts_what_its_mean_divides_by():
    assert all(hasattr(losses[name], "count") for name in losses)
