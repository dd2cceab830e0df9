"""The step that a user of JAX writes: plain jax.numpy, `jax.value_and_grad`, optax, donated buffers."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from contestant import Absent, Contestant
from jax import Array, lax
from workloads import CNN, GPT, LSTM, RATE, Dense, ResNet, Workload


class JaxGrad(Contestant):
    def __init__(self, work: Workload) -> None:
        super().__init__(work)
        forward = functools.partial(FORWARD[type(work)], work)
        optimizer = optax.adam(RATE)

        def loss(params, running, x, y):
            logits, running = forward(params, running, x)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), running

        @functools.partial(jax.jit, donate_argnums=0)
        def step(held, x, y):
            params, state, running = held
            (value, running), grads = jax.value_and_grad(loss, has_aux=True)(params, running, x, y)
            updates, state = optimizer.update(grads, state, params)
            return (optax.apply_updates(params, updates), state, running), value

        self.compiled = step
        params = jax.tree.map(jnp.asarray, work.weights())
        names = [name for name in params if name.startswith("norm_")]
        running = {n: (jnp.zeros_like(params[n]["bias"]), jnp.ones_like(params[n]["bias"])) for n in names}
        self.held = (params, optimizer.init(params), running)

    def step(self, x: Any, y: Any) -> Any:
        self.held, loss = self.compiled(self.held, x, y)
        return loss

    def wait(self) -> None:
        jax.block_until_ready(self.held)

    def temporary_bytes(self) -> int | None:
        return self.compiled.lower(self.held, *self.batches[0]).compile().memory_analysis().temp_size_in_bytes


class Products(Contestant):
    """The matrix products of a dense network's step and nothing else: the floor under whoever computes them by XLA."""

    def __init__(self, work: Workload) -> None:
        if not isinstance(work, Dense):
            raise Absent("only dense networks are a list of matrix products")
        super().__init__(work)
        weights = [own["weight"] for own in jax.tree.map(jnp.asarray, work.weights()).values()]
        outputs = [jnp.ones((work.batch, width)) for width in work.widths]

        @jax.jit
        def step(weights, outputs):
            forward = [x @ weight for x, weight in zip(outputs, weights, strict=False)]
            deltas = [delta @ weight.T for delta, weight in zip(outputs[2:], weights[1:], strict=True)]
            grads = [x.T @ delta for x, delta in itertools.pairwise(outputs)]
            return forward, deltas, grads

        self.compiled = functools.partial(step, weights, outputs)

    def run(self, steps: int) -> int:
        for _ in range(steps):
            last = self.compiled()
        jax.block_until_ready(last)
        return steps

    def losses(self, steps: int) -> list[float]:
        return []


# -------------------------------------------------------------------------------- forward passes, (y, running)


def dense(params, name, x):
    return x @ params[name]["weight"] + params[name]["bias"]


def mlp(work: Dense, params, running, x):
    for i in range(1, len(work.widths) - 1):
        x = jax.nn.relu(dense(params, f"dense_{i}", x))
    return dense(params, f"dense_{len(work.widths) - 1}", x), running


def conv(params, name, x):
    layout = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(x, params[name]["weight"], (1, 1), "SAME", dimension_numbers=layout)
    return y + params[name]["bias"] if "bias" in params[name] else y


def max_pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def cnn(work: CNN, params, running, x):
    x = max_pool(jax.nn.relu(conv(params, "conv_1", x)))
    x = max_pool(jax.nn.relu(conv(params, "conv_2", x)))
    x = jax.nn.relu(dense(params, "dense_1", x.reshape(len(x), -1)))
    return dense(params, "dense_2", x), running


def resnet(work: ResNet, params, running, x):
    running = dict(running)

    def conv_norm(number, x):
        x = conv(params, f"conv_{number}", x)
        if not work.normed:
            return x
        name, axes = f"norm_{number}", (0, 1, 2)
        mean, var = x.mean(axes), x.var(axes)
        unbiased = var * (x.size / x.shape[-1]) / (x.size / x.shape[-1] - 1)
        old_mean, old_var = running[name]
        running[name] = (0.9 * old_mean + 0.1 * mean, 0.9 * old_var + 0.1 * unbiased)
        return params[name]["scale"] * (x - mean) * lax.rsqrt(var + 1e-5) + params[name]["bias"]

    x = jax.nn.relu(conv_norm(1, x))
    for i in range(2, work.convolutions, 2):
        x = x + conv_norm(i + 1, jax.nn.relu(conv_norm(i, x)))
    return dense(params, "dense_1", x.mean((1, 2))), running


def lstm(work: LSTM, params, running, x):
    own = params["lstm"]
    inputs = (x @ own["input_weight"] + own["bias"]).swapaxes(0, 1)

    def cell(before, z) -> tuple[tuple[Array, Array], None]:
        h, c = before
        i, f, g, o = jnp.split(z + h @ own["recurrent_weight"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    start = jnp.zeros((len(x), work.hidden))
    (h, _), _ = lax.scan(cell, (start, start), inputs)
    return dense(params, "dense_1", h), running


def layer_norm(params, name, x):
    mean = x.mean(-1, keepdims=True)
    var = x.var(-1, keepdims=True)
    return params[name]["scale"] * (x - mean) * lax.rsqrt(var + 1e-5) + params[name]["bias"]


def attention(work: GPT, params, i, x):
    shape = (*x.shape[:2], work.heads, work.width // work.heads)
    q, k, v = (part.reshape(shape) for part in jnp.split(dense(params, f"{i}/qkv", x), 3, -1))
    scores = jnp.einsum("bthd,bshd->bhts", q, k) / jnp.sqrt(shape[-1])
    scores = jnp.where(jnp.tril(jnp.ones((work.time, work.time), bool)), scores, -jnp.inf)
    y = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores, -1), v)
    return dense(params, f"{i}/projection", y.reshape(x.shape))


def gpt(work: GPT, params, running, ids):
    x = params["embedding"]["weight"][ids] + params["positions"]["weight"]
    for i in range(1, work.layers + 1):
        x = x + attention(work, params, i, layer_norm(params, f"{i}/attention_norm", x))
        hidden = jax.nn.gelu(dense(params, f"{i}/hidden", layer_norm(params, f"{i}/norm", x)), approximate=True)
        x = x + dense(params, f"{i}/output", hidden)
    return dense(params, "head", layer_norm(params, "final_norm", x)), running


FORWARD = {Dense: mlp, CNN: cnn, ResNet: resnet, LSTM: lstm, GPT: gpt}
