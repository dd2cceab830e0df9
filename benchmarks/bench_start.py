"""From the command to the result: whole processes that train one network, beside scripts that do the same.

    python benchmarks/bench_start.py [--task NAME] [--rounds N] [--peers PYTHON] [--json FILE]

Each contestant is a new process that reads a CSV file, trains with the same batches, epochs and layers, and scores the
test part. Cold is the first run with an empty cache folder; warm is the median of the rounds after it, in which the
contestants take turns. `retrograd` does more than the scripts: it checks the data, watches the gradients and keeps a
run with its model. PYTHON is an interpreter with scikit-learn, PyTorch and Keras; whoever is missing there is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SCRIPTS = Path(__file__).parent / "scripts"
PEERS = {"scikit-learn": "with_sklearn.py", "pytorch": "with_pytorch.py", "keras": "with_keras.py"}


class Task(NamedTuple):
    """A data set, a network and how long it trains; 0 classes are a regression."""

    rows: int
    classes: int
    units: tuple[int, ...]
    epochs: int
    batch: int
    filters: tuple[int, ...] = ()


TASKS = {
    "table of 600 rows": Task(600, 0, (64, 32), 100, 32),
    "digits": Task(1797, 10, (128, 64), 60, 32),
    "digits, convolutional": Task(1797, 10, (64,), 20, 64, filters=(32, 32)),
    "table of 50,000 rows": Task(50_000, 3, (64, 32), 10, 128),
}


class Measured(NamedTuple):
    """One process: seconds by the clock and of all processors, peak memory, and the score on the test part."""

    wall: float
    cpu: float
    mebibytes: float
    score: float


def write(task: Task, folder: Path) -> None:
    """Write the task's table and settings, and the configuration for retrograd."""
    (folder / "task.json").write_text(json.dumps(task._asdict()))
    if "digits" in folder.name:
        from sklearn.datasets import load_digits

        digits = load_digits()
        names = [f"p{i}" for i in range(64)]
        lines = [[*map(str, row.astype(int)), str(y)] for row, y in zip(digits.data, digits.target, strict=True)]
    else:
        names, lines = table(task)
    text = "\n".join(map(",".join, [[*names, "target"], *lines]))
    (folder / "data.csv").write_text(text + "\n")
    image: list[Any] = [{"reshape": [8, 8, 1]}] if task.filters else []
    image += [{"conv2d": {"filters": n, "kernel": 3, "activation": "relu"}} for n in task.filters]
    image += ["max_pool", "flatten"] if task.filters else []
    config = {
        "data": {"path": "data.csv", "target": "target"},
        "network": [
            *image,
            *({"dense": {"units": n, "activation": "relu", "weight": "glorot_uniform"}} for n in task.units),
            {"dense": "classes" if task.classes else "targets"},
        ],
        "optimizer": "adam",
        "training": {"epochs": task.epochs, "batch_size": task.batch, "seed": 0},
    }
    (folder / "retrograd.yaml").write_text(json.dumps(config))


def table(task: Task) -> tuple[list[str], list[list[str]]]:
    """Return a table of numbers and words whose target is a smooth function of them, with noise."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(task.rows, 8))
    kind, place = rng.integers(0, 4, task.rows), rng.integers(0, 6, task.rows)
    value = np.sin(numbers[:, 0]) + numbers[:, 1] * numbers[:, 2] + np.array([0, 1, -1, 2])[kind] + 0.3 * place
    value += 0.1 * rng.normal(size=task.rows)
    if task.classes:
        bounds = np.quantile(value, np.linspace(0, 1, task.classes + 1)[1:-1])
        target = np.searchsorted(bounds, value).astype(str)
    else:
        target = np.char.mod("%.4f", 100 + 20 * value)
    lines = [
        [*(f"{x:.4f}" for x in row), "abcd"[kind[i]], f"place {place[i]}", str(target[i])]
        for i, row in enumerate(numbers)
    ]
    return [*(f"x{i}" for i in range(8)), "kind", "place"], lines


def command(contestant: str, folder: Path, peers: str) -> list[str]:
    """Return what a user would type."""
    if contestant == "retrograd":
        run = folder / "run"
        retrograd = [str(Path(sys.executable).with_name("retrograd"))]
        return [*retrograd, "train", str(folder / "retrograd.yaml"), "--run", str(run), "--force", "--quiet", "--json"]
    return [peers, str(SCRIPTS / PEERS[contestant]), str(folder)]


def measure(contestant: str, folder: Path, peers: str, cache: Path) -> Measured | None:
    """Run one process; None if what it imports is not installed."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": ""}
    environment.pop("PYTHONPATH", None)
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command(contestant, folder, peers), stdout=output, stderr=errors, env=environment, cwd=folder
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            text = errors.read()
            if "ModuleNotFoundError" in text:
                return None
            raise SystemExit(f"{contestant} failed:\n{text}")
        output.seek(0)
        score = score_of(output.read())
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, score)


def score_of(output: str) -> float:
    """Return the score on the test part: accuracy, or R²."""
    printed = json.loads(output.splitlines()[-1])
    scores = printed["metrics"]["test"] if "metrics" in printed else printed
    return float(next(scores[name] for name in ("score", "accuracy", "r2") if name in scores))


def race(name: str, task: Task, rounds: int, peers: str) -> dict[str, Any]:
    """Return cold and warm figures of every contestant that there is."""
    contestants = ["retrograd", *(p for p in PEERS if not (task.filters and p == "scikit-learn"))]
    with tempfile.TemporaryDirectory(prefix=f"start {name} ") as place:
        folder = Path(place)
        write(task, folder)
        cold = {c: measure(c, folder, peers, folder / f"cache of {c}") for c in contestants}
        there = [c for c in contestants if cold[c] is not None]
        warm: dict[str, list[Measured]] = {c: [] for c in there}
        for turn in range(rounds):
            for contestant in there if turn % 2 else reversed(there):
                one = measure(contestant, folder, peers, folder / f"cache of {contestant}")
                assert one is not None
                warm[contestant].append(one)
    return {
        contestant: {"cold": cold[contestant]._asdict(), "warm": median(warm[contestant])._asdict()}  # type: ignore[union-attr]
        for contestant in there
    }


def median(many: list[Measured]) -> Measured:
    """Return the median of each figure."""
    return Measured(*(statistics.median(values) for values in zip(*many, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, action="append", help="one task [default: all]")
    parser.add_argument("--rounds", type=int, default=5, help="warm runs of each contestant")
    parser.add_argument("--peers", default=sys.executable, help="interpreter that runs the scripts [default: this one]")
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    options = parser.parse_args()
    results = {}
    for name in options.task or TASKS:
        results[name] = race(name, TASKS[name], options.rounds, options.peers)
        print(f"\n{name}\n{'':14}{'cold s':>9}{'cpu s':>8}{'warm s':>9}{'cpu s':>8}{'MiB':>7}{'score':>8}")
        for contestant, figures in results[name].items():
            cold, warm = figures["cold"], figures["warm"]
            print(
                f"{contestant:14}{cold['wall']:9.2f}{cold['cpu']:8.2f}{warm['wall']:9.2f}{warm['cpu']:8.2f}"
                f"{warm['mebibytes']:7.0f}{warm['score']:8.3f}",
                flush=True,
            )
    if options.json:
        machine = {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()}
        options.json.write_text(json.dumps({"machine": machine, "tasks": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
