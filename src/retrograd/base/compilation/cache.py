"""The compiled programs cached by a process; the least recently used are evicted."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax

from retrograd.base.compilation.program_files import Ready
from retrograd.base.compilation.scalars import Table

KEPT = 128  # programs; each may be compiled for several shapes
COLLECT = 32  # evictions between collections: programs form cycles with JAX's functions, which Python rarely collects
FORGET = 128  # evictions after which JAX's own caches of traces and single operations are cleared
TABLES = 8  # combinations of decisions kept per structure


class Entry(NamedTuple):
    """A compiled function, and the table of the numbers that it takes as arguments."""

    table: Table
    jitted: Any
    answers: dict[Hashable, Any]  # results of functions of the lowered program


class Cache:
    """Tables by structure, compiled functions by what their traces depend on, and programs ready to run."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tables: OrderedDict[Hashable, list[Table]] = OrderedDict()
        self.programs: OrderedDict[Hashable, Any] = OrderedDict()
        self.ready: OrderedDict[Hashable, list[Ready]] = OrderedDict()
        self.found = self.made = self.compiled = self.evicted = 0
        self.seconds = 0.0

    def table(self, structure: Hashable, values: Sequence[float]) -> Table:
        """Return the table of a structure whose recorded decisions hold for these values, or a new one."""
        tables = self.tables.setdefault(structure, [])
        self.tables.move_to_end(structure)
        while len(self.tables) > KEPT:
            self.tables.popitem(last=False)
        for table in tables:
            if table.holds(values):
                return table
        tables.append(Table())
        del tables[:-TABLES]
        return tables[-1]

    def program(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the compiled function of a key, created if missing; the least recently used one is evicted."""
        if key in self.programs:
            self.programs.move_to_end(key)
            self.found += 1
            return self.programs[key]
        self.made += 1
        self.programs[key] = program = make()
        while len(self.programs) > KEPT:
            self.programs.popitem(last=False)
            self.evicted += 1
            if self.evicted % FORGET == 0:
                jax.clear_caches()
            if self.evicted % COLLECT == 0:
                gc.collect()
        return program

    def prepared(self, key: Hashable, values: Sequence[float], prepare: Callable[[], Ready | None]) -> Ready | None:
        """Return the program of a key that runs without JAX's tracing, prepared if missing."""
        known = self.ready.setdefault(key, [])
        self.ready.move_to_end(key)
        while len(self.ready) > KEPT:
            self.ready.popitem(last=False)
        for program in known:
            if program.table.holds(values):
                self.found += 1
                return program
        ready = prepare()
        if ready is not None:
            known.append(ready)
            del known[:-TABLES]
        return ready

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self.tables.clear()
            self.programs.clear()
            self.ready.clear()


CACHE = Cache()


def _count(event: str, duration_secs: float, **_: str | int) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        CACHE.compiled += 1
        CACHE.seconds += duration_secs


jax.monitoring.register_event_duration_secs_listener(_count)
