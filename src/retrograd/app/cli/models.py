"""The model that a command line means."""

from __future__ import annotations

from pathlib import Path

from retrograd.record.runs import find_run
from retrograd.train.predict import Model, load


def model_at(name: str, root: Path, allow_nonfinite: bool = False) -> Model:
    """Return the model that a file, a run folder, or a run's name stands for."""
    path = Path(name)
    return load(path if path.is_file() else find_run(root, name).path, allow_nonfinite=allow_nonfinite)
