"""Directions from Adam's two moments that optax computes differently from PyTorch, or not at all."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

MEMORY = 0.96  # Dozat's base of the schedule of beta1


class Moments(NamedTuple):
    """Moving averages of each gradient and of its square, and the number of steps averaged."""

    t: Array
    mu: Any
    nu: Any


class LargestMoments(NamedTuple):
    """Both moving averages, and the largest average of squares so far."""

    t: Array
    mu: Any
    nu: Any
    nu_max: Any


class NesterovMoments(NamedTuple):
    """Both moving averages, and the product of all beta1 so far."""

    t: Array
    mu: Any
    nu: Any
    product: Array


def scale_by_uncorrected_adam(beta1: float, beta2: float, eps: float) -> optax.GradientTransformation:
    """Return Adam's direction without bias correction: m / (sqrt(v) + eps).

    The first steps are (1 - beta1) / sqrt(1 - beta2) times as long as with it: 3.2 times for the usual betas.
    """

    def init(params: Any) -> Moments:
        return Moments(*_start(params))

    def update(grads: Any, state: Moments, params: Any = None) -> tuple[Any, Moments]:
        mu, nu = _averaged(grads, state, beta1, beta2)
        return jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), mu, nu), Moments(state.t + 1, mu, nu)

    return optax.GradientTransformation(init, update)


def scale_by_amsgrad(
    beta1: float, beta2: float, eps: float, bias_correction: bool = True
) -> optax.GradientTransformation:
    """Return Adam's direction with the largest average of squares so far, corrected after the maximum is taken.

        w <- max(w, v);  d = (m / (1 - beta1^t)) / (sqrt(w / (1 - beta2^t)) + eps)

    See:  Reddi et al. 2018, arXiv:1904.09237, in the form of PyTorch and Keras; optax corrects before the maximum.
    """

    def init(params: Any) -> LargestMoments:
        return LargestMoments(*_start(params), optax.tree.zeros_like(params))

    def update(grads: Any, state: LargestMoments, params: Any = None) -> tuple[Any, LargestMoments]:
        mu, nu = _averaged(grads, state, beta1, beta2)
        largest = jax.tree.map(jnp.maximum, state.nu_max, nu)
        first, second = (1 - _power(beta, state.t + 1) if bias_correction else 1.0 for beta in (beta1, beta2))

        def direction(m: Array, w: Array) -> Array:
            return ((m / first) / (jnp.sqrt(w / second) + eps)).astype(m.dtype)

        return jax.tree.map(direction, mu, largest), LargestMoments(state.t + 1, mu, nu, largest)

    return optax.GradientTransformation(init, update)


def scale_by_nadam(beta1: float, beta2: float, eps: float, momentum_decay: float) -> optax.GradientTransformation:
    """Return Adam's direction with Nesterov's lookahead, and a beta1 that rises from half to its full value.

        b_t = beta1 (1 - 0.96^(t momentum_decay) / 2);  B_t = b_1 ... b_t
        d   = ((1 - b_t) g / (1 - B_t) + b_(t+1) m / (1 - B_(t+1))) / (sqrt(v / (1 - beta2^t)) + eps)

    See:  Dozat 2016, in PyTorch's form.
    """

    def weight(step: Array) -> Array:
        return beta1 * (1 - 0.5 * jnp.asarray(MEMORY, _wide()) ** (step * momentum_decay))

    def init(params: Any) -> NesterovMoments:
        return NesterovMoments(*_start(params), jnp.ones((), _wide()))

    def update(grads: Any, state: NesterovMoments, params: Any = None) -> tuple[Any, NesterovMoments]:
        mu, nu = _averaged(grads, state, beta1, beta2)
        step = state.t + 1
        current, following = weight(step), weight(step + 1)
        product = (state.product * current).astype(state.product.dtype)
        second = 1 - _power(beta2, step)
        gradient_weight, average_weight = (1 - current) / (1 - product), following / (1 - product * following)

        def direction(g: Array, m: Array, v: Array) -> Array:
            return ((gradient_weight * g + average_weight * m) / (jnp.sqrt(v / second) + eps)).astype(g.dtype)

        return jax.tree.map(direction, grads, mu, nu), NesterovMoments(step, mu, nu, product)

    return optax.GradientTransformation(init, update)


def _start(params: Any) -> tuple[Array, Any, Any]:
    return jnp.zeros((), jnp.int32), optax.tree.zeros_like(params), optax.tree.zeros_like(params)


def _averaged(grads: Any, state: Any, beta1: float, beta2: float) -> tuple[Any, Any]:
    return optax.tree.update_moment(grads, state.mu, beta1, 1), optax.tree.update_moment(grads, state.nu, beta2, 2)


def _power(beta: float, step: Array) -> Array:
    return jnp.asarray(beta, _wide()) ** step


def _wide() -> Any:
    """Return the widest enabled floating-point type."""
    return jnp.result_type(float)
