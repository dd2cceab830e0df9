"""Numbers that a compiled program takes as arguments, so that another learning rate or decay compiles nothing.

Inside a trace, a setting such as `beta1` is a `Scalar`. Arithmetic between scalars and plain numbers stays on the host,
in double precision, as with plain numbers: `1 - beta1` is another number, rounded once. Where a scalar meets an array,
it becomes an argument of the program. Decisions that the trace bases on a scalar's value (`if rate == 0`) are recorded;
the program is reused only for values that lead to the same decisions.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

Expression = tuple[Any, ...]  # a function and its operands; a base value is (index,)
OURS = "retrograd."
_UNARY: dict[str, Callable[[Any], Any]] = {"neg": operator.neg, "pos": operator.pos, "abs": abs}
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv, "pow": operator.pow,
    "floordiv": operator.floordiv, "mod": operator.mod,
}  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip


def value_of(expression: Expression, values: Sequence[float]) -> Any:
    """Evaluate an expression on the host for these base values."""
    function, *operands = expression
    if not operands:
        return values[function]
    return function(*(value_of(operand, values) if isinstance(operand, tuple) else operand for operand in operands))


@dataclass(eq=False)
class Table:
    """The scalars of one structure: those that are arguments of its programs, and decisions based on their values."""

    arguments: dict[Expression, int] = field(default_factory=dict)
    decisions: dict[Expression, Any] = field(default_factory=dict)
    explored: bool = False  # whether a trace has listed the arguments, which must precede compilation

    def holds(self, values: Sequence[float]) -> bool:
        """Return whether these values lead to the decisions for which the programs were traced."""
        return all(value_of(expression, values) == outcome for expression, outcome in self.decisions.items())

    def numbers(self, values: Sequence[float]) -> tuple[Any, ...]:
        """Return the programs' arguments for these values."""
        return tuple(value_of(expression, values) for expression in self.arguments)


@dataclass(frozen=True)
class _Tracing:
    table: Table
    values: Sequence[float]
    numbers: Sequence[Any]  # tracers, one for each argument in the table when the trace began


_tracing: ContextVar[_Tracing | None] = ContextVar("scalars", default=None)


@contextmanager
def traced(table: Table, values: Sequence[float], numbers: Sequence[Any]) -> Iterator[None]:
    """Inside the block, use the program's arguments `numbers` for scalars that meet an array.

    The first trace, which computes nothing, lists them; a scalar that first meets an array in a later trace becomes a
    constant of the program.
    """
    token = _tracing.set(_Tracing(table, values, numbers))
    try:
        yield
    finally:
        _tracing.reset(token)


class Scalar:
    """A number known on the host but not a constant of the program: a base value, or an expression of base values."""

    __slots__ = ("_expression",)
    __array_priority__ = 1000

    def __init__(self, expression: Expression) -> None:
        self._expression = expression

    def __jax_array__(self) -> Any:
        tracing = _current()
        place = tracing.table.arguments.get(self._expression)
        if place is not None and place < len(tracing.numbers):
            return tracing.numbers[place]
        if tracing.table.explored:
            return jnp.asarray(self.decided())
        tracing.table.arguments.setdefault(self._expression, len(tracing.table.arguments))
        return jnp.asarray(value_of(self._expression, tracing.values))

    def decided(self) -> Any:
        """Return the value; from now on the trace depends on it."""
        tracing = _current()
        value = value_of(self._expression, tracing.values)
        tracing.table.decisions[self._expression] = value
        return value

    def __float__(self) -> float:
        return float(self.decided())

    def __int__(self) -> int:
        return int(self.decided())

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.decided(), digits)

    def __bool__(self) -> bool:
        return bool(Scalar((bool, self._expression)).decided())

    def __hash__(self) -> int:
        return hash(self.decided())

    def __repr__(self) -> str:
        return repr(self.decided())

    def __format__(self, form: str) -> str:
        return format(self.decided(), form)


def _current() -> _Tracing:
    tracing = _tracing.get()
    assert tracing is not None, "a scalar outside the program that it belongs to"
    return tracing


def _operand(other: Any) -> Any:
    """Return an operand as part of an expression; None for an array."""
    if isinstance(other, Scalar):
        return other._expression
    return other if isinstance(other, (bool, int, float)) else None


def _binary(name: str, function: Callable[[Any, Any], Any]) -> None:
    def forward(self: Scalar, other: Any) -> Any:
        operand = _operand(other)
        if operand is None:
            return function(self.__jax_array__(), other)
        return Scalar((function, self._expression, operand))

    def backward(self: Scalar, other: Any) -> Any:
        operand = _operand(other)
        if operand is None:
            return function(other, self.__jax_array__())
        return Scalar((function, operand, self._expression))

    setattr(Scalar, f"__{name}__", forward)
    setattr(Scalar, f"__r{name}__", backward)


def _unary(name: str, function: Callable[[Any], Any]) -> None:
    setattr(Scalar, f"__{name}__", lambda self: Scalar((function, self._expression)))


def _compare(name: str, function: Callable[[Any, Any], bool]) -> None:
    def compared(self: Scalar, other: Any) -> Any:
        operand = _operand(other)
        if operand is None:
            return function(self.__jax_array__(), other) if isinstance(other, jax.Array) else NotImplemented
        return Scalar((function, self._expression, operand)).decided()

    setattr(Scalar, f"__{name}__", compared)


for _name in _BINARY:
    _binary(_name, _BINARY[_name])
for _name in _UNARY:
    _unary(_name, _UNARY[_name])
for _name in _COMPARE:
    _compare(_name, _COMPARE[_name])


def on_host(function: Callable[..., Any], *numbers: Any) -> Any:
    """Apply a host function to numbers; if any of them is a scalar, return a scalar."""
    if not any(isinstance(number, Scalar) for number in numbers):
        return function(*numbers)
    return Scalar((function, *(_operand(number) for number in numbers)))


def in_array(number: Any) -> Any:
    """Return a number as array functions accept it; plain numbers are unchanged."""
    return number.__jax_array__() if isinstance(number, Scalar) else number


# ------------------------------------------------------------------------------------------ settings with open numbers


def opened(thing: Any, values: list[float]) -> Any:
    """Return settings whose open numbers are scalars; their values are appended to `values`.

    The open fields are those that a class of this package lists in `open_numbers`, and those of its nested settings.
    """
    changed = {}
    for name in _open_fields(thing):
        value = getattr(thing, name, None)
        if type(value) is float:
            changed[name] = Scalar((len(values),))
            values.append(value)
        elif hasattr(type(value), "open_numbers") and (inner := opened(value, values)) is not value:
            changed[name] = inner
    return with_values(thing, changed) if changed else thing


def closed(thing: Any) -> Any:
    """Return settings with 1 for every non-zero open number, so that settings that differ only in these are equal."""
    changed = {}
    for name in _open_fields(thing):
        value = getattr(thing, name, None)
        if type(value) is float:
            changed[name] = 1.0 if value else 0.0
        elif hasattr(type(value), "open_numbers"):
            changed[name] = closed(value)
    return with_values(thing, changed) if changed else thing


def _open_fields(thing: Any) -> Sequence[str]:
    """Return the names of the open fields; none for classes of other packages, which expect plain numbers."""
    kind = type(thing)
    return getattr(kind, "open_numbers", ()) if kind.__module__.startswith(OURS) else ()


def with_values(thing: Any, changed: Mapping[str, Any]) -> Any:
    """Return a copy of a frozen dataclass with changed values, without validation."""
    copy = object.__new__(type(thing))
    copy.__dict__.update(thing.__dict__)
    copy.__dict__.update(changed)
    return copy


jax.tree_util.register_pytree_node(  # an inner compiled function takes it like a plain number: as an array
    Scalar, lambda scalar: ((scalar.__jax_array__(),), None), lambda _, children: children[0]
)
