"""`export`: a run as a file for where there is no JAX, written only if it computes what the run computes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from retrograd.base.errors import ResourceError, UsageError
from retrograd.data.dataset import Dataset
from retrograd.data.texts.targets import Answer
from retrograd.record.files import write_file
from retrograd.ship.onnx.graph import OPSET
from retrograd.ship.onnx.inputs.door import Columns, Door
from retrograd.ship.onnx.session import run as run_once
from retrograd.ship.onnx.session import session
from retrograd.ship.onnx.written import LEAST_RUNTIME, metadata_of, write
from retrograd.ship.samples import held_out, made_up
from retrograd.ship.verify import Case, verify
from retrograd.training.run import Run
from retrograd.training.use.predict import Model, load

Cells = Literal["typed", "text"]
LARGEST = 2**31 - 1  # bytes of a protocol buffer
TIMES = 100  # that one row is predicted


@dataclass(frozen=True)
class Exported:
    """A written file: its inputs and outputs (name, dtype, shape), and what it was compared on.

    `difference` is the largest one from `predict`, over the largest number or 1; `latency` the seconds that one row
    takes in onnxruntime, on one thread.
    """

    path: Path
    difference: float
    latency: float
    bytes: int
    opset: int
    least_runtime: str
    inputs: tuple[tuple[str, str, tuple[Any, ...]], ...]
    outputs: tuple[tuple[str, str, tuple[Any, ...]], ...]
    compared: tuple[str, ...]


def export(run: Run | Model | str | Path, path: str | Path, *, from_x: bool = False, opset: int = OPSET,
           runs: str | Path = "runs") -> Exported:  # fmt: skip
    """Write a run as an ONNX file (`model.onnx`) that takes any number of rows at once.

    `from_x`: the file takes the network's columns, not the user's rows.

    Raises:  ModelFileError when it would not compute what `predict` does: then nothing is written; ConfigError for a
             layer without an ONNX form; UsageError without the extra `onnx`
    """
    path, model = Path(path), model_of(run, runs)
    check_form(path, opset)
    door, cases = way(model, run.dataset if isinstance(run, Run) else None)
    written = write(model, door, opset)
    metadata = metadata_of(model, door, folder_of(run), str(model.facts.get("weights", "")), opset)
    file = written.file(metadata)
    data = file.SerializeToString()
    if len(data) > LARGEST:
        raise ResourceError(f"{len(data) / 1e9:.1f} GB; an ONNX file holds 2 GB", where=str(path))
    difference = verify(model, written, file, cases)
    write_file(path, data)
    running, one = session(file), door.feed(cases[0].cut(slice(0, 1))[0])
    inputs, outputs = (tuple((end.name, end.type, tuple(end.shape)) for end in ends)
                       for ends in (running.get_inputs(), running.get_outputs()))  # fmt: skip
    compared = tuple(case.what for case in cases)
    return Exported(path, difference, latency(running, one), len(data), opset, LEAST_RUNTIME[opset], inputs, outputs,
                    compared)  # fmt: skip


def way(model: Model, dataset: Dataset | None) -> tuple[Door, list[Case]]:
    """Return the door of a file, and the rows that it is compared on."""
    shapes = {name: (tuple(shape), dtype) for name, (shape, dtype) in model.facts["columns"].items()}
    needed = tuple(dict.fromkeys((*model.network.columns, *(n for n in shapes if n.startswith("series_")))))
    door = Columns(shapes, needed)
    known = held_out(model, dataset)
    cases = [] if known is None else [Case(f"{len(next(iter(known.values())))} held-out rows", known, known)]
    invented = made_up(model.network, {name: shapes[name] for name in needed})
    return door, [*cases, Case("64 made-up rows", invented, invented)]


def model_of(run: Run | Model | str | Path, runs: str | Path) -> Model:
    """Return the model that is meant.

    Raises:  UsageError for one that answers token by token
    """
    model = run.model if isinstance(run, Run) else run if isinstance(run, Model) else load(run, runs=runs)
    if isinstance(model.preprocessing.target, Answer):
        raise UsageError("a model that answers token by token is not one graph", where=model.config.name)
    return model


def folder_of(run: Run | Model | str | Path) -> str:
    """Return the name of a run's folder, where there is one."""
    return run.folder.name if isinstance(run, Run) else "" if isinstance(run, Model) else Path(run).name


def check_form(path: Path, opset: int) -> None:
    """Raise UsageError for a file of another kind, or an opset that is not written."""
    if path.suffix != ".onnx":
        raise UsageError(f"unknown ending '{path.suffix}'", where=str(path), cure="name it model.onnx")
    if opset not in LEAST_RUNTIME:
        raise UsageError(f"expected one of {', '.join(map(str, LEAST_RUNTIME))}, found {opset}", where="opset")


def latency(running: Any, fed: Mapping[str, np.ndarray]) -> float:
    """Return the median seconds that one row takes."""
    seconds = []
    for _ in range(TIMES):
        start = time.perf_counter()
        run_once(running, fed)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
