"""`export`: a run as a file that needs no JAX, written only if it computes what the run computes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from retrograd.base.errors import ConfigError, ModelFileError, ResourceError, UsageError
from retrograd.data.dataset import Dataset
from retrograd.data.texts.targets import Answer
from retrograd.network.layer import Spec
from retrograd.record.files import write_file
from retrograd.record.run import MODEL
from retrograd.ship.c.compare import outputs_of
from retrograd.ship.c.network import write as write_c
from retrograd.ship.distance import distance
from retrograd.ship.edge.files import beside
from retrograd.ship.edge.step import Part
from retrograd.ship.onnx.graph import OPSET
from retrograd.ship.onnx.outside import Outside, write_model
from retrograd.ship.onnx.session import run as run_once
from retrograd.ship.onnx.session import session
from retrograd.ship.onnx.written import LEAST_RUNTIME, OPSETS, metadata_of, write
from retrograd.ship.verify import ALLOWED, verify
from retrograd.ship.ways import columns_of, invented, known, way
from retrograd.training.adapted import without_adaptation
from retrograd.training.run import Run
from retrograd.training.use.predict import Model, load_file, locate

REPETITIONS = 100  # of predicting one row, to measure latency
OPSET_OF_TEXT = 20
CellForm = Literal["typed", "text"]
End = tuple[str, str, tuple[Any, ...]]  # an input or output of a file: name, dtype, shape


@dataclass(frozen=True)
class Exported:
    """A written file: its inputs and outputs, and the rows that it was checked on.

    `difference` is the largest difference from `predict`, relative to the largest number or 1; `latency` is the seconds
    that one row takes on one thread, if measured. `needs` is what the file needs to run; `beside` are the files next to
    it with which it can learn, and `trained` the paths of the weights that learning changes.
    """

    path: Path
    difference: float
    latency: float | None
    bytes: int
    needs: str
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    compared: tuple[str, ...]
    beside: tuple[Path, ...] = ()
    trained: tuple[str, ...] = ()
    weights: Path | None = None


def export(run: Run | Model | str | Path, path: str | Path, *, from_x: bool = False, cells: CellForm = "typed",
           opset: int | None = None, train_step: Part | None = None, runs: str | Path = "runs"
           ) -> Exported:  # fmt: skip
    """Write a run as an ONNX file (`model.onnx`), which takes any number of rows at once, or as C99 code (`net.c`).

    `from_x`: the file takes the network's columns, not the user's rows; a C file always does. `cells`: the cells of a
    table are passed `typed`, or all as `text`, as in a CSV file. `opset`: 18, or 20 for texts. `train_step`: also write
    what the model needs to learn on the device, its `head` or `all` trained weights: `model.step.onnx`,
    `model.rows.npz` and `retrograd_edge.py`.

    Raises:  ModelFileError if the file would not compute what `predict` does (then nothing is written); ConfigError for
             a layer that the format does not support; UsageError without the extra `onnx`, or without a C compiler
    """
    path = Path(path)
    opset = opset_for(path, from_x, cells, opset, train_step)
    model, name = opened(run, runs)
    dataset = run.dataset if isinstance(run, Run) else None
    if path.suffix == ".c":
        return _export_c(model, path, dataset)
    door, rows = way(model, dataset, from_x, cells == "text")
    written = write(model, door, opset)
    metadata = metadata_of(model, door, name)
    file = written.file(metadata)
    if train_step is not None and isinstance(file, Outside):
        size = f"{file.ByteSize() / 1e9:.1f} GB"
        message = f"the model has {size} of weights, but a training step can have at most 2 GB"
        raise ResourceError(message, where=str(path), cure="remove the training step")
    difference = verify(model, written, file, rows)
    others: tuple[Path, ...] = ()
    trained: tuple[str, ...] = ()
    if train_step is not None:
        learning = beside(model, door, train_step, opset, path, rows, metadata, dataset)
        difference, trained = max(difference, learning.difference), learning.weights
        others = learning.write()
    weights = write_model(path, file)
    running, (one, _) = session(file), rows[0].first(1)
    inputs, outputs = (tuple((end.name, end.type[7:-1], tuple(end.shape)) for end in ends)
                       for ends in (running.get_inputs(), running.get_outputs()))  # fmt: skip
    needs = f"onnxruntime {LEAST_RUNTIME} or newer"
    return Exported(path, difference, latency(lambda: run_once(running, one)), file.ByteSize(), needs, inputs, outputs,
                    tuple(case.what for case in rows), others, trained, weights)  # fmt: skip


def opset_for(path: Path, from_x: bool, cells: str, opset: int | None = None, train_step: str | None = None) -> int:
    """Return the version of the ONNX operators; raise UsageError for options that do not go together."""
    if path.suffix not in (".onnx", ".c"):
        raise UsageError(f"unknown extension '{path.suffix}'", where=str(path), cure="name it model.onnx or net.c")
    if cells not in get_args(CellForm):
        raise UsageError(f"expected {' or '.join(get_args(CellForm))}, found {cells!r}", where="cells")
    if train_step not in (None, *get_args(Part)):
        raise UsageError(f"expected {' or '.join(get_args(Part))}, found {train_step!r}", where="train_step")
    if path.suffix == ".c" and train_step is not None:
        raise UsageError("a C file cannot learn", where="train_step", cure="name the file model.onnx")
    if path.suffix == ".c" and (cells == "text" or opset is not None):
        raise UsageError("a C file contains only the network", where="opset" if opset is not None else "cells",
                         cure="remove this option, or name the file model.onnx")  # fmt: skip
    if from_x and cells == "text":
        raise UsageError("the network's columns are not cells", where="cells", cure="remove --from-x (from_x)")
    least = OPSET_OF_TEXT if cells == "text" else OPSET
    if opset is not None and (opset not in OPSETS or opset < least):
        fitting = " or ".join(str(n) for n in OPSETS if n >= least)
        raise UsageError(f"expected {fitting}, found {opset}", where="opset")
    return least if opset is None else opset


def _export_c(model: Model, path: Path, dataset: Dataset | None) -> Exported:
    """Write the network of a run as C99 code, after checking its outputs."""
    if model.members > 1:
        message = "an ensemble cannot be written in C"
        raise ConfigError(message, where=model.config.name, cure="name the file model.onnx")
    shape, dtype = model.facts["columns"].get("x", ((), ""))
    if dtype not in ("float32", "float64"):
        raise ConfigError("the input is not numbers", where=model.config.name, cure="name the file model.onnx")
    x, output = Spec((1, *shape), np.dtype(np.float32)), model.evaluator.main_output
    source = write_c(model.network, model.variables, x, model.config.name, output)
    door = columns_of(model)
    cases = [*known(model, door, dataset), *invented(model, door)]
    worst, size = 0.0, 0
    for case in cases:
        wanted = model.evaluator.outputs(model.variables, case.columns)
        wanted = wanted.reshape(len(wanted), -1)
        size = wanted.shape[1]
        apart = distance(outputs_of(source, np.asarray(case.columns["x"]), size), wanted)
        if not apart <= ALLOWED:
            message = f"the file's output differs from the run's by {apart:.1e} for {case.what}"
            raise ModelFileError(message, where=model.config.name, cure="nothing was written")
        worst = max(worst, apart)
    data = source.encode()
    write_file(path, data)
    takes, gives = (("x", "float", tuple(shape)),), (("y", "float", (size,)),)
    return Exported(path, worst, None, len(data), "C99 and its math library", takes, gives,
                    tuple(case.what for case in cases))  # fmt: skip


def opened(run: Run | Model | str | Path, runs: str | Path) -> tuple[Model, str]:
    """Return the chosen model, and the name of its run's folder, if there is one.

    Raises:  UsageError for one that answers token by token
    """
    if isinstance(run, Run | Model):
        model, name = (run.model, run.folder.name) if isinstance(run, Run) else (run, "")
    else:
        path = locate(run, runs)
        model, name = load_file(path), path.parent.name if path.name == MODEL else path.name
    if isinstance(model.preprocessing.target, Answer):
        message = "a model that answers token by token cannot be written as one graph"
        raise UsageError(message, where=model.config.name)
    model = without_adaptation(model)
    network = model.evaluator.in_use
    return model if network is model.network else replace(model, network=network), name


def latency(once: Callable[[], Any]) -> float:
    """Return the median time for one row, in seconds."""
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
