"""The parts of a C file being written: constants, routines, calls, and the places of values in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrograd.base.errors import ConfigError
from retrograd.ship.c.routines import EACH, PAIR, ROUTINES

WIDE = 12  # numbers on a line of constants


@dataclass
class Source:
    """The parts of a file being written, and the place of each value in shared memory."""

    constants: dict[str, str] = field(default_factory=dict)
    routines: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)  # node -> begin and length in floats
    memory: int = 0
    path: str = ""
    formulas: dict[str, str] = field(default_factory=dict)  # formula for an element -> name of its routine

    def call(self, routine: str, *arguments: str | int) -> None:
        """Add a call of a routine."""
        self.routines.setdefault(routine, ROUTINES.get(routine, ""))
        self.calls.append(f"    {routine}({', '.join(map(str, arguments))});  /* {self.path} */")

    def each(self, name: str, formula: str, x: str, y: str, size: int) -> None:
        """Add a call of a routine that computes y from each element v by a formula."""
        made = self.formulas.setdefault(formula, free(f"each_{name}", self.routines))
        self.routines.setdefault(made, EACH.format(name=made, formula=formula))
        self.call(made, x, y, size)

    def pairs(self, name: str, sign: str, pointers: tuple[str, ...], y: str, size: int) -> None:
        """Add calls that combine values, two at a time, element by element."""
        self.routines.setdefault(name, PAIR.format(name=name, formula=f"x[i] {sign} z[i]"))
        self.call(name, *pointers[:2], y, size)
        for other in pointers[2:]:
            self.call(name, y, other, y, size)

    def array(self, values: np.ndarray, name: str) -> str:
        """Add constants; return their name.

        Raises:  ConfigError for infinite numbers or NaN
        """
        flat = np.ravel(values)
        if not np.isfinite(flat).all():
            raise ConfigError(f"{name} contains numbers that are not finite", where=self.path, cure="train again")
        made = free(f"{identifier(self.path)}_{name}", self.constants)
        whole = flat.dtype.kind in "iu"
        numbers = [str(int(v)) if whole else number(v) for v in flat]
        lines = [", ".join(numbers[i : i + WIDE]) for i in range(0, len(numbers), WIDE)]
        kind, body = "int" if whole else "float", ",\n    ".join(lines)
        self.constants[made] = f"static const {kind} {made}[{len(flat)}] = {{\n    {body}\n}};"
        return made

    def place(self, name: str, length: int, alive: set[str]) -> None:
        """Give a value the first place that no live value occupies."""
        begin = 0
        for start, size in sorted(self.places[n] for n in alive):
            if start - begin >= length:
                break
            begin = max(begin, start + size)
        self.places[name] = begin, length
        self.memory = max(self.memory, begin + length)

    def pointer(self, name: str) -> str:
        """Return a pointer to a value, in C."""
        return "x" if name == "x" else f"(memory + {self.places[name][0]})"


def free(name: str, taken: dict[str, str]) -> str:
    """Return an unused name: distinct paths may map to the same name in C."""
    made, count = name, 1
    while made in taken:
        count += 1
        made = f"{name}_{count}"
    return made


def number(value: Any) -> str:
    """Return a float32 literal in C, with all digits."""
    text = f"{np.float32(value):.9g}"
    return f"{text}{'' if set(text) & set('.e') else '.0'}f"


def identifier(path: str) -> str:
    """Return a path as a name in C."""
    return "n_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in path)
