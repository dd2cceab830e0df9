"""Programs stored in files, ready to run: a later process neither traces nor compiles them again.

A file contains the trace's table of open numbers, the structure of the result, and XLA's executable. Its name is a
digest of everything that a trace and its compilation depend on: this package's sources, JAX's version, the processor,
and the program's objects and shapes. Whoever can write there can also replace the files of JAX's own cache; nothing
is read from anywhere else.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import secrets
import zlib
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.base.compilation.described import IndescribableError, described, form, name_of, named, tree_of
from retrograd.base.compilation.scalars import Expression, Table

SUFFIX = "-program-cache"
VARIANTS = 4  # files per key, for values that lead to different decisions
FORMAT = 1
SETTINGS = (  # JAX options that a trace depends on
    "jax_enable_x64", "jax_default_matmul_precision", "jax_numpy_dtype_promotion", "jax_default_prng_impl",
    "jax_threefry_partitionable", "jax_random_seed_offset",
)  # fmt: skip
UNUSUAL = ("jax_disable_jit", "jax_debug_nans", "jax_debug_infs")  # modes in which JAX itself must run the program
CALLED = re.compile(r"stablehlo\.custom_call @([\w.$]+)")
OWN_CALLS = "retrograd_"  # native kernels, which are loaded before a program is looked up

_stores: list[Store] = []  # empty, or the store in use


def store() -> Store | None:
    """Return the store of programs shared between processes, if there is one."""
    return _stores[-1] if _stores else None


def keep_in(folder: Path) -> None:
    """Store programs in this folder from now on."""
    _stores[:] = [Store(folder)]


class Ready(NamedTuple):
    """A program that runs without JAX's tracing: flat arrays in, flat arrays out."""

    table: Table
    executable: Any
    tree: jax.tree_util.PyTreeDef
    keys: tuple[int, ...]  # indices of the results that are random keys

    def __call__(self, numbers: Sequence[jax.Array], leaves: Sequence[Any]) -> Any:
        """Run the program."""
        results = self.executable.execute([*numbers, *map(on_device, leaves)])
        for index in self.keys:
            results[index] = jax.random.wrap_key_data(results[index])
        return jax.tree.unflatten(self.tree, results)


def on_device(leaf: Any) -> jax.Array:
    """Return a leaf as an array that an executable accepts."""
    if not isinstance(leaf, jax.Array):
        leaf = jax.device_put(leaf, may_alias=False)  # the caller may write into it while the program runs
    array: jax.Array = leaf if isinstance(leaf.dtype, np.dtype) else jax.random.key_data(leaf)
    return array


def signature(leaves: Sequence[Any]) -> Hashable | None:
    """Return the signature of arrays that selects a program; None in a trace, on several devices or not on CPU."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves) or jax.device_count() > 1:
        return None
    if jax.default_backend() != "cpu" or is_unusual():
        return None
    kinds = tuple(leaf.aval if isinstance(leaf, jax.Array) else _kind(leaf) for leaf in leaves)
    return kinds, tuple(getattr(jax.config, name, None) for name in SETTINGS)


def is_unusual() -> bool:
    """Return whether JAX is in a mode in which it must run programs itself, such as `jax_disable_jit`."""
    return any(getattr(jax.config, name, None) for name in UNUSUAL)


def _kind(leaf: Any) -> Hashable:
    array = np.asarray(leaf)
    return array.shape, str(array.dtype), type(leaf).__name__


class Store:
    """A folder of program files; files that are damaged, foreign or of another version are ignored, then replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, function: Any, structure: Hashable, *further: Hashable) -> str:
        """Return the name of a program's files.

        Raises:  IndescribableError if something has no description by value
        """
        parts = [FORMAT, surroundings(), name_of(function), described(structure), described(tuple(map(str, further)))]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def load(self, key: str, values: Sequence[float]) -> Ready | None:
        """Return the program of a key whose decisions hold for these values of the open numbers."""
        for file in self._files(key):
            try:
                ready = _read(file.read_bytes(), values)
            except OSError:  # missing or not readable
                continue
            except Exception:  # whatever is wrong with the contents: compile anew
                with contextlib.suppress(OSError):
                    file.unlink()
                continue
            if ready is not None:
                return ready
        return None

    def keep(self, key: str, table: Table, lowered: Any) -> Ready | None:
        """Compile and store a program; do nothing and return None if another process could not run it.

        Such a program has results that cannot be read back, or calls functions that only JAX sets up (LAPACK).
        """
        leaves, tree = jax.tree.flatten(lowered.out_info)
        called = CALLED.findall(lowered.as_text())
        if any(leaf.weak_type for leaf in leaves) or not all(name.startswith(OWN_CALLS) for name in called):
            return None
        try:
            head = {
                "arguments": [_expression(value) for value in table.arguments],
                "decisions": [
                    [_expression(question), _expression(outcome)] for question, outcome in table.decisions.items()
                ],
                "form": form(tree),
                "keys": [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)],
            }
        except IndescribableError:
            return None
        executable, is_whole = _compiled(lowered)
        if is_whole:
            files = self._files(key)
            free = next((file for file in files if not file.exists()), files[0])
            text, code = json.dumps(head).encode(), zlib.compress(executable.serialize(), 1)
            _write(free, b"\n".join((hashlib.sha256(text + b"\n" + code).hexdigest().encode(), text, code)))
        return Ready(_copied(table), executable, tree, tuple(head["keys"]))

    def _files(self, key: str) -> list[Path]:
        return [self.folder / f"{key[:40]}.{variant}{SUFFIX}" for variant in range(VARIANTS)]

    def answer(self, key: str, ask: Callable[[], Any]) -> Any:
        """Return a stored tree of plain values or shapes; if it is missing, compute and store it."""
        file = self.folder / f"{key[:40]}.answer{SUFFIX}"
        try:
            stored = json.loads(file.read_bytes())
            return jax.tree.unflatten(tree_of(stored["form"]), [_from_plain(leaf) for leaf in stored["leaves"]])
        except Exception:  # as for programs
            answer = ask()
        leaves, tree = jax.tree.flatten(answer)
        with contextlib.suppress(IndescribableError):
            _write(file, json.dumps({"form": form(tree), "leaves": [_plain(leaf) for leaf in leaves]}).encode())
        return answer


_hits: list[str] = []  # hits in JAX's own cache


def _count(event: str, **_: str | int) -> None:
    if event == "/jax/compilation_cache/cache_hits":
        _hits.append(event)


jax.monitoring.register_event_listener(_count)


def _compiled(lowered: Any) -> tuple[Any, bool]:
    """Return XLA's executable, and whether it may be written to a file.

    JAX's cache must not store it as well: an executable read from that cache is incomplete when written again.
    """
    least, before = jax.config.jax_persistent_cache_min_compile_time_secs, len(_hits)  # type: ignore[attr-defined]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1e9)
    try:
        executable = lowered.compile().runtime_executable()
    finally:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
    return executable, len(_hits) == before


def _plain(leaf: Any) -> Any:
    if isinstance(leaf, jax.ShapeDtypeStruct):
        if leaf.weak_type or leaf.sharding is not None:
            raise IndescribableError("a shape with more than a dtype")
        return [leaf.shape, str(leaf.dtype)]
    if not isinstance(leaf, (bool, int, float, str)):
        raise IndescribableError(type(leaf).__name__)
    return leaf


def _from_plain(leaf: Any) -> Any:
    if not isinstance(leaf, list):
        return leaf
    shape, name = leaf
    return jax.ShapeDtypeStruct(tuple(shape), _key().dtype if name == str(_key().dtype) else jnp.dtype(name))


@functools.cache
def _key() -> jax.ShapeDtypeStruct:
    key: jax.ShapeDtypeStruct = jax.eval_shape(lambda: jax.random.key(0))
    return key


def _copied(table: Table) -> Table:
    return Table(dict(table.arguments), dict(table.decisions), explored=True)


def _read(content: bytes, values: Sequence[float]) -> Ready | None:
    digest, _, rest = content.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        raise ValueError("damaged")
    text, _, code = rest.partition(b"\n")
    head = json.loads(text)
    arguments = {_from_json(expression): place for place, expression in enumerate(head["arguments"])}
    table = Table(
        arguments, {_from_json(expression): outcome for expression, outcome in head["decisions"]}, explored=True
    )
    if not table.holds(values):
        return None
    return Ready(table, _loaded(zlib.decompress(code)), tree_of(head["form"]), tuple(head["keys"]))


def _loaded(serialised: bytes) -> Any:
    from jaxlib import xla_client

    device = jax.devices()[0]
    return device.client.deserialize_executable(serialised, xla_client.DeviceList((device,)))


def _write(file: Path, content: bytes) -> None:
    """Write a file atomically; ignore a cache that cannot be written."""
    part = file.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.part{SUFFIX}")
    try:
        part.write_bytes(content)
        os.replace(part, file)
    except OSError:
        part.unlink(missing_ok=True)


def _expression(expression: Any) -> Any:
    """Return an expression of open numbers as JSON values."""
    if isinstance(expression, np.generic):
        return expression.item()
    if not isinstance(expression, tuple):
        return expression
    function, *operands = expression
    return [function if isinstance(function, int) else name_of(function), *map(_expression, operands)]


def _from_json(stored: Any) -> Any:
    if not isinstance(stored, list):
        return stored
    function, *operands = stored
    expression: Expression = (named(function) if isinstance(function, str) else function, *map(_from_json, operands))
    return expression


@functools.cache
def surroundings() -> str:
    """Return a digest of what all programs depend on: sources, versions, processor, XLA options."""
    versions = [(module.__name__, module.__version__) for module in (jax, np)]
    from importlib.metadata import version

    versions += [(name, version(name)) for name in ("jaxlib", "optax")]
    options = sorted((name, value) for name, value in os.environ.items() if name.startswith(("XLA_", "JAX_CPU_")))
    parts = (versions, platform.python_version(), platform.machine(), _processor(), options, _sources())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _processor() -> str:
    """Return the description of the processor, except for its current clock rate."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))


def _sources() -> str:
    """Return a digest of this package's files by name, size and time, so that an edited layer gets a new program."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__":
                    folders.append(entry.path)
                elif entry.name.endswith((".py", ".so")):
                    status = entry.stat()
                    digest.update(f"{entry.path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
