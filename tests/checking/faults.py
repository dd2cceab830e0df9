"""Twenty slips of the pen in copies of layers, each with the words that hint at its kind."""

from dataclasses import dataclass

import jax.numpy as jnp

import retrograd as rg
from retrograd.network.layer import Backward, Forward, Init
from retrograd.network.layers.normalisation.normalisation import scaled_backward, widened


class FactorOfTwo(rg.Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {**back.grads, "weight": 2 * back.grads["weight"]})


class SignOfTheBias(rg.Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {**back.grads, "bias": -back.grads["bias"]})


class SignOfTheInput(rg.Tanh):
    def backward(self, params, tape, dy):
        return Backward((dy * (tape * tape - 1),))


class TransposedWeight(rg.Dense):
    def backward(self, params, tape, dy):
        return Backward((dy @ params["weight"].astype(dy.dtype),), super().backward(params, tape, dy).grads)


class TransposedGradient(rg.Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {**back.grads, "weight": back.grads["weight"].T})


class TermOfSoftmax(rg.Softmax):
    def backward(self, params, tape, dy):
        return Backward((tape * dy,))


class TermOfLayerNorm(rg.LayerNorm):
    def backward(self, params, tape, dy):
        right = super().backward(params, tape, dy)
        (dx,) = right.inputs
        xhat, inverse = tape
        g = dy * params["scale"].astype(dy.dtype)
        return Backward((dx + inverse * xhat * jnp.mean(g * xhat, -1, keepdims=True),), right.grads)


class TermOfBatchNorm(rg.BatchNorm):
    def backward(self, params, tape, dy):
        x, mean, inverse, *_ = tape
        xhat = (widened(x) - mean) * inverse
        g, grads = scaled_backward(params, widened(dy), xhat)
        return Backward(((g - g.mean(0)) * inverse,), grads)


class ScaleForgotten(rg.RMSNorm):
    def backward(self, params, tape, dy):
        return Backward(
            super().backward(params, tape, dy / params["scale"]).inputs, super().backward(params, tape, dy).grads
        )


class InputOnTheTape(rg.Tanh):
    def forward(self, params, state, ctx, x):
        return Forward(jnp.tanh(x), x)


class OutputOnTheTape(rg.Dense):
    def forward(self, params, state, ctx, x):
        y = super().forward(params, state, ctx, x).y
        return Forward(y, y)


class FirstRowOnly(rg.Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {**back.grads, "bias": dy[0]})


class MeanOverTheBatch(rg.Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {**back.grads, "weight": back.grads["weight"] / len(dy)})


class UnsummedBatch(rg.Dense):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward(back.inputs, {**back.grads, "bias": dy})


@dataclass(frozen=True)
class BroadcastNotSummed(rg.Layer):
    """y = x * gain, with one gain for all rows."""

    def init(self, key, x):
        return Init({"gain": jnp.ones((1, x.shape[-1]), jnp.float32)})

    def forward(self, params, state, ctx, x):
        return Forward(x * params["gain"].astype(x.dtype), x)

    def backward(self, params, tape, dy):
        return Backward((dy * params["gain"].astype(dy.dtype),), {"gain": dy * tape})


class MaskOfAnotherPlace(rg.ReLU):
    def backward(self, params, tape, dy):
        return Backward((jnp.where(jnp.roll(tape, 1) > 0, dy, jnp.zeros_like(dy)),))


class MaskForgotten(rg.ReLU):
    def backward(self, params, tape, dy):
        return Backward((dy,))


class MaskOfDropoutForgotten(rg.Dropout):
    def backward(self, params, tape, dy):
        return Backward((dy,))


class SquareForgotten(rg.Sigmoid):
    def backward(self, params, tape, dy):
        return Backward((dy * tape,))


class MeanForgotten(rg.MeanSquaredError):
    def backward(self, params, tape, dy):
        back = super().backward(params, tape, dy)
        return Backward((2 * back.inputs[0], *back.inputs[1:]))


FAULTS = (  # each with a part of the hint; None where no hint is asked for
    (FactorOfTwo(4), "it is 2 times"),
    (SignOfTheBias(4), "the sign is wrong"),
    (TransposedWeight(4), "transposed weight"),
    (TransposedGradient(4), "the transpose of what it should be"),
    (FirstRowOnly(4), "the sum over the batch is missing"),
    (SignOfTheInput(), "the sign is wrong"),
    (TermOfSoftmax(), "a term is missing"),
    (TermOfLayerNorm(), "a term is missing"),
    (TermOfBatchNorm(), "a term is missing"),
    (ScaleForgotten(), "the parameter scale is ignored"),
    (InputOnTheTape(), "it would be right if the tape were the output"),
    (OutputOnTheTape(4), "it would be right if the tape were input 0"),
    (MeanOverTheBatch(4), "a mean over the 5 rows of the batch instead of a sum"),
    (UnsummedBatch(4), "the sum over the batch is missing"),
    (BroadcastNotSummed(), "the sum over the broadcast axis 0 is missing"),
    (MaskOfAnotherPlace(), "the wrong mask"),
    (MaskForgotten(), "a mask is missing"),
    (MaskOfDropoutForgotten(0.4), "a mask is missing"),
    (SquareForgotten(), "a factor is missing: 1 - the output"),
    (MeanForgotten(), "it is 2 times"),
)
