"""Descriptions by value, as JSON: what distinguishes two traces, and the structure of a program's results.

Only classes of this package and of optax are named, and only to be rebuilt from plain values; a description never
runs code. Anything else, such as a user's layer, raises `IndescribableError`.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import importlib
import math
import operator
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

import jax
import numpy as np

PACKAGES = ("retrograd", "optax")
HOST = {"_operator": operator, "math": math, "builtins": None}  # modules with functions of numbers
MAPPINGS: dict[str, Any] = {"dict": dict, "OrderedDict": OrderedDict}
BUILTINS: dict[str, Any] = {kind.__name__: kind for kind in (abs, bool, int, float, round, min, max)}


class IndescribableError(TypeError):
    """An object that has no description by value."""


def described(thing: Any) -> Any:
    """Describe an object by JSON values: equal for equal objects, different for different ones."""
    if thing is None or isinstance(thing, (bool, str)):
        return thing
    if isinstance(thing, (int, float)):
        return [type(thing).__name__, thing.hex() if isinstance(thing, float) else str(thing)]
    if isinstance(thing, (tuple, list, set, frozenset, Mapping)):
        return _items(thing)
    if isinstance(thing, enum.Enum):
        return [name_of(type(thing)), thing.name]
    if isinstance(thing, (np.ndarray, np.generic)):
        return _array(np.ascontiguousarray(thing))
    if isinstance(thing, (np.dtype, jax.ShapeDtypeStruct, jax.core.AbstractValue)):
        return [type(thing).__name__, str(thing)]
    if isinstance(thing, jax.tree_util.PyTreeDef):
        return ["form", form(thing)]
    if isinstance(thing, (type, FunctionType, BuiltinFunctionType)):
        return ["named", name_of(thing)]
    if dataclasses.is_dataclass(thing):
        fields = dataclasses.fields(thing)
        return [name_of(type(thing)), *([field.name, described(getattr(thing, field.name))] for field in fields)]
    raise IndescribableError(f"{type(thing).__name__}")


def _array(array: np.ndarray) -> list[Any]:
    if array.dtype.hasobject:
        raise IndescribableError("an array of objects")
    return ["array", str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()]


def _items(thing: Any) -> list[Any]:
    if isinstance(thing, Mapping):
        return ["mapping", *([described(key), described(value)] for key, value in thing.items())]
    if isinstance(thing, (set, frozenset)):
        return ["set", *sorted(map(repr, map(described, thing)))]
    kind = "list" if isinstance(thing, list) else name_of(type(thing)) if hasattr(thing, "_fields") else "tuple"
    return [kind, *map(described, thing)]


def name_of(thing: Any) -> str:
    """Return the qualified name of a class or function of a known package."""
    module, name = thing.__module__ or "builtins", thing.__qualname__
    if module.partition(".")[0] not in (*PACKAGES, *HOST, "numpy", "jax", "ml_dtypes") or "<" in name:
        raise IndescribableError(f"{module}.{name}")
    return f"{module}:{name}"


def named(name: str) -> Any:
    """Return the class or function with this qualified name."""
    module, _, path = name.partition(":")
    if module == "builtins":
        return BUILTINS[path]
    if module in HOST:
        return getattr(HOST[module], path)
    if module.partition(".")[0] not in PACKAGES:
        raise IndescribableError(name)
    return operator.attrgetter(path)(importlib.import_module(module))


# ------------------------------------------------------------------------------------------------------ forms of trees


def form(tree: jax.tree_util.PyTreeDef) -> Any:
    """Return the structure of a tree as JSON values; its leaves are their indices."""
    return _form(jax.tree.unflatten(tree, range(tree.num_leaves)))


def _form(thing: Any) -> Any:
    if thing is None or isinstance(thing, int):
        return thing
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        return {"named": name_of(type(thing)), "parts": [*map(_form, thing)]}
    if type(thing) in (tuple, list):
        return {type(thing).__name__: [*map(_form, thing)]}
    if type(thing) in MAPPINGS.values() and all(isinstance(key, str) for key in thing):
        return {type(thing).__name__: {key: _form(value) for key, value in thing.items()}}
    value = getattr(thing, "value", None)
    if dataclasses.is_dataclass(thing) and isinstance(
        value, jax.tree_util.PyTreeDef
    ):  # a static structure, not an array
        return {"static": name_of(type(thing)), "form": form(value)}
    raise IndescribableError(f"{type(thing).__name__} in a result")


def tree_of(form: Any) -> jax.tree_util.PyTreeDef:
    """Return the tree structure described by a form."""
    return jax.tree.structure(_rebuilt(form))


def _rebuilt(form: Any) -> Any:
    if form is None or isinstance(form, int):
        return form
    if "static" in form:
        return _class(form["static"], dataclasses.is_dataclass)(tree_of(form["form"]))
    if "named" in form:
        return _class(form["named"], lambda kind: hasattr(kind, "_fields"))(*map(_rebuilt, form["parts"]))
    kind, parts = next(iter(form.items()))
    if kind in MAPPINGS:
        return MAPPINGS[kind]((key, _rebuilt(value)) for key, value in parts.items())
    return {"tuple": tuple, "list": list}[kind](map(_rebuilt, parts))


def _class(name: str, allowed: Callable[[Any], bool]) -> Any:
    kind = named(name)
    if not isinstance(kind, type) or not allowed(kind):
        raise IndescribableError(name)
    return kind
