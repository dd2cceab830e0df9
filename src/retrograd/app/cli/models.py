"""The model that a command line means."""

from __future__ import annotations

from pathlib import Path

from retrograd.base.errors import UsageError
from retrograd.data.source import KNOWN_SUFFIXES
from retrograd.record.run import EVENTS, MODEL
from retrograd.train.predict import Model, load


def model_at(name: str, root: Path, allow_nonfinite: bool = False) -> Model:
    """Return the model that a file, a run folder, or a run's name stands for."""
    return load(name, runs=root, allow_nonfinite=allow_nonfinite)


def check_order(run: str, data: Path, verb: str) -> None:
    """Raise UsageError when the run and the data stand in each other's place."""
    is_data = Path(run).is_file() and run.lower().removesuffix(".gz").endswith(KNOWN_SUFFIXES)
    is_run = data.suffix == Path(MODEL).suffix or (data / EVENTS).is_file() or not data.exists()
    if is_data and is_run:
        cure = f"write: retrograd {verb} {data} {run}"
        raise UsageError("this is a data file, but the run comes first", where=run, cure=cure)
