"""Layers of the user's own, in a Python file that registers them. Nothing but an explicit request runs such a file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from retrograd.base.errors import RetrogradError, UsageError
from retrograd.network.layer import layers
from retrograd.network.losses.loss import losses

_loaded: dict[Path, tuple[str, ...]] = {}  # by file, the names that it registered


def load_layers(path: str | Path) -> tuple[str, ...]:
    """Run a Python file and return the names of the layers and losses that it registers.

    What the same file registered before is replaced.

    Raises:  UsageError when it cannot be run, or registers nothing.
    """
    place = Path(path).resolve()
    for name in _loaded.pop(place, ()):
        (layers if name in layers else losses).forget(name)
    before = {*layers, *losses}
    spec = importlib.util.spec_from_file_location(f"own_layers_{place.stem}", place)
    if spec is None or spec.loader is None or not place.is_file():
        raise UsageError("not a Python file", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except RetrogradError:
        raise
    except Exception as error:
        line = _line(error, place)
        raise UsageError(f"{type(error).__name__}: {error}", where=f"{path}{line}", cure="mend the file") from error
    finally:
        _loaded[place] = tuple(name for name in (*layers, *losses) if name not in before)
    if not _loaded[place]:
        cure = 'decorate the class with @rg.layers.register("name", examples=rg.examples(...))'
        raise UsageError("registers no layer", where=str(path), cure=cure)
    return _loaded[place]


def _line(error: Exception, place: Path) -> str:
    """Return `:12` for the last line of the file that the error went through."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    trace, line = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(place):
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line
