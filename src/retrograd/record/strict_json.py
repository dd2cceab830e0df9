"""JSON that any program can read: no NaN, no duplicate keys, bounded depth and size."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from retrograd.base.annotations import show
from retrograd.base.errors import UsageError

MAX_DEPTH = 64
MAX_DIGITS = 400
MAX_VALUES = 2**20  # each value takes up to about 150 bytes of memory


def write_json(value: Any) -> str:
    """Return JSON on one line; tuples become lists, NaN and infinities the strings "nan", "inf" and "-inf".

    Raises:  UsageError if `parse_json` could not read it back: other types, keys that are not strings, too deep or long
    """
    try:
        text = json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
        parse_json(text)
    except (ValueError, TypeError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise UsageError(f"cannot be written as JSON: {reason}") from None
    return text


def parse_json(text: str) -> Any:
    """Parse untrusted JSON.

    Raises:  ValueError naming the rule that it breaks
    """
    if text.count("[") + text.count("{") + text.count(",") > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values")
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_int=_short, parse_float=_finite, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError(f"nested too deep (more than {MAX_DEPTH} levels)") from None
    _check_depth(value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not a string")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if getattr(value, "shape", None) == ():  # a scalar of NumPy or JAX
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"duplicate key {show(key)}")
        values[key] = value
    return values


def _short(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"number too long ({len(digits):,} digits)")
    return int(digits)


def _finite(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise ValueError(f"the number {digits[:20]} is too large")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_depth(value: Any) -> None:
    """Check the nesting depth level by level, without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested too deep (more than {MAX_DEPTH} levels)")
        level = [inner for outer in level for inner in _inner(outer)]


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
