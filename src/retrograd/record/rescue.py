"""Another folder for a run whose own was deleted, or cannot store the model at the end of training."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from retrograd.base.errors import RetrogradError
from retrograd.record.files import make_folder
from retrograd.record.writer import RunWriter


def writers_elsewhere(run: RunWriter) -> Iterator[RunWriter]:
    """Yield writers of copies of a run, without its model: beside it, in the current and in the temporary folder.

    The caller ends each of them with `finish` or `discard`.
    """
    for root in dict.fromkeys((run.path.absolute().parent, Path.cwd(), Path(tempfile.gettempdir()))):
        try:
            path = _free(root, f"{run.path.name}-rescued")
            make_folder(path)
            copy = RunWriter(path)
        except (RetrogradError, OSError):
            continue
        try:
            run.copy_to(copy)
        except RetrogradError:
            copy.discard()
        else:
            yield copy


def _free(root: Path, name: str) -> Path:
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(path for candidate in names if not (path := root / candidate).exists())
