"""`quantize`: a run as an ONNX file in integers, written only if the drop in its metric stays within a budget."""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retrograd.base.errors import ConfigError, UsageError
from retrograd.network.network import take
from retrograd.ship.export import CellForm, latency, opened, opset_for
from retrograd.ship.onnx.outside import write_model
from retrograd.ship.onnx.session import run as run_once
from retrograd.ship.onnx.session import session
from retrograd.ship.onnx.written import metadata_of, write
from retrograd.ship.quantization.choosing import LayerTrial, alone, layers_of, paths_of, together
from retrograd.ship.quantization.folding import folded
from retrograd.ship.quantization.nodes import LEAST
from retrograd.ship.quantization.packing import deflated, packed
from retrograd.ship.quantization.rows import rows_of
from retrograd.ship.quantization.running import ranges
from retrograd.ship.quantization.trials import Bench
from retrograd.ship.samples import dataset_of
from retrograd.ship.verify import verify
from retrograd.ship.ways import way
from retrograd.training.run import Run
from retrograd.training.use.predict import Model

BITS = (7, 8)
BYTES = 2**28  # of the outputs that are compared


@dataclass(frozen=True)
class Quantized:
    """A written file in integers, and what they change.

    `layers` are trials of single layers, worst first; `kept_float` are those that stay in float32. `drop` is how much
    `metric` fell, from `float_score`, on `rows` rows of `part`; `doubt` is the drop that these rows cannot distinguish
    from 0. `flipped` of `answers` labels changed. `float_bytes` and `float_latency` (seconds per row) refer to the file
    in float32. Above 2 GB, `weights` are a separate file.
    """

    path: Path
    bits: int
    layers: tuple[LayerTrial, ...]
    kept_float: tuple[str, ...]
    metric: str
    drop: float
    float_score: float
    signal_to_noise: float
    flipped: int | None
    answers: int
    part: str
    rows: int
    doubt: float
    bytes: int
    float_bytes: int
    latency: float
    float_latency: float
    weights: Path | None


def quantize(run: Run | Model | str | Path, path: str | Path, *, max_drop: float = 0.005, calibrate: Any = None,
             bits: int = 7, from_x: bool = False, cells: CellForm = "typed", runs: str | Path = "runs"
             ) -> Quantized:  # fmt: skip
    """Write a run as an ONNX file whose weights and layer inputs are 8-bit integers.

    `max_drop`: how much the metric may fall on held-out rows; while it falls by more, the worst layer is left in
    float32. `calibrate`: rows that set the ranges of the integers instead of training rows; if the run's data are no
    longer there, the metric is measured on them too. `bits`: of weights; 8 are more precise, but overflow on processors
    without VNNI. `from_x`, `cells`: see `export`.

    Raises:  DropError if no layer can be in integers (then nothing is written); otherwise like `export`
    """
    path = Path(path)
    _check(path, max_drop, bits)
    opset = opset_for(path, from_x, cells)
    model, name = opened(run, runs)
    dataset = dataset_of(model, run.dataset if isinstance(run, Run) else None)
    door, cases = way(model, dataset, from_x, cells == "text")
    written = write(model, door, opset)
    file = written.file(metadata_of(model, door, name))
    verify(model, written, file, cases)
    graph = folded(written.graph, {answer.value for answer in written.answers})
    layers = layers_of(model, graph)
    if not layers:
        raise ConfigError(f"no layer has {LEAST} weights or more", where=model.config.name, cure="export it in float32")
    width = 4 * math.prod(take(written.nodes, model.evaluator.main_output).shape[1:])
    part, rows, calibration = rows_of(model, dataset, calibrate, max(1, BYTES // width))
    bench = Bench(model, written, graph, rows)
    seen = ranges(graph, bench.columns, layers, calibration)
    trials = alone(bench, graph, layers, seen, bits)
    whole, kept_float = together(bench, graph, trials, seen, bits, max_drop)
    trial = bench.trial(whole)
    about = {"bits": bits, "float32": kept_float, bench.metric: trial.metric, "in_float32": bench.float_score}
    metadata = deflated(metadata_of(model, door, name) | {"quantized": json.dumps(about)})
    made = packed(replace(written, graph=whole).file(metadata), paths_of(model))
    one = cases[0].first(1)[0]
    fast, slow = (latency(functools.partial(run_once, session(each), one)) for each in (made, file))
    weights = write_model(path, made)
    return Quantized(
        path=path, bits=bits, layers=trials, kept_float=kept_float, metric=bench.metric, drop=trial.drop,
        float_score=bench.float_score, signal_to_noise=trial.signal_to_noise, flipped=trial.flipped,
        answers=0 if bench.answers is None else bench.answers.size, part=part, rows=bench.count,
        doubt=bench.doubt(trial, whole), bytes=made.ByteSize(), float_bytes=file.ByteSize(),
        latency=fast, float_latency=slow, weights=weights,
    )  # fmt: skip


def _check(path: Path, max_drop: float, bits: int) -> None:
    if path.suffix != ".onnx":
        raise UsageError(f"unknown extension '{path.suffix}'", where=str(path), cure="name it model.onnx")
    if bits not in BITS:
        raise UsageError(f"expected 7 or 8, found {bits}", where="bits")
    if not (math.isfinite(max_drop) and 0 <= max_drop < 1):
        raise UsageError(f"expected a share from 0 to below 1, found {max_drop}", where="max_drop", cure="try 0.005")
