"""`retrograd quantize`: a trained model as an ONNX file with integer weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from retrograd.app.cli.options import (
    CellsOption,
    Json,
    ModelName,
    OwnLayers,
    RunsRoot,
    command_of,
    existing_data,
    share_of,
)
from retrograd.app.cli.surroundings import settle
from retrograd.app.cli.verbs.export import weights_apart
from retrograd.present.numbers import size
from retrograd.present.tables import table
from retrograd.record.strict_json import write_json
from retrograd.ship.quantization.choosing import DropError, LayerTrial
from retrograd.ship.quantization.quantize import Quantized
from retrograd.ship.quantization.quantize import quantize as quantize_run


def quantize(
    run: ModelName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="ONNX file to write, such as model.onnx")],
    max_drop: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            parser=share_of,
            help="largest allowed drop of the metric [default: 0.5%]",
            show_default=False,
        ),
    ] = 0.005,
    calibrate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="calibration rows [default: training rows]")
    ] = None,
    bits: Annotated[
        int, typer.Option(metavar="7|8", help="bits per weight; 8 can overflow on processors without VNNI")
    ] = 7,
    from_x: Annotated[
        bool,
        typer.Option("--from-x", help="start at the network's input columns, without preprocessing"),
    ] = False,
    cells: CellsOption = "typed",
    runs: RunsRoot = Path("runs"),
    layers: OwnLayers = None,
    as_json: Json = False,
) -> None:
    """Write a trained model as ONNX with 8-bit integers: weights take a quarter of the space.

    Layers are quantized first one at a time, then all together. While the metric on held-out rows drops by more than
    --max-drop, the worst layer is returned to float32; if none can be quantized, nothing is written.

    This needs two packages: pip install 'retrograd[onnx]'
    """  # fmt: skip
    settle(layers)
    if calibrate is not None:
        existing_data(calibrate)
    try:
        result = quantize_run(run, file, max_drop=max_drop, calibrate=calibrate, bits=bits, from_x=from_x,
                                 cells=cells, runs=runs)  # fmt: skip
    except DropError as error:
        typer.echo(write_json({"layers": [plain_layer(layer) for layer in error.layers]}) if as_json
                   else layer_table(error.layers, error.metric))  # fmt: skip
        raise
    typer.echo(write_json(plain(result)) if as_json else words(result, max_drop))


def plain(result: Quantized) -> dict[str, Any]:
    """Return the JSON output of quantisation; an infinite signal-to-noise ratio is null."""
    fields = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    seconds = {f"{name}_seconds": fields.pop(name) for name in ("latency", "float_latency")}
    weights, noise = result.weights and str(result.weights), _finite(result.signal_to_noise)
    return {**fields, **seconds, "path": str(result.path), "weights": weights, "signal_to_noise": noise,
            "layers": [plain_layer(layer) for layer in result.layers]}  # fmt: skip


def plain_layer(layer: LayerTrial) -> dict[str, Any]:
    """Return the JSON output for one layer's trial."""
    return {"layer": layer.layer, "bytes": layer.bytes, "signal_to_noise": _finite(layer.signal_to_noise),
            "drop": _finite(layer.drop)}  # fmt: skip


def layer_table(layers: Sequence[LayerTrial], metric: str, floats: Sequence[str] = ()) -> str:
    """Return a table with one line per layer, worst first."""
    rows = [["quantized alone", "float32", "signal to noise", f"drop in {metric}", ""]]
    rows += [[layer.layer, size(layer.bytes), f"{layer.signal_to_noise:.1f} dB", percent(layer.drop),
              "stays float32" if layer.layer in floats else ""] for layer in layers]  # fmt: skip
    return table(rows if floats else [row[:-1] for row in rows])


def words(result: Quantized, max_drop: float) -> str:
    """Return the lines to print after quantisation."""
    together = (
        "all" if not result.kept_float else f"{len(result.layers) - len(result.kept_float)} of {len(result.layers)}"
    )
    change = f"{'drops' if result.drop >= 0 else 'rises'} by {percent(abs(result.drop))} from {result.float_score:.4g}"
    lines = [
        layer_table(result.layers, result.metric, result.kept_float), "",
        f"{together} layers quantized, on {result.rows:,} {result.part} rows:",
        f"{result.metric} {change}, signal to noise {result.signal_to_noise:.1f} dB",
    ]  # fmt: skip
    if result.flipped is not None:
        lines[-1] += f"\n{result.flipped:,} of {result.answers:,} predicted labels change"
    if result.doubt > max_drop:
        lines.append(f"too few rows to measure {percent(max_drop)}: up to {percent(result.doubt)} may go unnoticed")
    lines.append(f"{result.path}: {size(result.bytes)}, {result.float_bytes / result.bytes:.3g} times smaller than"
                 f" in float32 ({size(result.float_bytes)})")  # fmt: skip
    if result.weights is not None:
        lines.append(weights_apart(result.weights))
    lines.append(f"one row takes {result.latency * 1000:.3g} ms on one thread, {result.float_latency * 1000:.3g} ms"
                 " in float32")  # fmt: skip
    return "\n".join(lines)


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.2f} %" if math.isfinite(share) else "not finite"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


command = command_of(quantize)
