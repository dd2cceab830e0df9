"""The mesh of devices, and the slice of batch, parameters and moments that each of them holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.tree_util import DictKey, GetAttrKey

from retrograd.base.errors import ConfigError
from retrograd.distributed.settings import AXES, DATA, MODEL, MeshSettings, Rule

CUT = ("params", "optimizer")  # parts of a training state whose tensors may be cut; running averages stay whole


@dataclass(frozen=True)
class Layout:
    """A mesh, and the rules by which tensors are cut among its devices. Equal layouts compile to one program."""

    mesh: Mesh
    shard: tuple[Rule, ...] = ()

    @property
    def whole(self) -> NamedSharding:
        """The sharding that puts everything on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    def of_rows(self, rows: int) -> NamedSharding:
        """Return how a batch is cut: evenly among the devices along `data`, or not at all if that is impossible."""
        even = rows % self.mesh.shape[DATA] == 0
        return NamedSharding(self.mesh, PartitionSpec(DATA)) if even else self.whole

    def of_leaf(self, path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        """Return how an array in a training state is cut."""
        return NamedSharding(self.mesh, PartitionSpec(*axes_of(self.shard, self.mesh.shape, path, leaf.shape)))

    def shardings(self, tree: Any) -> Any:
        """Return how each array of a training state or of variables is cut; a moment is cut like its parameter."""
        return jax.tree_util.tree_map_with_path(self.of_leaf, tree)

    def cuts(self, tree: Any) -> bool:
        """Return whether any array of a training state (or its specs) is cut."""
        return any(not sharding.is_fully_replicated for sharding in jax.tree.leaves(self.shardings(tree)))

    def idle(self, params: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        """Yield the reason for each rule that cuts nothing, except rules without an axis, which do so on purpose."""
        shapes = {
            f"{node}/{name}": leaf.shape for node, node_params in params.items() for name, leaf in node_params.items()
        }
        extents = self.mesh.shape
        for number, (pattern, axes) in enumerate(self.shard):
            matching = [shape for path, shape in shapes.items() if fnmatchcase(path, pattern)]
            named = [axis for axis in axes if axis is not None]
            if not matching:
                reason = f"no parameter matches '{pattern}'"
            elif named and all(extents[axis] == 1 for axis in named):
                reason = f"{' and '.join(named)} of the mesh is 1"
            elif not any(divides(axes, extents, shape) for shape in matching):
                parts = " x ".join("1" if axis is None else str(extents[axis]) for axis in axes)
                reason = f"no parameter that matches '{pattern}' can be cut evenly into {parts}"
            else:
                continue
            yield f"distributed.shard.{number} cuts nothing: {reason}"

    def keeps(self, tree: Any) -> Any:
        """Constrain a state returned by a program to the sharding of its input."""
        return jax.tree.map(lax.with_sharding_constraint, tree, self.shardings(tree))

    def spreads(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Constrain a batch inside a program to be cut among the devices."""
        return {name: lax.with_sharding_constraint(column, self.of_rows(len(column))) for name, column in batch.items()}

    def placed(self, array: Any, sharding: NamedSharding) -> jax.Array:
        """Return an array that every process has as an array on the mesh, without communication."""
        if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            key: jax.Array = jax.random.wrap_key_data(self.placed(jax.random.key_data(array), sharding))
            return key
        whole = np.asarray(array)
        return self.filled(whole.shape, sharding, lambda place: whole[place])

    def filled(self, shape: tuple[int, ...], sharding: NamedSharding, part: Callable[[Any], Any]) -> jax.Array:
        """Return an array on the mesh, of which this process reads only the slices of its devices."""
        parts: dict[Any, Any] = {}

        def read(place: Any) -> Any:
            key = str(place)
            if key not in parts:
                parts[key] = part(place)
            return parts[key]

        return jax.make_array_from_callback(shape, sharding, read)


def axes_of(
    rules: Sequence[Rule], extents: Mapping[str, int], path: tuple[Any, ...], shape: Sequence[int]
) -> tuple[str | None, ...]:
    """Return the mesh axis along which each axis of an array in a training state is cut; empty if it is whole.

    The first rule applies that matches the path of a parameter, or of its moment, and divides the axes evenly.
    """
    match path:
        case (GetAttrKey(name=part), *_, DictKey(key=node), DictKey(key=name)) if part in CUT:
            for pattern, axes in rules:
                if fnmatchcase(f"{node}/{name}", pattern) and divides(axes, extents, shape):
                    return axes
    return ()


def divides(axes: Sequence[str | None], extents: Mapping[str, int], shape: Sequence[int]) -> bool:
    """Return whether a tensor can be cut evenly."""
    parts = [1 if axis is None else extents[axis] for axis in axes]
    return len(parts) <= len(shape) and all(n % part == 0 for n, part in zip(shape, parts, strict=False))


def mesh_of(settings: MeshSettings) -> Mesh:
    """Return the mesh of all devices of all processes.

    Raises:  ConfigError if the devices do not fit the settings
    """
    devices = jax.devices()
    extents = {name: getattr(settings, name) for name in AXES}
    fixed = math.prod(extent for extent in extents.values() if extent != -1)
    extents = {name: len(devices) // fixed if extent == -1 else extent for name, extent in extents.items()}
    if math.prod(extents.values()) != len(devices) or 0 in extents.values():
        words = " x ".join(str(getattr(settings, name)) for name in AXES)
        message = f"{len(devices)} devices do not fit a mesh of {words} (data x model)"
        raise ConfigError(message, where="distributed.mesh", cure="use -1 for all remaining devices")
    shape = (extents[DATA], extents[MODEL])
    return Mesh(np.array(devices).reshape(shape), AXES, axis_types=(AxisType.Auto,) * len(AXES))
