"""`retrograd quantize`: a trained model as an ONNX file of integers."""

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
from retrograd.app.cli.verbs.export import lies_beside
from retrograd.present.numbers import size
from retrograd.present.tables import table
from retrograd.record.strict_json import write_json
from retrograd.ship.quantization.choosing import DropError, LayerTrial
from retrograd.ship.quantization.quantize import Quantized
from retrograd.ship.quantization.quantize import quantize as quantize_run


def quantize(
    run: ModelName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="file to write: model.onnx")],
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
        Path | None, typer.Option(metavar="FILE", help="rows that set the ranges [default: training rows]")
    ] = None,
    bits: Annotated[
        int, typer.Option(metavar="7|8", help="bits of a weight; 8 overflow on processors without VNNI")
    ] = 7,
    from_x: Annotated[
        bool,
        typer.Option("--from-x", help="accept the network's columns instead of rows: no preprocessing in the file"),
    ] = False,
    cells: CellsOption = "typed",
    runs: RunsRoot = Path("runs"),
    layers: OwnLayers = None,
    as_json: Json = False,
) -> None:
    """Write a trained model as ONNX with 8-bit integers: weights take a quarter of the space.

    Every layer is first tried alone, then all together. While the metric on held-out rows drops by more than
    --max-drop, the worst layer stays in float32; if no layer can be in integers, nothing is written.

    It needs two packages: pip install 'retrograd[onnx]'
    """  # fmt: skip
    settle(layers)
    if calibrate is not None:
        existing_data(calibrate)
    try:
        made = quantize_run(run, file, max_drop=max_drop, calibrate=calibrate, bits=bits, from_x=from_x, cells=cells,
                            runs=runs)  # fmt: skip
    except DropError as error:
        typer.echo(write_json({"layers": [plain_layer(layer) for layer in error.layers]}) if as_json
                   else layer_table(error.layers, error.metric))  # fmt: skip
        raise
    typer.echo(write_json(plain(made)) if as_json else words(made, max_drop))


def plain(made: Quantized) -> dict[str, Any]:
    """Return the JSON output of quantisation; a ratio without noise is null."""
    fields = {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
    seconds = {f"{name}_seconds": fields.pop(name) for name in ("latency", "float_latency")}
    weights, noise = made.weights and str(made.weights), _finite(made.signal_to_noise)
    return {**fields, **seconds, "path": str(made.path), "weights": weights, "signal_to_noise": noise,
            "layers": [plain_layer(layer) for layer in made.layers]}  # fmt: skip


def plain_layer(layer: LayerTrial) -> dict[str, Any]:
    """Return the JSON output for a layer's trial."""
    return {"layer": layer.layer, "bytes": layer.bytes, "signal_to_noise": _finite(layer.signal_to_noise),
            "drop": _finite(layer.drop)}  # fmt: skip


def layer_table(layers: Sequence[LayerTrial], metric: str, floats: Sequence[str] = ()) -> str:
    """Return a line for each layer, the worst first."""
    rows = [["alone in integers", "float32", "signal to noise", f"drop of {metric}", ""]]
    rows += [[layer.layer, size(layer.bytes), f"{layer.signal_to_noise:.1f} dB", percent(layer.drop),
              "stays float32" if layer.layer in floats else ""] for layer in layers]  # fmt: skip
    return table(rows if floats else [row[:-1] for row in rows])


def words(made: Quantized, max_drop: float) -> str:
    """Return the lines to print after quantisation."""
    together = "all" if not made.kept_float else f"{len(made.layers) - len(made.kept_float)} of {len(made.layers)}"
    change = f"{'falls' if made.drop >= 0 else 'rises'} by {percent(abs(made.drop))} from {made.float_score:.4g}"
    lines = [
        layer_table(made.layers, made.metric, made.kept_float), "",
        f"{together} layers in integers, on {made.rows:,} {made.part} rows:",
        f"{made.metric} {change}, signal to noise {made.signal_to_noise:.1f} dB",
    ]  # fmt: skip
    if made.flipped is not None:
        lines[-1] += f"\n{made.flipped:,} of {made.answers:,} labels change"
    if made.doubt > max_drop:
        lines.append(f"too few rows for {percent(max_drop)}: a drop of up to {percent(made.doubt)} may go unnoticed")
    lines.append(f"{made.path}: {size(made.bytes)}, {made.float_bytes / made.bytes:.3g} times smaller than"
                 f" in float32 ({size(made.float_bytes)})")  # fmt: skip
    if made.weights is not None:
        lines.append(lies_beside(made.weights))
    lines.append(f"one row takes {made.latency * 1000:.3g} ms on one thread, {made.float_latency * 1000:.3g} ms"
                 " in float32")  # fmt: skip
    return "\n".join(lines)


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.2f} %" if math.isfinite(share) else "not finite"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


command = command_of(quantize)
