"""JAX's fast dispatch for programs read from files: a repeated call runs no Python.

The internals of `jax.jit` used here are not public in JAX; where they are missing, programs run through Python, which
takes a quarter of a millisecond more per call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax

_pjit: Any = None
with contextlib.suppress(ImportError, AttributeError):  # another version of JAX
    from jax._src.interpreters.pxla import JitGlobalCppCacheKeys, MeshExecutableFastpathData, cc_shard_arg
    from jax._src.tree_util import dispatch_registry
    from jaxlib import _jax

    _pjit = _jax.pjit

Missed = tuple[Any, tuple[Any, Sequence[jax.Array], Sequence[Any]] | None]


def dispatched(name: str, miss: Callable[..., Missed]) -> Callable[..., Any]:
    """Return a function that calls `miss` for arrays of new shapes, and afterwards runs the program from `miss`.

    `miss` returns the result together with the executable, its leading arguments and the leaves of the others; or the
    result and None, if the program must not be run this way.
    """
    if _pjit is None:
        return lambda *arrays: miss(*arrays)[0]

    def missed(*arrays: Any) -> tuple[Any, Any, bool]:
        result, program = miss(*arrays)
        return result, None if program is None else _data(result, *program), False

    call: Callable[..., Any] = _pjit(
        name, None, missed, [], [], JitGlobalCppCacheKeys(), dispatch_registry, cc_shard_arg
    )
    return call


def _data(result: Any, executable: Any, numbers: Sequence[jax.Array], leaves: Sequence[Any]) -> Any:
    results, tree = dispatch_registry.flatten(result, None)
    arguments = len(numbers) + len(leaves)
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return MeshExecutableFastpathData(
        xla_executable=executable,
        out_pytree_def=tree,
        in_shardings=[device] * arguments,
        out_shardings=[device] * len(results),
        out_avals=[array.aval for array in results],
        out_committed=[False] * len(results),
        kept_var_bitvec=[True] * arguments,
        in_device_local_layouts=[None] * arguments,
        const_args=list(numbers),
    )
