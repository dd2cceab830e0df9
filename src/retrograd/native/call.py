"""One call of a native kernel as a JAX operation that also vmap, sharding and differentiation can handle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import custom_vmap
from jax.experimental.custom_partitioning import custom_partitioning
from jax.sharding import NamedSharding, PartitionSpec

from retrograd.native.library import active

Spec = jax.ShapeDtypeStruct
MOST_ELEMENTS = 2**31  # of one array; beyond, and for empty ones, XLA's formula


class Kernel(NamedTuple):
    """A kernel, and how a batch can be cut for it.

    `arguments` and `results` hold for each array the axis of the batch, None where it has none. A result without it
    is a sum over the batch wherever an argument has one, so that devices with parts of the batch add up theirs.
    """

    target: str
    arguments: tuple[int | None, ...]
    results: tuple[int | None, ...]
    reuses: tuple[tuple[int, int], ...] = ()  # (argument, result) in the same memory where the argument is read no more

    def suits(self, *arrays: Array) -> bool:
        """Tell whether kernels are on and these arrays are such that they can be given to one."""
        return active() and all(a.dtype == jnp.float32 and 0 < a.size < MOST_ELEMENTS for a in arrays)

    def __call__(
        self, formula: Callable[..., Any], specs: Callable[..., Sequence[Spec]], *arrays: Array, **attributes: Any
    ) -> Any:
        """Return the kernel's results for `arrays`; `specs` tells their shapes by the arrays'.

        `formula` computes the same with XLA, for what a kernel cannot: a batch of calls (vmap), and derivatives. A
        single result is returned as such.
        """

        def bare(*arrays: Array) -> Any:
            results = [(tuple(s.shape), s.dtype) for s in specs(*arrays)]
            operands, flat = list(arrays), [Spec(*result) for result in results]
            for argument, result in self.reuses:  # as matrices: XLA copies what it has reshaped before
                operands[argument] = operands[argument].reshape(-1, arrays[argument].shape[-1])
                flat[result] = Spec(operands[argument].shape, operands[argument].dtype)
            call = jax.ffi.ffi_call(f"retrograd_{self.target}", flat, input_output_aliases=dict(self.reuses))
            called = [y.reshape(shape) for y, (shape, _) in zip(call(*operands, **attributes), results, strict=True)]
            return tuple(called) if len(called) > 1 else called[0]

        return _differentiable(_batchable(self._partitioned(bare, arrays, specs), formula), formula)(*arrays)

    def _partitioned(
        self, bare: Callable[..., Any], arrays: Sequence[Array], specs: Callable[..., Sequence[Spec]]
    ) -> Callable[..., Any]:
        """Cut the batch among devices where it is cut already; every other axis is whole on each device."""

        def shardings(mesh: Any, operands: Any) -> tuple[Any, tuple[NamedSharding, ...], Any]:
            names = _batch_names(operands, self.arguments)
            sharded = tuple(_sharding(mesh, names, axis) for axis in self.arguments)
            results = tuple(_sharding(mesh, names, axis) for axis in self.results)
            return names, sharded, results if len(results) > 1 else results[0]

        def partition(mesh: Any, operands: Any, result: Any) -> Any:
            names, sharded, results = shardings(mesh, operands)

            def local(*arrays: Array) -> Any:
                computed = bare(*arrays)
                each = computed if len(self.results) > 1 else (computed,)
                added = tuple(lax.psum(r, names) if names and axis is None else r
                              for r, axis in zip(each, self.results, strict=True))  # fmt: skip
                return added if len(self.results) > 1 else added[0]

            return mesh, local, results, sharded

        whole = custom_partitioning(bare)
        whole.def_partition(
            partition=partition,
            infer_sharding_from_operands=lambda mesh, given, result: shardings(mesh, given)[2],
            **self._rule([a.ndim for a in arrays], [len(s.shape) for s in specs(*arrays)]),
        )
        return whole

    def _rule(self, arguments: Sequence[int], results: Sequence[int]) -> dict[str, Any]:
        """Return which axes are the batch, in the notation of XLA's partitioner: all others must be whole."""
        factors: list[str] = []

        def names(axes: int, batch: int | None) -> str:
            own = ["n" if i == batch else f"f{len(factors) + i}" for i in range(axes)]
            factors.extend(own)
            return " ".join(own)

        left = ", ".join(names(n, batch) for n, batch in zip(arguments, self.arguments, strict=True))
        right = ", ".join(names(n, batch) for n, batch in zip(results, self.results, strict=True))
        summed = None in self.results
        return {
            "sharding_rule": f"{left} -> {right}",
            "need_replication_factors": tuple(f for f in factors if f != "n"),
            "reduction_factors": ("n",) if summed and all(axis is None for axis in self.results) else (),
        }


def _batch_names(specs: Any, axes: Sequence[int | None]) -> Any:
    """Return the names of the mesh's axes over which the batch is cut, as an argument has it; None if it is not."""
    for spec, axis in zip(specs, axes, strict=True):
        parts = tuple(getattr(spec.sharding, "spec", ()))
        if axis is not None and axis < len(parts) and parts[axis]:
            return parts[axis]
    return None


def _sharding(mesh: Any, names: Any, axis: int | None) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, names))


def _batchable(call: Callable[..., Any], formula: Callable[..., Any]) -> Callable[..., Any]:
    """Under vmap the formula runs: the kernels know one batch alone."""
    batchable = custom_vmap(call)

    @batchable.def_vmap
    def rule(size: int, batched: Sequence[bool], *arrays: Array) -> tuple[Any, Any]:
        axes = tuple(0 if each else None for each in batched)
        results = jax.vmap(formula, axes, axis_size=size)(*arrays)
        return results, jax.tree.map(lambda _: True, results)

    return batchable


def _differentiable(call: Callable[..., Any], formula: Callable[..., Any]) -> Callable[..., Any]:
    """Derivatives are those of the formula; the layers write their own and never ask for these."""
    differentiable = jax.custom_jvp(call)

    @differentiable.defjvp
    def rule(at: Sequence[Array], moved: Sequence[Array]) -> tuple[Any, Any]:
        return differentiable(*at), jax.jvp(formula, tuple(at), tuple(moved))[1]

    return differentiable
