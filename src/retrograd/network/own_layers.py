"""User-defined layers, losses, optimizers etc. from a Python file.

The file runs only if the user names it; a run stores its digest.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
import types
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from retrograd.base.compilation.programs import depends_on
from retrograd.base.errors import ConfigError, RetrogradError, UsageError
from retrograd.base.registry import forget_class


class OwnLayers(NamedTuple):
    """A file that has been run: its SHA-256, and the classes that it registered."""

    path: Path
    digest: str
    classes: tuple[type, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which a configuration refers to them."""
        return tuple(vars(cls)["registered_name"] for cls in self.classes)


_files: dict[str, OwnLayers] = {}  # by the file name shown in tracebacks
depends_on(lambda: tuple(sorted(file.digest for file in _files.values())))  # one file may affect others


def load_layers(path: str | Path) -> OwnLayers:
    """Run a Python file that registers layers, losses, optimizers, schedules..., so that configurations can name them.

    Whatever the same file registered before is replaced.

    Raises:  UsageError if there is no such file or it registers nothing; ConfigError, with the line, if it fails.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError("not a regular file" if path.exists() else "not found", where=str(path), cure="check the path")
    content = path.read_bytes()
    module = types.ModuleType(f"layers in {path.resolve()}")
    module.__file__ = str(path)
    for cls in _files[str(path)].classes if str(path) in _files else ():
        forget_class(cls)
    sys.modules[module.__name__] = module  # dataclasses resolve annotations there
    _files[str(path)] = OwnLayers(path, hashlib.sha256(content).hexdigest(), ())
    try:
        exec(_compiled(content, path), module.__dict__)
    except (Exception, SystemExit) as error:
        raise ConfigError(_explained(error), where=own_line(error) or str(path)) from error
    defined = [cls for cls in vars(module).values() if isinstance(cls, type) and cls.__module__ == module.__name__]
    classes = tuple(cls for cls in defined if "registered_name" in vars(cls))
    if not classes:
        cure = 'write @rg.layers.register("name", ...) above the class (or rg.losses, rg.optimizers, rg.schedules)'
        raise UsageError("registers no layer", where=str(path), cure=cure)
    _files[str(path)] = _files[str(path)]._replace(classes=classes)
    return _files[str(path)]


def files_of(words: Collection[str]) -> dict[str, str]:
    """Return the name and digest of each loaded file that registered one of these names."""
    return {file.path.name: file.digest for file in _files.values() if set(file.names) & set(words)}


def check_loaded(needed: Any, where: str) -> None:
    """Raise UsageError unless each of these files (name and digest) is loaded in the version used for training."""
    for name, digest in needed.items() if isinstance(needed, dict) else ():
        if digest in {file.digest for file in _files.values()}:
            continue
        other = next((file for file in _files.values() if file.path.name == name), None)
        if other is None:
            raise UsageError(f"it uses layers from {name}, but opening a model never runs code by itself", where=where,
                             cure=f"name the file: --layers {name}, or rg.load_layers in Python")  # fmt: skip
        digests = f"sha256 {str(digest)[:12]}..., now {other.digest[:12]}..."
        raise UsageError(f"it was trained with another version of {name} ({digests})", where=where,
                         cure="use the original file, or train again")  # fmt: skip


def own_line(error: BaseException) -> str:
    """Return `file:line` of the innermost frame of an error in a user's file, or an empty string."""
    if isinstance(error, SyntaxError) and error.filename in _files:
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in _files]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


@contextmanager
def own_errors(where: str) -> Iterator[None]:
    """Turn errors in user-defined code into a ConfigError with the line; other errors pass through."""
    try:
        yield
    except RetrogradError:
        raise
    except NotImplementedError as error:  # `unwritten` already names the class and the method
        raise ConfigError(str(error), where=where) from error
    except Exception as error:
        line = own_line(error)
        if not line:
            raise
        raise ConfigError(_explained(error), where=f"{where}: {line}") from error


def _compiled(content: bytes, path: Path) -> types.CodeType:
    try:
        return compile(content, str(path), "exec", dont_inherit=True)
    except ValueError as error:  # a null byte
        raise ConfigError(f"not a Python file: {error}") from None


def _explained(error: BaseException) -> str:
    if isinstance(error, RetrogradError):
        return "; ".join(map(str, error.problems))
    if isinstance(error, SyntaxError):
        return f"not valid Python: {error.msg}"
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}".rstrip(": ")
