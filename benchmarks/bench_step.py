"""Time and memory of one training step with Adam, side by side with peers in one run.

    python benchmarks/bench_step.py [--workload NAME] [--contestant NAME] [--rounds N] [--json FILE]
    python benchmarks/bench_step.py --one-core   processor time on a single core: hardly disturbed by who else works
    python benchmarks/bench_step.py --check      the first losses of all contestants, which must agree
    python benchmarks/bench_step.py --compile    seconds until a first step is compiled, and read from the cache

PyTorch is measured where it is installed (`pip install 'retrograd[torch]'`). A name that ends in `+malloc` runs with
the allocator settings that the command line gives to retrograd. `retrograd` calls native kernels where they are built.
`products` does a dense step's matrix products and nothing else: the floor under every implementation that computes
them with XLA.
"""

from __future__ import annotations

import importlib

import race
from contestant import Contestant
from workloads import WORKLOADS

MALLOC = "+malloc"
CLASSES = {  # imported in the contestant's own process
    "retrograd": ("own", "Retrograd"),
    "retrograd recompute": ("own", "Recompute"),
    "retrograd bfloat16": ("own", "InBfloat16"),
    "jax.grad": ("jax_grad", "JaxGrad"),
    "pytorch": ("pytorch", "PyTorch"),
    "pytorch tuned": ("pytorch", "TunedPyTorch"),
    "pytorch compiled": ("pytorch", "CompiledPyTorch"),
    "scikit-learn": ("sklearn", "ScikitLearn"),
    "products": ("jax_grad", "Products"),
    "retrograd without kernels": ("own", "WithoutKernels"),
}
PEERS = ("jax.grad", "pytorch", "pytorch tuned", "pytorch compiled")
CONTESTANTS = [
    "retrograd+malloc",
    "retrograd",
    "retrograd without kernels+malloc",
    "retrograd recompute+malloc",
    "retrograd bfloat16+malloc",
    *(name + end for name in PEERS for end in ("", MALLOC)),
    "scikit-learn",
    "products+malloc",
]


def build(contestant: str, workload: str) -> Contestant:
    """Return a contestant; the allocator is set before anything large is allocated."""
    work = WORKLOADS[workload]
    if contestant.endswith(MALLOC):
        from retrograd.base import allocator

        allocator.tune(2**30 if work.large else 0)
    module, name = CLASSES[contestant.removesuffix(MALLOC)]
    made = getattr(importlib.import_module(f"contestants.{module}"), name)(work)
    assert isinstance(made, Contestant)
    return made


if __name__ == "__main__":
    race.main(__file__, list(WORKLOADS), CONTESTANTS, build)
