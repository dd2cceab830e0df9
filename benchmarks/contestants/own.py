"""Retrograd's own step."""

from __future__ import annotations

import functools
import os
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from contestant import Absent, Contestant
from workloads import CNN, GPT, LSTM, RATE, Dense, ResNet, Weights, Workload

import retrograd as rg


class Retrograd(Contestant):
    recompute = False
    precision: Literal["float32", "bfloat16"] = "float32"

    def __init__(self, work: Workload) -> None:
        super().__init__(work)
        self.network = network(work, self.recompute)
        objective = rg.Objective("loss", rg.CrossEntropy(), (self.network.output, "y"))
        self.stepper = rg.Stepper(self.network, [objective], rg.Adam(RATE), precision=self.precision)
        first = dict(zip("xy", self.batches[0], strict=True))
        key = jax.random.key(0)
        variables = self.network.init(key, first)
        weights = translated(work, work.weights())
        assert jax.tree.map(jnp.shape, weights) == jax.tree.map(jnp.shape, variables.params)
        self.train = self.stepper.start(variables._replace(params=jax.tree.map(jnp.asarray, weights)), key)
        self.together = self.stepper.steps_per_dispatch(self.train, first)

    def step(self, x: Any, y: Any) -> Any:
        self.train, outcome = self.stepper.single(self.train, {"x": x, "y": y})
        return outcome.loss

    def wait(self) -> None:
        jax.block_until_ready(self.train.params)

    @functools.cached_property
    def columns(self) -> dict[str, jax.Array]:
        return {
            name: jnp.concatenate(column) for name, column in zip("xy", zip(*self.batches, strict=True), strict=True)
        }

    def run(self, steps: int) -> int:
        if self.together == 1:
            return super().run(steps)
        rows = np.arange(len(self.batches) * self.work.batch, dtype=np.int32).reshape(-1, self.work.batch)
        order = np.resize(rows, (self.together, self.work.batch))
        dispatches = -(-steps // self.together)
        for _ in range(dispatches):
            self.train, _ = self.stepper.many(self.train, self.columns, order)
        self.wait()
        return dispatches * self.together

    def temporary_bytes(self) -> int | None:
        first = dict(zip("xy", self.batches[0], strict=True))
        return self.stepper.single.remembered(temporaries, self.train, first)


def temporaries(lowered: Any) -> int:
    """Return the peak of temporaries of a program."""
    return lowered.compile().memory_analysis().temp_size_in_bytes


class WithoutKernels(Retrograd):
    """XLA's formulas alone."""

    def __init__(self, work: Workload) -> None:
        os.environ["RETROGRAD_KERNELS"] = "off"
        super().__init__(work)


class Recompute(Retrograd):
    """With the layers of a Transformer computed again in backward."""

    recompute = True

    def __init__(self, work: Workload) -> None:
        if not isinstance(work, GPT):
            raise Absent("only the Transformer's layers are computed again")
        super().__init__(work)


class InBfloat16(Retrograd):
    """With the products of matrices in bfloat16."""

    precision = "bfloat16"

    def losses(self, steps: int) -> list[float]:
        return []  # bfloat16 has other digits than the others


def network(work: Workload, recompute: bool = False) -> rg.Network:
    match work:
        case Dense():
            widths = enumerate(work.widths[1:], 1)
            last = len(work.widths) - 1
            return rg.Network(*(rg.named(rg.Dense(n, None if i == last else "relu"), f"dense_{i}") for i, n in widths))
        case CNN():
            return rg.Network(
                rg.named(rg.Conv2D(work.filters[0], activation="relu"), "conv_1"),
                rg.MaxPool(2),
                rg.named(rg.Conv2D(work.filters[1], activation="relu"), "conv_2"),
                rg.MaxPool(2),
                rg.Flatten(),
                rg.named(rg.Dense(work.hidden, "relu"), "dense_1"),
                rg.named(rg.Dense(10), "dense_2"),
            )
        case ResNet():
            blocks = [
                rg.named(rg.Residual([*convolution(work, i, relu=True), *convolution(work, i + 1)]), f"block_{i}")
                for i in range(2, work.convolutions, 2)
            ]
            head = (rg.GlobalAveragePool(), rg.named(rg.Dense(10), "dense_1"))
            return rg.Network(*convolution(work, 1, relu=True), *blocks, *head)
        case LSTM():
            return rg.Network(rg.named(rg.LSTM(work.hidden), "lstm"), rg.named(rg.Dense(10), "dense_1"))
        case GPT():
            gelu = rg.GELU(approximate=True)
            stack = rg.TransformerEncoder(work.width, work.heads, work.layers, activation=gelu, causal=True)
            return rg.Network(
                rg.named(rg.Embedding(work.width, work.vocabulary), "embedding"),
                rg.named(rg.LearnedPositions(), "positions"),
                rg.named(stack, "gpt", recompute=recompute),
                rg.named(rg.Dense(work.vocabulary), "head"),
            )
    raise NotImplementedError(work)


def convolution(work: ResNet, number: int, relu: bool = False) -> list[Any]:
    entries = [rg.named(rg.Conv2D(work.filters, **({"bias": False} if work.normed else {})), f"conv_{number}")]
    entries += [rg.named(rg.BatchNorm(), f"norm_{number}")] if work.normed else []
    return [*entries, rg.ReLU()] if relu else entries


def translated(work: Workload, weights: Weights) -> Weights:
    """Return weights under the names of the network's nodes."""
    if isinstance(work, ResNet):
        return {_inside_block(name): arrays for name, arrays in weights.items()}
    if not isinstance(work, GPT):
        return weights
    nodes = {
        "attention_norm": "attention_norm",
        "norm": "feed_forward_norm",
        "hidden": "feed_forward/hidden",
        "output": "feed_forward/output",
    }
    result = {name: weights[name] for name in ("embedding", "positions", "head")}
    result["gpt/final_norm"] = weights["final_norm"]
    for i in range(1, work.layers + 1):
        result |= {f"gpt/{i}/{node}": weights[f"{i}/{name}"] for name, node in nodes.items()}
        attention = {f"output_{part}": value for part, value in weights[f"{i}/projection"].items()}
        for part, value in weights[f"{i}/qkv"].items():
            for name, arrays in zip(("query", "key", "value"), np.split(value, 3, -1), strict=True):
                attention[f"{name}_{part}"] = arrays
        result[f"gpt/{i}/attention"] = attention
    return result


def _inside_block(name: str) -> str:
    kind, _, number = name.partition("_")
    inside = kind != "dense" and int(number) > 1
    return f"block_{int(number) // 2 * 2}/{name}" if inside else name
