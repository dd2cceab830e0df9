"""Compile once: callers whose traces would be equal share one program.

JAX keeps a compiled program only as long as the function that was compiled. Two runs of equal networks have two
functions; here they share one, looked up by what the trace depends on: the function, the frozen objects that it reads
(network, objectives, optimizer), the kernels in use. Learning rates and the like are arguments (`scalars.py`).
If compiled programs are cached between processes, a later process runs them at once (`program_files.py`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from retrograd.base.compilation import program_files
from retrograd.base.compilation.cache import CACHE, Entry
from retrograd.base.compilation.described import IndescribableError, name_of
from retrograd.base.compilation.dispatch import Missed, dispatched
from retrograd.base.compilation.program_files import Ready, is_unusual, signature
from retrograd.base.compilation.scalars import Table, closed, opened, traced

QUICKLY: dict[str, Any] = {  # XLA compiles twice as fast; the program runs slower
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
ONCE: dict[str, Any] = {
    "xla_backend_optimization_level": 1
}  # random numbers compile four times as fast, with the same bits


class ProgramsInfo(NamedTuple):
    """The numbers of programs cached, shared, created and compiled."""

    kept: int
    found: int
    made: int
    compiled: int
    seconds: float  # of compiling, or of reading what an earlier process compiled

    def __str__(self) -> str:
        return (
            f"{self.kept} programs kept, {self.made} made, {self.found} shared; "
            f"{self.compiled} compiled in {self.seconds:.1f} s"
        )


_contexts: list[Callable[[], Hashable]] = []
_values: ContextVar[Sequence[float]] = ContextVar("values", default=())


@contextmanager
def calling(values: Sequence[float]) -> Iterator[None]:
    """Trace inside the block with these values of the open numbers."""
    token = _values.set(values)
    try:
        yield
    finally:
        _values.reset(token)


def depends_on(context: Callable[[], Hashable]) -> None:
    """Make every trace depend on the result of a function, such as whether native kernels are in use."""
    _contexts.append(context)


class Program:
    """A function of frozen objects and arrays, compiled once for all objects that differ only in open numbers.

    The call is `function(*things, *arrays)`. `donate` lists the arrays whose buffers are consumed, by position.
    `reads_numbers=False` promises that the result does not depend on open numbers. `options` are XLA's: QUICKLY or
    ONCE suit a program that rarely runs.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *things: Any,
        donate: tuple[int, ...] = (),
        reads_numbers: bool = True,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.function, self.things, self.donate, self.reads_numbers = function, things, donate, reads_numbers
        self.options = tuple(sorted((options or {}).items()))
        self._private = Table()
        self._entries: dict[Hashable, tuple[Entry, int, tuple[Any, ...]]] = {}
        self._calls: dict[Hashable, Callable[..., Any]] = {}
        self._ready: dict[Hashable, tuple[Ready, Sequence[jax.Array]] | None] = {}

    @functools.cached_property
    def _values(self) -> list[float]:
        """The open numbers of the objects; computed only when the program runs."""
        values: list[float] = []
        if self.reads_numbers:
            for thing in self.things:
                _opened(thing, values)
        return values

    @functools.cached_property
    def _structure(self) -> Hashable | None:
        """The key shared by all objects that use the program; None for unhashable objects, which do not share."""
        try:
            structure = (tuple(_closed(thing) for thing in self.things), self.reads_numbers)
            hash(structure)
        except TypeError:  # a user's layer
            return None
        return structure

    def __call__(self, *arrays: Any) -> Any:
        """Run the program; the first call with new shapes compiles it, unless an earlier process did."""
        if program_files.store() is None or self._structure is None or is_unusual():
            return self._jitted(arrays)
        context = _context()
        if (call := self._calls.get(context)) is None:
            self._calls[context] = call = dispatched(self.function.__name__, self._ready_or_jitted)
        return call(*arrays)

    def _ready_or_jitted(self, *arrays: Any) -> Missed:
        """Return the result for arrays of new shapes and, for a program stored in a file, the executable."""
        store = program_files.store()
        leaves, tree = jax.tree.flatten(arrays)
        if store is not None and (shapes := signature(leaves)) is not None:
            place = (_context(), tree, shapes)
            if place not in self._ready:
                self._ready[place] = self._prepare(store, arrays, place)
            if (ready := self._ready[place]) is not None:
                program, numbers = ready
                return program(numbers, leaves), (program.executable, numbers, leaves)
        return self._jitted(arrays), None

    def _jitted(self, arrays: Sequence[Any]) -> Any:
        if self.options and _is_traced(arrays):  # XLA's options apply to whole programs only
            return Program(self.function, *self.things, reads_numbers=self.reads_numbers)(*arrays)
        entry, numbers = self._find(arrays)
        with calling(self._values):
            return entry.jitted(numbers, *arrays)

    def shapes(self, *arrays: Any) -> Any:
        """Return the shapes of the program's results without compiling."""
        leaves, tree = jax.tree.flatten(arrays)
        if self._structure is None or (kinds := signature(leaves)) is None:
            return self._traced_shapes(arrays)
        return known_shapes(lambda: self._traced_shapes(arrays), self.function, self._structure, tree, kinds)

    def _traced_shapes(self, arrays: Sequence[Any]) -> Any:
        with CACHE.lock:
            table = self._table()
            if not table.explored:
                return self._explore(table, arrays)
        entry, numbers = self._find(arrays)
        with calling(self._values):
            return jax.eval_shape(entry.jitted, numbers, *arrays)

    def remembered(self, function: Callable[[Any], Any], *arrays: Any) -> Any:
        """Return the result of applying `function` to the lowered program, computed only once for the same shapes."""
        leaves, form = jax.tree.flatten(arrays)
        store, shapes = program_files.store(), signature(leaves)
        if store is not None and self._structure is not None and shapes is not None:
            with contextlib.suppress(IndescribableError):
                key = store.key(function, self._structure, name_of(self.function), _context(), form, shapes)
                return store.answer(key, lambda: self._asked(function, arrays))
        return self._asked(function, arrays)

    def _asked(self, function: Callable[[Any], Any], arrays: Sequence[Any]) -> Any:
        entry, numbers = self._find(arrays)
        leaves, form = jax.tree.flatten(arrays)
        key = (function, form, tuple((leaf.shape, leaf.dtype) for leaf in leaves), jax.config.read("jax_enable_x64"))
        if key not in entry.answers:
            with calling(self._values):
                entry.answers[key] = function(entry.jitted.lower(numbers, *arrays))
        return entry.answers[key]

    def _prepare(
        self, store: program_files.Store, arrays: Sequence[Any], place: tuple[Hashable, ...]
    ) -> tuple[Ready, Sequence[jax.Array]] | None:
        """Return the program for these shapes, from a file or compiled and stored, together with its numbers."""
        settings = (self.donate, self.options, *place)

        def prepare() -> Ready | None:
            try:
                key = store.key(self.function, self._structure, *settings)
            except IndescribableError:
                return None
            ready = store.load(key, self._values)
            if ready is None:
                entry, numbers = self._find(arrays)
                with calling(self._values):
                    lowered = entry.jitted.lower(numbers, *arrays)
                ready = store.keep(key, entry.table, lowered)
            return ready

        with CACHE.lock:
            ready = CACHE.prepared((self.function, self._structure, *settings), self._values, prepare)
        return None if ready is None else (ready, tuple(map(jnp.asarray, ready.table.numbers(self._values))))

    def _find(self, arrays: Sequence[Any]) -> tuple[Entry, tuple[Any, ...]]:
        context = _context()
        if (known := self._entries.get(context)) is not None:
            entry, decisions, numbers = known
            if len(entry.table.decisions) == decisions:
                return entry, numbers
        with CACHE.lock:
            table = self._table()
            if not table.explored and self._values:
                self._explore(table, arrays)
            key = (self.function, self.donate, self.options, context, table)
            entry = CACHE.program(key, functools.partial(self._made, table))
            numbers = table.numbers(self._values)
            self._entries[context] = (entry, len(table.decisions), numbers)
        return entry, numbers

    def _table(self) -> Table:
        return self._private if self._structure is None else CACHE.table(self._structure, self._values)

    def _explore(self, table: Table, arrays: Sequence[Any]) -> Any:
        """Trace once to find out which numbers are arguments; return the shapes of the results."""
        run = self._run(table)
        with calling(self._values):
            shapes = jax.eval_shape(lambda *arrays: run((), *arrays), *arrays)
        table.explored = True
        return shapes

    def _run(self, table: Table) -> Callable[..., Any]:
        function, things = self.function, self.things
        if not self.reads_numbers:
            return lambda _, *arrays: function(*things, *arrays)

        def run(numbers: tuple[Any, ...], *arrays: Any) -> Any:
            places: list[float] = []
            with traced(table, _values.get(), numbers):
                return function(*(_opened(thing, places) for thing in things), *arrays)

        run.__name__ = run.__qualname__ = getattr(function, "__name__", type(function).__name__)
        return run

    def _made(self, table: Table) -> Entry:
        donate = tuple(1 + place for place in self.donate)
        run, options = self._run(table), dict(self.options) or None
        return Entry(table, jax.jit(run, donate_argnums=donate, keep_unused=True, compiler_options=options), {})


def _is_traced(arrays: Sequence[Any]) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arrays))


def _context() -> Hashable:
    return tuple(context() for context in _contexts)


def known_shapes(trace: Callable[[], Any], *things: Hashable) -> Any:
    """Return the tree of shapes that `trace` derives from these objects, stored if an earlier process has traced it."""
    store = program_files.store()
    if store is not None:
        with contextlib.suppress(IndescribableError):
            context = (_context(), jax.config.jax_enable_x64)  # type: ignore[attr-defined]
            return store.answer(store.key(known_shapes, things, context), trace)
    return trace()


def _opened(thing: Any, values: list[float]) -> Any:
    if type(thing) is tuple:
        return tuple(_opened(item, values) for item in thing)
    open_form = getattr(thing, "opened", None)
    return open_form(values) if callable(open_form) else opened(thing, values)


def _closed(thing: Any) -> Any:
    if type(thing) is tuple:
        return tuple(_closed(item) for item in thing)
    closed_form = getattr(thing, "closed", None)
    return closed_form() if callable(closed_form) else closed(thing)


def programs() -> ProgramsInfo:
    """Return how many programs this process has cached, shared and compiled."""
    return ProgramsInfo(len(CACHE.programs), CACHE.found, CACHE.made, CACHE.compiled, CACHE.seconds)
