"""The weights of a small network over its training: `weights.bin` in the run folder.

A line of JSON, then for each snapshot its step (8 bytes) and all numbers of the arrays (float32), little-endian:

    {"version": 1, "arrays": [["params/dense_1/weight", [2, 2]], ["params/dense_1/bias", [2]]]}
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from retrograd.base.errors import DataError
from retrograd.record.files import open_regular, refusal
from retrograd.record.layout import WEIGHTS

VERSION = 1
MOST_NUMBERS = 5000  # of all arrays together; 200 snapshots of this size take 4 MB
MAX_HEADER_BYTES = 2**20
STEP = np.dtype("<i8")
NUMBER = np.dtype("<f4")

Arrays = Mapping[str, np.ndarray]


def append_weights(folder: Path, step: int, arrays: Arrays) -> None:
    """Append a snapshot of the arrays after a step; create the file if there is none.

    Raises:  ResourceError if writing fails
    """
    path = folder / WEIGHTS
    numbers = np.concatenate([np.ravel(array) for array in arrays.values()]).astype(NUMBER)
    record = STEP.type(step).tobytes() + numbers.tobytes()
    try:
        with open(path, "ab") as stream:
            if stream.tell() == 0:
                shapes = [[name, list(np.shape(array))] for name, array in arrays.items()]
                record = json.dumps({"version": VERSION, "arrays": shapes}).encode() + b"\n" + record
            stream.write(record)
    except OSError as error:
        raise refusal(error, path) from None


def read_weights(folder: Path) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield step and arrays of each complete snapshot; nothing if there is no file.

    Raises:  DataError if the file contains something else
    """
    path = folder / WEIGHTS
    if not path.exists():
        return
    with open_regular(path) as stream:
        shapes, size = _header(path, stream.readline(MAX_HEADER_BYTES))
        while len(record := stream.read(size)) == size:
            numbers, arrays = np.frombuffer(record, NUMBER, offset=STEP.itemsize), {}
            for name, shape in shapes.items():
                count = math.prod(shape)
                arrays[name], numbers = numbers[:count].reshape(shape), numbers[count:]
            yield int(np.frombuffer(record, STEP, 1)[0]), arrays


def cut_weights(folder: Path, after: int) -> None:
    """Remove the snapshots after a step, and an incomplete one.

    Raises:  ResourceError if writing fails
    """
    path = folder / WEIGHTS
    with contextlib.suppress(FileNotFoundError):
        try:
            with open(path, "r+b") as stream:
                header = stream.readline(MAX_HEADER_BYTES)
                _, size = _header(path, header)
                end = len(header)
                while len(record := stream.read(size)) == size and np.frombuffer(record, STEP, 1)[0] <= after:
                    end += size
                stream.truncate(end)
        except DataError:  # nothing that can be continued
            os.unlink(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise refusal(error, path) from None


def _header(path: Path, line: bytes) -> tuple[dict[str, tuple[int, ...]], int]:
    """Return the shapes of the arrays by name, and the size of a snapshot in bytes."""
    try:
        plain = json.loads(line)
        shapes = {str(name): tuple(int(length) for length in shape) for name, shape in plain["arrays"]}
        count = sum(map(math.prod, shapes.values()))
        is_known = plain["version"] == VERSION and all(length >= 0 for shape in shapes.values() for length in shape)
    except (ValueError, TypeError, KeyError, RecursionError):
        is_known = False
    if not is_known or count > MOST_NUMBERS:
        raise DataError("not the weights of a run", where=str(path), cure="delete the file; training writes it again")
    return shapes, STEP.itemsize + NUMBER.itemsize * count
