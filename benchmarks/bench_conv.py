"""Convolutions alone, forward, by the data and by the weights: GFLOP/s side by side in one run.

    python benchmarks/bench_conv.py [--row TEXT] [--rounds N] [--json FILE]

`retrograd` is what a layer runs (a native kernel where one is faster), `formula` the same without native kernels,
`pytorch` (where it is installed) has its fastest layout, channels_last. All have the allocator's settings.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import race

PRODUCTS = ("forward", "by data", "by weights")
CONTESTANTS = ("retrograd", "formula", "pytorch")


class Row(NamedTuple):
    """One convolution of square images with padding `same`."""

    kernel: int
    stride: int
    channels: int
    filters: int
    size: int
    batch: int
    groups: int = 1

    def __str__(self) -> str:
        kind = "depthwise" if 1 < self.groups == self.channels else f"{self.groups} groups" if self.groups > 1 else ""
        step = f"/{self.stride}" if self.stride > 1 else ""
        what = f"{self.kernel}x{self.kernel}{step} {self.channels}->{self.filters}"
        return " ".join(filter(None, [what, kind, f"{self.size}x{self.size} b{self.batch}"]))

    @property
    def outputs(self) -> int:
        return -(-self.size // self.stride)

    @property
    def operations(self) -> float:
        entries = self.kernel**2 * self.channels / self.groups
        return 2.0 * self.batch * self.outputs**2 * entries * self.filters

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        shapes = (
            (self.batch, self.size, self.size, self.channels),
            (self.kernel, self.kernel, self.channels // self.groups, self.filters),
            (self.batch, self.outputs, self.outputs, self.filters),
        )
        x, weight, dy = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
        return x, weight, dy


ROWS = {
    str(row): row
    for row in (
        Row(1, 1, 64, 64, 32, 16),
        Row(1, 1, 256, 64, 16, 32),
        Row(1, 2, 64, 128, 32, 32),
        Row(3, 1, 3, 32, 32, 32),
        Row(3, 1, 8, 8, 32, 32),
        Row(3, 1, 16, 16, 32, 32),
        Row(3, 1, 32, 32, 32, 32),
        Row(3, 1, 64, 64, 16, 32),
        Row(3, 1, 128, 128, 8, 32),
        Row(3, 1, 256, 256, 16, 16),
        Row(3, 2, 32, 64, 32, 32),
        Row(5, 1, 32, 32, 28, 16),
        Row(7, 2, 3, 64, 112, 8),
        Row(3, 1, 64, 64, 32, 32, 64),
        Row(5, 1, 128, 128, 28, 16, 128),
        Row(3, 1, 64, 64, 32, 32, 4),
    )
}


class Convolving:
    """Computes one product over and over."""

    def __init__(self, once: Callable[[], Any], wait: Callable[[Any], None]) -> None:
        self.once, self.wait = once, wait

    def run(self, steps: int) -> int:
        for _ in range(steps):
            last = self.once()
        self.wait(last)
        return steps

    def temporary_bytes(self) -> None:
        return None


def in_jax(row: Row, product: str) -> Convolving:
    import jax

    from retrograd.network.layers.convolution.convolution import convolve, data_gradient, weight_gradient
    from retrograd.network.layers.shared.window import place_window

    window = place_window((row.size, row.size), row.kernel, row.stride, 1, "same")
    x, weight, dy = map(jax.numpy.asarray, row.arrays())
    function, arguments = {
        "forward": (lambda x, weight: convolve(x, weight, window, row.groups), (x, weight)),
        "by data": (lambda dy, weight: data_gradient(dy, weight, window, row.groups), (dy, weight)),
        "by weights": (lambda x, dy: weight_gradient(x, dy, window, row.groups, x.dtype), (x, dy)),
    }[product]
    compiled = jax.jit(function)
    return Convolving(lambda: compiled(*arguments), jax.block_until_ready)


def in_pytorch(row: Row, product: str) -> Convolving:
    import torch

    def channels_last(array: np.ndarray, *axes: int) -> torch.Tensor:
        return torch.from_numpy(array.transpose(*axes).copy()).contiguous(memory_format=torch.channels_last)

    x, weight, dy = row.arrays()
    x, weight, dy = channels_last(x, 0, 3, 1, 2), channels_last(weight, 3, 2, 0, 1), channels_last(dy, 0, 3, 1, 2)
    margin = (row.kernel - 1) // 2
    wanted = [product == "by data", product == "by weights", False]

    def backward() -> Any:
        return torch.ops.aten.convolution_backward(
            dy, x, weight, None, [row.stride] * 2, [margin] * 2, [1, 1], False, [0, 0], row.groups, wanted
        )

    def forward() -> Any:
        return torch.nn.functional.conv2d(x, weight, None, row.stride, margin, 1, row.groups)

    torch.set_grad_enabled(False)
    return Convolving(forward if product == "forward" else backward, lambda _: None)


def build(contestant: str, workload: str) -> Any:
    from retrograd.base import allocator

    allocator.tune(2**30)
    name, _, product = workload.partition(": ")
    if contestant == "formula":
        os.environ["RETROGRAD_KERNELS"] = "off"
    return (in_pytorch if contestant == "pytorch" else in_jax)(ROWS[name], product)


def main() -> None:
    workloads = [f"{row}: {product}" for row in ROWS for product in PRODUCTS]
    if "--serve" in sys.argv:
        race.main(__file__, workloads, CONTESTANTS, build)
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--row", default="", help="only rows that contain this text")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    print(f"| GFLOP/s | {' | '.join(CONTESTANTS)} |\n|{' --- |' * (1 + len(CONTESTANTS))}")
    for workload in workloads:
        if options.row in workload:
            operations = ROWS[workload.partition(": ")[0]].operations
            times = race.race(__file__, workload, CONTESTANTS, options.rounds)
            results[workload] = {name: operations / 1e9 / each["seconds"] for name, each in times.items()}
            cells = (f"{results[workload][name]:.0f}" if name in results[workload] else "-" for name in CONTESTANTS)
            print(f"| {workload} | {' | '.join(cells)} |", flush=True)
    if options.json:
        facts = {"machine": platform.machine(), "python": platform.python_version(), "gflops": results}
        options.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
