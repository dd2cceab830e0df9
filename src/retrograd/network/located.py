"""The place of an error: every error raised by a layer names its node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrograd.base.errors import ConfigError, RetrogradError, ShapeError
from retrograd.base.memory import memory_error
from retrograd.base.sentence import entry_setting
from retrograd.network.own_layers import own_line

ABOUT_SHAPES = (TypeError, ValueError)  # errors in which JAX itself explains what does not fit


class located:  # reads as a sentence: `with located(node):`
    """Put the place (a node's path, an objective's name) before every error that a layer raises inside.

    JAX's errors about arrays that do not fit (TypeError, ValueError) become a ShapeError, and so does every other
    failure, with the layer's inputs (`inputs`: arrays or specs by name). Errors in a file of user-defined layers name
    its line. Only an out-of-memory error is left as it is.
    """

    def __init__(self, place: object, inputs: Mapping[str, Any] | None = None) -> None:
        self.place = place
        self.inputs = inputs or {}

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        fresh = _placed(error, str(self.place), self.inputs) if isinstance(error, Exception) else None
        if fresh is not None:
            fresh.located = True
            raise fresh from (None if isinstance(error, RetrogradError) else error)


def _placed(error: Exception, place: str, inputs: Mapping[str, Any]) -> RetrogradError | None:
    """Return the error to raise instead of one raised at a place; None to leave it unchanged."""
    user_line = own_line(error)
    if not user_line and (several := _several(place, inputs)):
        return several
    if isinstance(error, RetrogradError):
        if error.located:
            return None
        return type(error)([p._replace(where=f"{place}: {p.where}" if p.where else place) for p in error.problems])
    if memory_error(error) is not None:
        return None
    text = str(error).partition("\n")[0].rstrip(".")
    if user_line:
        return ConfigError(f"{type(error).__name__}: {text}", where=f"{place}: {user_line}")
    if isinstance(error, NotImplementedError):  # of a layer that lacks a required method
        return ConfigError(text, where=place)
    if isinstance(error, ABOUT_SHAPES):
        return ShapeError(text, where=place)
    reads = ", ".join(f"{name} {_form(value)}" for name, value in inputs.items())
    failure = f"{type(error).__name__}: {text}".rstrip(": ")
    message = f"cannot process its inputs: {reads} ({failure})" if reads else f"cannot be computed ({failure})"
    return ShapeError(message, where=place, cure="compare its settings and `inputs` with the layer's manual page")


def _several(place: str, inputs: Mapping[str, Any]) -> ConfigError | None:
    """Return the error for a layer that failed because one of its inputs has several parts."""
    for name, value in inputs.items():
        if isinstance(value, Mapping) and value:
            parts = ", ".join(value)
            cure = "choose one, as in " + entry_setting("inputs", f"{name}.{next(iter(value))}")
            return ConfigError(f"'{name}' has several outputs ({parts})", where=place, cure=cure)
    return None


def _form(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    return f"{dtype} {list(shape)}" if shape is not None else type(value).__name__
