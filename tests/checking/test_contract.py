"""The contract catches planted faults and names the tensor; healthy layers pass."""

from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import BeforeValidator

from retrograd.checking.contract import ContractError, check_layer
from retrograd.network.layer import Backward, Forward, Init, Input, Layer, Static
from retrograd.network.layers import Dense, Dropout, Embedding, Multiply, PReLU, Softmax, Tanh

ROWS = (5, 4)


# ------------------------------------------------------------------------------------------------- planted faults


class WrongFactor(Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward((2 * back.inputs[0],), back.grads)


class SlightlyOff(Tanh):
    def backward(self, params, tape, dy):
        return Backward((dy * (1 - tape * tape) * (1 + 1e-8),))


class TransposedWeight(Dense):
    def backward(self, params, tape, dy):
        return Backward((dy @ params["weight"],), super().backward(params, tape, dy).grads)


class WrongSignOfBias(Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {**back.grads, "bias": -back.grads["bias"]})


class ForgottenBias(Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {"weight": back.grads["weight"]})


class UnsummedBatch(Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {**back.grads, "bias": dy})


class FirstRowOnly(Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {**back.grads, "bias": dy[0]})


class MeanInsteadOfSum(PReLU):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {"slope": back.grads["slope"] / len(dy)})


class GradientInTheInputsDtype(Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {**back.grads, "weight": back.grads["weight"].astype(dy.dtype)})


class GradientOfNothing(Tanh):
    def backward(self, params, tape, dy):
        return Backward((dy * (1 - tape * tape),), {"weight": dy})


class WrongTape(Tanh):
    def forward(self, params, state, ctx, x):
        return Forward(jnp.tanh(x), x)


class WrongInput(Multiply):
    def backward(self, params, tape, dy):
        return Backward(super().backward(params, tape, dy).inputs[::-1])


class OneDeltaTooFew(Multiply):
    def backward(self, params, tape, dy):
        return Backward(super().backward(params, tape, dy).inputs[:1])


class NoDelta(Tanh):
    def backward(self, params, tape, dy):
        return Backward((None,))


class DeltaOfIdentifiers(Embedding):
    def backward(self, params, tape, dy):
        return Backward((jnp.zeros(tape.shape),), super().backward(params, tape, dy).grads)


class DiagonalOfTheJacobian(Softmax):
    def backward(self, params, tape, dy):
        return Backward((dy * tape * (1 - tape),))


class AnotherMask(Dropout):
    def backward(self, params, tape, dy):
        return super().backward(params, None if tape is None else jnp.roll(tape, 1), dy)


class WrongInTrainingOnly(Tanh):
    def forward(self, params, state, ctx, x):
        return Forward(jnp.tanh(x), (jnp.tanh(x), Static(ctx.train)))

    def backward(self, params, tape, dy):
        y, train = tape
        return Backward((dy * (1 - y * y) * (0.5 if train.value else 1.0),))


class ComputedInFloat32(Tanh):
    def forward(self, params, state, ctx, x):
        y = jnp.tanh(x.astype(jnp.float32))
        return Forward(y, y)


class WidenedOutput(Tanh):
    def forward(self, params, state, ctx, x):
        y = jnp.tanh(x)
        return Forward(y * jnp.ones((), jnp.promote_types(x.dtype, jnp.float32)), y)


class MixesTheBatch(Tanh):
    def forward(self, params, state, ctx, x):
        return Forward(x - x.mean(0), ())

    def backward(self, params, tape, dy):
        return Backward((dy - dy.mean(0),))


class TapeOfText(Tanh):
    def forward(self, params, state, ctx, x):
        y = jnp.tanh(x)
        return Forward(y, (y, "tanh"))

    def backward(self, params, tape, dy):
        return super().backward(params, tape[0], dy)


class TapeOfAMode(Tanh):
    def forward(self, params, state, ctx, x):
        y = jnp.tanh(x)
        return Forward(y, (y, True))

    def backward(self, params, tape, dy):
        y, exact = tape
        return super().backward(params, y, dy if exact else 0 * dy)


@dataclass(frozen=True)
class Counting(Layer):
    """y = x * scale, and the state counts the training batches."""

    def init(self, key, x):
        return Init({"scale": jnp.ones(x.shape[-1:], jnp.float32)}, {"batches": jnp.zeros((), jnp.float32)})

    def forward(self, params, state, ctx, x):
        count = {"batches": state["batches"] + 1} if ctx.train else state
        return Forward(x * params["scale"].astype(x.dtype), x, count)

    def backward(self, params, tape, dy):
        scale = params["scale"]
        return Backward((dy * scale.astype(dy.dtype),), {"scale": (dy * tape).sum(0, dtype=scale.dtype)})


class StateInAnotherDtype(Counting):
    def forward(self, params, state, ctx, x):
        return super().forward(params, state, ctx, x)._replace(state={"batches": state["batches"].astype(jnp.int32)})


class StateForgottenInTraining(Counting):
    def forward(self, params, state, ctx, x):
        step = super().forward(params, state, ctx, x)
        return step._replace(state={}) if ctx.train else step


@dataclass(frozen=True)
class ReadsBackAsAnother(Tanh):
    gain: Annotated[float, BeforeValidator(lambda value: value + 1)] = 1.0


@dataclass(frozen=True)
class CannotBeHashed(Tanh):
    table: Any = None

    def __post_init__(self):
        object.__setattr__(self, "table", {"a": 1})


@jax.custom_jvp
def _lying_tanh(x):
    return jnp.tanh(x)


_lying_tanh.defjvps(lambda dx, y, x: dx * y)


class WrongAsJaxBelieves(Tanh):
    """Its forward gives jax.vjp the same wrong gradient as backward: only a central difference can show it."""

    def forward(self, params, state, ctx, x):
        y = _lying_tanh(x)
        return Forward(y, y)

    def backward(self, params, tape, dy):
        return Backward((dy * tape,))


MUTANTS = [
    (WrongFactor(3), [ROWS], r"jax.vjp: gradient of input 0: relative error 1, allowed"),
    (SlightlyOff(), [ROWS], r"jax.vjp: gradient of input 0: relative error 1e-8, allowed"),
    (TransposedWeight(4), [ROWS], "jax.vjp: gradient of input 0"),
    (WrongSignOfBias(3), [ROWS], "jax.vjp: gradient of bias"),
    (ForgottenBias(3), [ROWS], "gradient of bias: missing"),
    (UnsummedBatch(3), [ROWS], r"gradient of bias: expected float64\[3\], found float64\[5, 3\]"),
    (FirstRowOnly(3), [ROWS], "jax.vjp: gradient of bias"),
    (MeanInsteadOfSum(), [ROWS], "jax.vjp: gradient of slope"),
    (GradientInTheInputsDtype(3), [ROWS], r"bfloat16: gradient of weight: expected float32\[4, 3\], found bfloat16"),
    (GradientOfNothing(), [ROWS], "gradient of weight: unexpected"),
    (WrongTape(), [ROWS], "jax.vjp: gradient of input 0"),
    (WrongInput(), [ROWS, ROWS], "jax.vjp: gradient of input 1"),
    (OneDeltaTooFew(), [ROWS, ROWS], "backward returns 1 deltas for 2 inputs"),
    (NoDelta(), [ROWS], "gradient of input 0: missing"),
    (DeltaOfIdentifiers(2, vocabulary=5), [Input((3, 2), "labels", 5)], "gradient of input 0: unexpected"),
    (DiagonalOfTheJacobian(), [ROWS], "jax.vjp: gradient of input 0"),
    (AnotherMask(), [ROWS], "train: jax.vjp: gradient of input 0"),
    (WrongInTrainingOnly(), [ROWS], "train: jax.vjp: gradient of input 0"),
    (ComputedInFloat32(), [ROWS], "a float64 input gives a float32 output"),
    (WidenedOutput(), [ROWS], "a bfloat16 input gives a float32 output"),
    (MixesTheBatch(), [ROWS], "row 0 alone"),
    (TapeOfText(), [ROWS], "the tape cannot be returned from jit"),
    (TapeOfAMode(), [ROWS], "the tape cannot be returned from jit"),
    (StateInAnotherDtype(), [ROWS], r"state batches: expected float64\[\], found int32"),
    (StateForgottenInTraining(), [ROWS], "train: state batches: missing"),
    (ReadsBackAsAnother(), [ROWS], "its configuration .* reads back as"),
    (CannotBeHashed(), [ROWS], "it cannot be hashed"),
    (WrongAsJaxBelieves(), [ROWS], "central difference: gradient of input 0"),
]


@pytest.mark.parametrize(
    ("layer", "inputs", "words"), MUTANTS, ids=lambda part: type(part).__name__ if isinstance(part, Layer) else ""
)
def test_planted_fault_is_caught_and_its_tensor_named(layer, inputs, words):
    with pytest.raises(ContractError, match=words):
        check_layer(layer, *inputs)


def test_a_fault_of_one_tensor_is_not_blamed_on_another():
    with pytest.raises(ContractError) as caught:
        check_layer(WrongSignOfBias(3), ROWS)
    assert "weight" not in str(caught.value).partition("\n")[2]
    assert "input 0" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------- healthy ones


@dataclass(frozen=True)
class TwoOutputs(Layer):
    """A dict of outputs; jax.vjp writes its backward."""

    def forward(self, params, state, ctx, x, y):
        return Forward({"sum": x + y, "product": x * y})


@dataclass(frozen=True)
class StraightThrough(Layer):
    """sign(x), with the delta passed on as if it were x."""

    surrogate = "the derivative of the sign is 0 almost everywhere"

    def forward(self, params, state, ctx, x):
        return Forward(x + jax.lax.stop_gradient(jnp.sign(x) - x))

    def backward(self, params, tape, dy):
        return Backward((dy,))


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (Counting(), [ROWS]),
        (TwoOutputs(), [ROWS, ROWS]),
        (StraightThrough(), [ROWS]),
        (Embedding(2, vocabulary=5, padding=1), [np.array([[0, 1], [4, 1]])]),
        (Multiply(), [np.zeros((2, 2)), np.ones((2, 2))]),
    ],
    ids=str,
)
def test_healthy_layer_passes(layer, inputs):
    check_layer(layer, *inputs)


def test_float64_is_switched_off_again_after_a_check():
    with pytest.raises(ContractError):
        check_layer(WrongFactor(3), ROWS)
    assert jnp.zeros(()).dtype == jnp.float32
