"""What the contestants train: shapes, data and first weights, the same numbers for all of them.

Weights are {layer: {parameter: array}} in the layout of the formulas (y = x W; images and kernels with channels last);
a contestant that stores them otherwise translates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

RATE = 1e-3  # of Adam, in every workload
BATCHES = 4  # of large workloads; small ones have 64

Weights = dict[str, dict[str, np.ndarray]]
Batch = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Workload:
    """A network with cross-entropy behind it, trained by Adam."""

    batch: int

    large = True  # whether the step holds megabytes, so that threads should share one arena

    def inputs(self, rng: np.random.Generator) -> Batch:
        raise NotImplementedError

    def weights(self) -> Weights:
        raise NotImplementedError

    def batches(self) -> list[Batch]:
        rng = np.random.default_rng(0)
        return [self.inputs(rng) for _ in range(BATCHES if self.large else 64)]

    def labelled(self, rng: np.random.Generator, *shape: int, classes: int = 10) -> Batch:
        x = rng.normal(size=(self.batch, *shape)).astype(np.float32)
        return x, rng.integers(0, classes, self.batch).astype(np.int32)


@dataclass(frozen=True)
class Dense(Workload):
    """Dense layers with relu between."""

    widths: tuple[int, ...]

    @property
    def large(self) -> bool:  # type: ignore[override]
        return self.widths[0] > 100

    def inputs(self, rng: np.random.Generator) -> Batch:
        return self.labelled(rng, self.widths[0], classes=self.widths[-1])

    def weights(self) -> Weights:
        rng = np.random.default_rng(1)
        pairs = zip(self.widths, self.widths[1:], strict=False)
        return {f"dense_{i}": affine(rng, *pair) for i, pair in enumerate(pairs, 1)}


@dataclass(frozen=True)
class CNN(Workload):
    """Twice convolution 3x3, relu and pooling; two dense layers."""

    side: int = 28
    filters: tuple[int, int] = (32, 64)
    hidden: int = 128

    def inputs(self, rng: np.random.Generator) -> Batch:
        return self.labelled(rng, self.side, self.side, 1)

    def weights(self) -> Weights:
        rng = np.random.default_rng(1)
        first, second = self.filters
        return {
            "conv_1": affine(rng, 3, 3, 1, first),
            "conv_2": affine(rng, 3, 3, first, second),
            "dense_1": affine(rng, (self.side // 4) ** 2 * second, self.hidden),
            "dense_2": affine(rng, self.hidden, 10),
        }


@dataclass(frozen=True)
class ResNet(Workload):
    """A convolution 3x3 with relu, then blocks x + conv(relu(conv(x))), the mean over places, a dense layer."""

    normed: bool = False  # batch norm behind every convolution
    side: int = 32
    filters: int = 32
    blocks: int = 3

    @property
    def convolutions(self) -> int:
        return 1 + 2 * self.blocks

    def inputs(self, rng: np.random.Generator) -> Batch:
        return self.labelled(rng, self.side, self.side, 3)

    def weights(self) -> Weights:
        rng = np.random.default_rng(1)
        weights: Weights = {}
        for i in range(1, self.convolutions + 1):
            weights[f"conv_{i}"] = affine(rng, 3, 3, 3 if i == 1 else self.filters, self.filters)
            if self.normed:
                del weights[f"conv_{i}"]["bias"]
                weights[f"norm_{i}"] = unit(self.filters)
        return weights | {"dense_1": affine(rng, self.filters, 10)}


@dataclass(frozen=True)
class LSTM(Workload):
    """One LSTM (gates in the order i, f, g, o) over a sequence; a dense layer reads its last state."""

    time: int = 50
    features: int = 32
    hidden: int = 128

    def inputs(self, rng: np.random.Generator) -> Batch:
        return self.labelled(rng, self.time, self.features)

    def weights(self) -> Weights:
        rng = np.random.default_rng(1)
        width = 4 * self.hidden
        lstm = {
            "input_weight": affine(rng, self.features, width)["weight"] / 2,
            "recurrent_weight": affine(rng, self.hidden, width)["weight"] / 2,
            "bias": np.zeros(width, np.float32),
        }
        return {"lstm": lstm, "dense_1": affine(rng, self.hidden, 10)}


@dataclass(frozen=True)
class GPT(Workload):
    """A causal Transformer with the norm before each part, gelu by tanh, learned positions."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    time: int = 128
    vocabulary: int = 256

    def inputs(self, rng: np.random.Generator) -> Batch:
        ids = rng.integers(0, self.vocabulary, (self.batch, self.time + 1)).astype(np.int32)
        return np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:])

    def weights(self) -> Weights:
        rng = np.random.default_rng(1)
        width = self.width
        table = {"weight": rng.normal(size=(self.vocabulary, width)).astype(np.float32)}
        places = {"weight": 0.02 * rng.normal(size=(self.time, width)).astype(np.float32)}
        weights: Weights = {"embedding": table, "positions": places}
        for i in range(1, self.layers + 1):
            weights |= {
                f"{i}/attention_norm": unit(width),
                f"{i}/qkv": affine(rng, width, 3 * width),
                f"{i}/projection": affine(rng, width, width),
                f"{i}/norm": unit(width),
                f"{i}/hidden": affine(rng, width, 4 * width),
                f"{i}/output": affine(rng, 4 * width, width),
            }
        return weights | {"final_norm": unit(width), "head": affine(rng, width, self.vocabulary)}


def affine(rng: np.random.Generator, *shape: int) -> dict[str, Any]:
    fan_in = int(np.prod(shape[:-1]))
    weight = (rng.normal(size=shape) * np.sqrt(1 / fan_in)).astype(np.float32)
    return {"weight": weight, "bias": np.zeros(shape[-1], np.float32)}


def unit(width: int) -> dict[str, np.ndarray]:
    return {"scale": np.ones(width, np.float32), "bias": np.zeros(width, np.float32)}


WORKLOADS: dict[str, Workload] = {
    "xor 2-8-2, b4": Dense(4, (2, 8, 2)),
    "64-64-10, b32": Dense(32, (64, 64, 10)),
    "784-256-128-10, b64": Dense(64, (784, 256, 128, 10)),
    "784-1024-1024-10, b256": Dense(256, (784, 1024, 1024, 10)),
    "CNN 28x28, b64": CNN(64),
    "ResNet 32x32, b32": ResNet(32),
    "ResNet 32x32 with batch norm, b32": ResNet(32, normed=True),
    "LSTM T50 H128, b64": LSTM(64),
    "GPT D128 L4 H4 T128, b16": GPT(16),
}
