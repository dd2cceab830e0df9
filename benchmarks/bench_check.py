"""Time of `retrograd check` on a residual network and on a language model.

python benchmarks/bench_check.py
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np

import retrograd as rg
from retrograd.data.dataset import Dataset, from_arrays


def dataset_of(x: np.ndarray, y: np.ndarray) -> Dataset:
    """Return a data set that trains on these arrays as they are."""
    settings = rg.DataSettings(split=rg.SplitSettings("none"), keep_integers=True, task="multiclass")
    made = from_arrays(x, np.arange(len(x)) % 10, settings=settings)
    return dataclasses.replace(made, train={"x": x, "y": y})


def resnet() -> tuple[dict, Dataset]:
    """Seven convolutions on 32 x 32 images, with batch norm, as one minibatch of 32."""

    def part(filters: int, stride: int) -> dict:
        first = {"conv2d": {"filters": filters, "kernel": 3, "stride": stride}}
        second = {"conv2d": {"filters": filters, "kernel": 3}}
        block: dict = {"layers": [first, "batch_norm", "relu", second, "batch_norm"]}
        if stride > 1:
            block["shortcut"] = [{"conv2d": {"filters": filters, "kernel": 1, "stride": stride}}]
        return {"residual": block}

    stem = [{"conv2d": {"filters": 32, "kernel": 3}}, "batch_norm", "relu"]
    network = [*stem, part(32, 1), "relu", part(64, 2), "relu", part(64, 1), "relu", "global_average_pool",
               {"dense": 10}]  # fmt: skip
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 32, 32, 3)).astype(np.float32)
    config = {"name": "resnet", "network": network, "loss": "cross_entropy", "training": {"batch_size": 32}}
    return config, dataset_of(x, rng.integers(0, 10, 32).astype(np.int32))


def gpt() -> tuple[dict, Dataset]:
    """Four layers of width 128 with four heads on 128 tokens, as one minibatch of 16."""
    encoder = {"units": 128, "heads": 4, "layers": 4, "causal": True}
    network = [{"embedding": {"units": 128, "vocabulary": 65}}, {"learned_positions": {}},
               {"transformer_encoder": encoder}, {"dense": 65}]  # fmt: skip
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 65, (16, 129)).astype(np.int32)
    config = {"name": "gpt", "network": network, "loss": "cross_entropy", "training": {"batch_size": 16}}
    return config, dataset_of(tokens[:, :-1], tokens[:, 1:])


def main() -> None:
    for make in (resnet, gpt):
        config, dataset = make()
        begin = time.perf_counter()
        report = rg.check(config, dataset=dataset)
        print(report)
        print(f"{config['name']}: {report.verdict} in {time.perf_counter() - begin:.1f} s\n")


if __name__ == "__main__":
    main()
