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
MOST_ELEMENTS = 2**31  # per array; larger and empty arrays use XLA's formula


class Kernel(NamedTuple):
    """A kernel, and how a batch can be cut for it.

    `arguments` and `results` give the batch axis of each array, or None. If an argument has a batch axis, a result
    without one is a sum over the batch, so devices with parts of the batch add up their results.
    """

    target: str
    arguments: tuple[int | None, ...]
    results: tuple[int | None, ...]
    reuses: tuple[
        tuple[int, int], ...
    ] = ()  # (argument, result) pairs that share memory if the argument is no longer used

    def suits(self, *arrays: Array) -> bool:
        """Return whether kernels are on and can take these arrays."""
        return active() and all(a.dtype == jnp.float32 and 0 < a.size < MOST_ELEMENTS for a in arrays)

    def __call__(
        self, formula: Callable[..., Any], specs: Callable[..., Sequence[Spec]], *arrays: Array, **attributes: Any
    ) -> Any:
        """Return the kernel's results for `arrays`; `specs(*arrays)` gives their specs.

        `formula` computes the same in XLA, for what a kernel cannot do: a batch of calls (vmap), and derivatives. A
        single result is not wrapped in a tuple.
        """

        def bare(*arrays: Array) -> Any:
            results = [(tuple(s.shape), s.dtype) for s in specs(*arrays)]
            operands, flat = list(arrays), [Spec(*result) for result in results]
            for argument, result in self.reuses:  # as matrices: XLA would copy a reshaped array
                operands[argument] = operands[argument].reshape(-1, arrays[argument].shape[-1])
                flat[result] = Spec(operands[argument].shape, operands[argument].dtype)
            call = jax.ffi.ffi_call(f"retrograd_{self.target}", flat, input_output_aliases=dict(self.reuses))
            called = [y.reshape(shape) for y, (shape, _) in zip(call(*operands, **attributes), results, strict=True)]
            return tuple(called) if len(called) > 1 else called[0]

        return _differentiable(_batchable(self._partitioned(bare, arrays, specs), formula), formula)(*arrays)

    def _partitioned(
        self, bare: Callable[..., Any], arrays: Sequence[Array], specs: Callable[..., Sequence[Spec]]
    ) -> Callable[..., Any]:
        """Keep the batch cut among devices as it is; every other axis is whole on each device."""

        def shardings(mesh: Any, operands: Any) -> tuple[Any, tuple[NamedSharding, ...], Any]:
            names = _batch_names(operands, self.arguments)
            sharded = tuple(_sharding(mesh, names, axis) for axis in self.arguments)
            results = tuple(_sharding(mesh, names, axis) for axis in self.results)
            return names, sharded, results if len(results) > 1 else results[0]

        def partition(mesh: Any, operands: Any, result: Any) -> Any:
            names, sharded, results = shardings(mesh, operands)

            def local(*arrays: Array) -> Any:
                computed = bare(*arrays)
                parts = computed if len(self.results) > 1 else (computed,)
                sums = tuple(lax.psum(r, names) if names and axis is None else r
                             for r, axis in zip(parts, self.results, strict=True))  # fmt: skip
                return sums if len(self.results) > 1 else sums[0]

            return mesh, local, results, sharded

        whole = custom_partitioning(bare)
        whole.def_partition(
            partition=partition,
            infer_sharding_from_operands=lambda mesh, operands, result: shardings(mesh, operands)[2],
            **self._rule([a.ndim for a in arrays], [len(s.shape) for s in specs(*arrays)]),
        )
        return whole

    def _rule(self, arguments: Sequence[int], results: Sequence[int]) -> dict[str, Any]:
        """Return the batch axes in the notation of XLA's partitioner; all other axes must be whole."""
        factors: list[str] = []

        def names(axes: int, batch: int | None) -> str:
            letters = ["n" if i == batch else f"f{len(factors) + i}" for i in range(axes)]
            factors.extend(letters)
            return " ".join(letters)

        left = ", ".join(names(n, batch) for n, batch in zip(arguments, self.arguments, strict=True))
        right = ", ".join(names(n, batch) for n, batch in zip(results, self.results, strict=True))
        summed = None in self.results
        return {
            "sharding_rule": f"{left} -> {right}",
            "need_replication_factors": tuple(f for f in factors if f != "n"),
            "reduction_factors": ("n",) if summed and all(axis is None for axis in self.results) else (),
        }


def _batch_names(specs: Any, axes: Sequence[int | None]) -> Any:
    """Return the names of the mesh axes along which an argument's batch is cut; None if it is not."""
    for spec, axis in zip(specs, axes, strict=True):
        parts = tuple(getattr(spec.sharding, "spec", ()))
        if axis is not None and axis < len(parts) and parts[axis]:
            return parts[axis]
    return None


def _sharding(mesh: Any, names: Any, axis: int | None) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, names))


def _batchable(call: Callable[..., Any], formula: Callable[..., Any]) -> Callable[..., Any]:
    """Run the formula under vmap: kernels handle a single batch only."""
    batchable = custom_vmap(call)

    @batchable.def_vmap
    def rule(size: int, batched: Sequence[bool], *arrays: Array) -> tuple[Any, Any]:
        axes = tuple(0 if each else None for each in batched)
        results = jax.vmap(formula, axes, axis_size=size)(*arrays)
        return results, jax.tree.map(lambda _: True, results)

    return batchable


def _differentiable(call: Callable[..., Any], formula: Callable[..., Any]) -> Callable[..., Any]:
    """Differentiate through the formula; the layers have their own backward and never need this."""
    differentiable = jax.custom_jvp(call)

    @differentiable.defjvp
    def rule(at: Sequence[Array], moved: Sequence[Array]) -> tuple[Any, Any]:
        return differentiable(*at), jax.jvp(formula, tuple(at), tuple(moved))[1]

    return differentiable
