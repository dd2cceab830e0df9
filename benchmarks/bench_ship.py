"""One row in onnxruntime: files that retrograd writes beside those that PyTorch writes of the same networks.

    python benchmarks/bench_ship.py [--peer PYTHON | --peers FOLDER] [--network NAME] [--rounds N] [--json FILE]
    python benchmarks/bench_ship.py --readme

The files run on one thread, in turns, and give a label and probabilities; a figure is the median of the rounds'
medians. Beside them the same file with integers of 8 bits; one row by `model.predict`, warm; one training step of 32
rows in ONNX (`--train-step all`); the sizes; and how far the file lies from `predict`, the step from the run's own.
PYTHON is an interpreter with PyTorch and its ONNX exporter (onnx, onnxscript); without one the peer is left out.
`--readme` writes the table of README.md from benchmarks/ship.json, and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import retrograd as rg
from retrograd.ship.edge.step import NEW, VELOCITY
from retrograd.ship.onnx.session import session

CALLS = 200  # of one row, in a round
PREDICTIONS, STEPS = 30, 100
FOLDER = Path(__file__).parent
SCRIPT, FIGURES, README = FOLDER / "scripts" / "torch_to_onnx.py", FOLDER / "ship.json", FOLDER.parent / "README.md"
HEAD = "| network, one row | retrograd | PyTorch | integers | training step |"


def conv(filters: int, activation: str | None = None) -> dict[str, Any]:
    return {
        "conv2d": {
            "filters": filters,
            "kernel": 3,
            "padding": "same",
            **({"activation": activation} if activation else {}),
        }
    }


RESIDUAL = [{"residual": [conv(16), "batch_norm", "relu", conv(16), "batch_norm"]}, "relu"]
NETWORKS: dict[str, tuple[tuple[int, ...], int, list[Any]]] = {
    "dense": ((20,), 3, [{"dense": {"units": units, "activation": "relu"}} for units in (64, 32)]),
    "cnn": (
        (28, 28, 1), 10,
        [conv(16, "relu"), "max_pool", conv(32, "relu"), "max_pool", "flatten",
         {"dense": {"units": 64, "activation": "relu"}}],
    ),
    "resnet": ((32, 32, 3), 10, [conv(16), "batch_norm", "relu", *RESIDUAL, *RESIDUAL, "global_average_pool"]),
    "lstm": ((32, 8), 5, [{"lstm": {"units": 64}}]),
    "transformer": (
        (32, 8), 5,
        [{"dense": 32}, {"transformer_encoder": {"units": 32, "heads": 4, "layers": 2}}, "global_average_pool"],
    ),
}  # fmt: skip


def trained(name: str, folder: Path) -> Any:
    """Return a run of a network on a few made-up rows, with its output layer."""
    shape, classes, network = NETWORKS[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, *shape)).astype(np.float32)
    y = np.arange(64) % classes
    return rg.fit(x, y, network=[*network, {"dense": "classes"}], epochs=1, root=folder, progress=False)


def seconds(once: Callable[[], Any], calls: int) -> float:
    """Return the median of some calls."""
    taken = []
    for _ in range(calls):
        start = time.perf_counter()
        once()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def measure(name: str, folder: Path, peers: Path | None, rounds: int) -> dict[str, Any]:
    """Return what one network's file costs, and the peer's."""
    run = trained(name, folder)
    exported = rg.export(run, folder / f"{name}.onnx", from_x=True)
    whole = rg.quantize(run, folder / f"{name}_int8.onnx", from_x=True, max_drop=0.99)
    files = {"retrograd": exported.path, "integers": whole.path}
    files |= {} if peers is None else {"pytorch": peers / f"{name}.onnx"}
    one = {"x": np.random.default_rng(1).normal(size=(1, *NETWORKS[name][0])).astype(np.float32)}
    sessions = {who: session(path) for who, path in files.items()}
    taken: dict[str, list[float]] = {who: [] for who in files}
    for _ in range(rounds):
        for who, running in sessions.items():
            taken[who].append(seconds(lambda running=running: running.run(None, one), CALLS))
    run.model.predict(one["x"])
    results: dict[str, Any] = {
        who: {"microseconds": 1e6 * statistics.median(times), "bytes": files[who].stat().st_size}
        for who, times in taken.items()
    }
    results["difference from predict"] = exported.difference
    results["predict microseconds"] = 1e6 * seconds(lambda: run.model.predict(one["x"]), PREDICTIONS)
    try:
        results["step"] = step(run, name, folder)
    except rg.ConfigError as error:  # attention has no backward form
        results["step"] = str(error)
    return results


def step(run: Any, name: str, folder: Path) -> dict[str, Any]:
    """Return what a training step of all weights costs, and how far it lies from the run's own."""
    exported = rg.export(run, folder / f"{name}_learns.onnx", from_x=True, train_step="all")
    path = exported.beside[0]
    shape, classes, _ = NETWORKS[name]
    x = np.random.default_rng(2).normal(size=(32, *shape)).astype(np.float32)
    fed, running = {"x": x, "target": np.arange(32) % classes}, session(path)
    names = [weight + suffix + NEW for weight in exported.trained for suffix in ("", VELOCITY)]
    return {"microseconds": 1e6 * seconds(lambda: running.run(names, fed), STEPS), "bytes": path.stat().st_size,
            "difference": exported.difference}  # fmt: skip


def table(networks: dict[str, Any]) -> str:
    """Return the table of the README: microseconds and kB."""
    lines = [HEAD, "|---|---|---|---|---|"]
    for name, figures in networks.items():
        cells = [said(figures.get(who)) for who in ("retrograd", "pytorch", "integers")]
        lines.append(f"| {name} | {' | '.join(cells)} | {said(figures['step'])} |")
    return "\n".join(lines) + "\n"


def said(figures: dict[str, Any] | str | None) -> str:
    """Return what a file takes, as a cell of the table."""
    if not isinstance(figures, dict):
        return "-"
    taken = figures["microseconds"]
    return f"{f'{taken:.0f} µs' if taken < 1e4 else f'{taken / 1e3:.0f} ms'}, {figures['bytes'] / 1e3:.0f} kB"


def write_readme() -> None:
    """Replace the table in the README by that of the results file."""
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(HEAD)
    after = rest.partition("\n\n")[2]
    made = table(json.loads(FIGURES.read_text(encoding="utf-8"))["networks"])
    README.write_text(f"{before}{made}\n{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter with PyTorch and its ONNX exporter")
    parser.add_argument("--peers", metavar="FOLDER", type=Path, help="files that torch_to_onnx.py has made before")
    parser.add_argument("--network", choices=NETWORKS, help="measure this one alone")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--readme", action="store_true", help="write the README's table from the figures")
    arguments = parser.parse_args()
    if arguments.readme:
        write_readme()
        return
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as made:
        folder, peers = Path(made), None
        if arguments.peers:
            peers = arguments.peers
        elif arguments.peer:
            peers = folder / "pytorch"
            peers.mkdir()
            only = [arguments.network] if arguments.network else []
            subprocess.run([arguments.peer, "-W", "ignore", str(SCRIPT), str(peers), *only], check=True)
        load = os.getloadavg()[0]
        chosen = [arguments.network] if arguments.network else NETWORKS
        for name in chosen:
            results[name] = measure(name, folder, peers, arguments.rounds)
            if arguments.json:  # after each, so that an interrupted run is not lost
                machine = {"cores": os.cpu_count(), "processor": platform.machine(), "load": round(load, 1)}
                figures = json.dumps({"machine": machine, "networks": results}, indent=1)
                arguments.json.write_text(figures + "\n", encoding="utf-8")
    print("network       row    pytorch  ratio  predict   size   pytorch  difference   step")
    for name, figures in results.items():
        ours, peer, learning = figures["retrograd"], figures.get("pytorch"), figures["step"]
        ratio = "" if peer is None else f"{ours['microseconds'] / peer['microseconds']:.2f}"
        theirs = ("", "") if peer is None else (f"{peer['microseconds']:.0f} µs", f"{peer['bytes'] / 1e3:.0f} kB")
        taught = "-" if isinstance(learning, str) else f"{learning['microseconds']:.0f} µs"
        predicted = f"{figures['predict microseconds'] / 1e3:.1f} ms"
        print(f"{name:11} {ours['microseconds']:4.0f} µs  {theirs[0]:>7}  {ratio:>5}  {predicted:>7}"
              f"  {ours['bytes'] / 1e3:4.0f} kB  {theirs[1]:>7}  {figures['difference from predict']:10.1e}"
              f"  {taught:>8}")  # fmt: skip


if __name__ == "__main__":
    main()
