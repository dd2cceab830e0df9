"""Small JSON files in a run folder: written atomically, read back as the dataclass that was written."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from retrograd.base.errors import DataError
from retrograd.record.files import read_text, write_file
from retrograd.record.strict_json import parse_json, write_json

T = TypeVar("T")


def write_checked(path: Path, content: Any) -> None:
    """Write a dataclass or plain values.

    Raises:  ResourceError if writing fails
    """
    plain: Mapping[str, Any] = asdict(content) if is_dataclass(content) and not isinstance(content, type) else content
    write_file(path, write_json(plain).encode() + b"\n")


def read_checked(path: Path, kind: Callable[..., T], max_bytes: int) -> T | None:
    """Return the contents of a file as an object of this kind; None if there is no file.

    Raises:  DataError if the file is larger than `max_bytes` or contains something else
    """
    if not path.is_file():
        return None
    text = read_text(path, max_bytes)
    try:
        content: T = _adapter(kind).validate_python(parse_json(text))
        return content
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", where=str(path)) from None
    except ValueError as error:
        raise DataError(str(error), where=str(path)) from None


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
