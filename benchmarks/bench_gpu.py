"""Time of one training step with Adam on this machine's GPU or TPU: Retrograd beside JAX and PyTorch, in one call.

    python benchmarks/bench_gpu.py [--rounds N] [--seconds N] [--workload NAME] [--json FILE]

Each contestant is a process of its own, as in bench_step.py, and all take turns. Columns: float32 with products as the
device computes them by default (JAX on NVIDIA: TensorFloat-32), float32 in full, and bfloat16; of JAX without our
backward pass; of PyTorch eager, compiled, with and without TF32, and with autocast to bfloat16. Batches lie on the
device. Before the race the losses of the full float32 columns must agree. A workload begins only while time is left, so
that all of it ends within `--seconds` (540). Without a GPU it says so, and leaves with 1 unless `--any-device`.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import race
from contestant import Absent, Contestant
from workloads import CNN, GPT, LSTM, Dense, ResNet, Workload

WORKLOADS: dict[str, Workload] = {
    "64-64-10, b32": Dense(32, (64, 64, 10)),
    "784-1024-1024-10, b256": Dense(256, (784, 1024, 1024, 10)),
    "4096-4096-4096-10, b4096": Dense(4096, (4096, 4096, 4096, 10)),
    "CNN 28x28, b1024": CNN(1024),
    "ResNet 32x32 with batch norm, b512": ResNet(512, normed=True),
    "LSTM T50 H512, b256": LSTM(256, hidden=512),
    "GPT D128 L4 H4 T128, b64": GPT(64),
    "GPT D768 L12 H12 T512, b16": GPT(16, width=768, layers=12, heads=12, time=512, vocabulary=8192),
}
FULL, DEFAULT, BFLOAT16 = "float32", "default", "bfloat16"
CONTESTANTS = {  # name -> module, class, products
    "retrograd": ("own", "Retrograd", DEFAULT),
    "retrograd float32": ("own", "Retrograd", FULL),
    "retrograd bfloat16": ("own", "InBfloat16", DEFAULT),
    "jax.grad": ("jax_grad", "JaxGrad", DEFAULT),
    "jax.grad float32": ("jax_grad", "JaxGrad", FULL),
    "pytorch": ("pytorch", "TunedPyTorch", DEFAULT),
    "pytorch float32": ("pytorch", "TunedPyTorch", FULL),
    "pytorch bfloat16": ("pytorch", "TunedPyTorch", BFLOAT16),
    "pytorch compiled": ("pytorch", "CompiledPyTorch", DEFAULT),
    "pytorch compiled bfloat16": ("pytorch", "CompiledPyTorch", BFLOAT16),
}
ALIKE = ["retrograd float32", "jax.grad float32", "pytorch float32"]


def build(contestant: str, workload: str) -> Contestant:
    """Return a contestant with its batches on the device."""
    module, name, products = CONTESTANTS[contestant]
    work = WORKLOADS[workload]
    made: Contestant
    if module == "pytorch":
        made = on_gpu(getattr(importlib.import_module("contestants.pytorch"), name)(work), products)
    else:
        import jax

        jax.config.update("jax_default_matmul_precision", "highest" if products == FULL else None)
        made = getattr(importlib.import_module(f"contestants.{module}"), name)(work)
        made.batches = jax.device_put(made.batches)
    return made


def on_gpu(made: Any, products: str) -> Contestant:
    """Bring a contestant of PyTorch to the GPU, with the products that are asked for."""
    import torch

    if not torch.cuda.is_available():
        raise Absent("PyTorch finds no GPU")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = products == DEFAULT
    made.model.cuda()  # in place: the optimizer's parameters are the same objects
    made.batches = [(x.cuda(), y.cuda()) for x, y in made.batches]
    for group in made.optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"] = group["lr"].cuda()
    if products == BFLOAT16:
        value = made.value

        def in_bfloat16(x: Any, y: Any) -> Any:
            with torch.autocast("cuda", torch.bfloat16):
                return value(x, y)

        made.value = in_bfloat16
    made.wait = torch.cuda.synchronize
    return made  # type: ignore[no-any-return]


def device() -> tuple[str, str]:
    """Return the backend that JAX has chosen, and its first device."""
    import jax

    return jax.default_backend(), jax.devices()[0].device_kind


def main() -> None:
    """Check, race and print; write the figures where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS))
    parser.add_argument("--contestant", action="append", choices=list(CONTESTANTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=540.0)
    parser.add_argument("--any-device", action="store_true", help="run without a GPU too, to try the script")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    chosen, entered = given.workload or list(WORKLOADS), given.contestant or list(CONTESTANTS)
    if given.serve:
        race.serve(functools.partial(build, entered[0], chosen[0]), one_core=False)
        return
    begun = time.monotonic()
    backend, kind = device()
    print(f"{backend}: {kind}", flush=True)
    if backend == "cpu" and not given.any_device:
        sys.exit("no GPU or TPU here: see README for how to install jax for one")
    results: race.Results = {}
    agreed, longest = True, 0.0
    for workload in chosen:
        start = time.monotonic()
        if start - begun + longest > given.seconds:
            print(f"{workload}: left out, {given.seconds:g} s are over", flush=True)
            continue
        agreed &= race.check(__file__, workload, [name for name in ALIKE if name in entered])
        results[workload] = race.race(__file__, workload, entered, given.rounds)
        longest = max(longest, time.monotonic() - start)
    print(race.table(results, entered))
    if given.json:
        facts = {"device": kind, "seconds": time.monotonic() - begun, "results": results}
        given.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    sys.exit(not agreed)


if __name__ == "__main__":
    main()
