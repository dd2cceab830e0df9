"""Rows a second from a table on disk through training, side by side with peers, and the memory that each takes.

    python benchmarks/bench_data.py                      one table, all contestants, each in a process of its own
    python benchmarks/bench_data.py --rows 2000000 --features 20 --kind parquet
    python benchmarks/bench_data.py --rows 10000000 --features 10 --kind csv --limit-gib 4
    python benchmarks/bench_data.py --ready --rows 2000000 --features 20 --kind parquet    seconds until data are ready
    python benchmarks/bench_data.py --sorted             a file sorted by class beside the same rows shuffled

Every contestant trains the same multi-layer perceptron (relu, Adam, the same batch) for one epoch over the same rows,
standardised. scikit-learn gets whole columns in memory and `partial_fit` a minibatch at a time; PyTorch, where it is
installed, a DataLoader over memory-mapped columns. Rows a second are those of the epoch, compiling left out; `ready`
are the seconds from the file to the first step, `peak` the largest resident memory less what the imports take.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WIDTHS, BATCH, RATE = (64, 32), 64, 1e-3
CONTESTANTS = ("retrograd in files", "retrograd kept", "retrograd in memory", "scikit-learn", "pytorch")
CHUNK = 250_000  # rows that are generated at a time
GIB = 1024**3


def table(folder: Path, rows: int, features: int, kind: str, is_sorted: bool = False) -> Path:
    """Return a table of numbers and two classes, written unless it is there; of `features` numbers and one class."""
    import numpy as np
    import polars as pl

    path = folder / f"d-{rows}-{features}{'-sorted' if is_sorted else ''}.{kind}"
    if path.exists():
        return path
    weights = np.random.default_rng(1).normal(size=(features, 4))
    parts = []
    with open(path.with_suffix(".part"), "wb") as file:
        for start in range(0, rows, CHUNK):
            rng = np.random.default_rng([0, start])
            x = rng.normal(size=(min(CHUNK, rows - start), features)).round(6)
            y = np.tanh(x @ weights).sum(1) > 0
            frame = pl.DataFrame({f"x{i}": x[:, i] for i in range(features)} | {"label": y.astype(np.int64)})
            if kind == "csv" and not is_sorted:
                frame.write_csv(file, include_header=start == 0)
            else:
                parts.append(frame)
        if parts:
            whole = pl.concat(parts)
            whole = whole.sort("label") if is_sorted else whole
            whole.write_csv(file) if kind == "csv" else whole.write_parquet(file)
    path.with_suffix(".part").rename(path)
    return path


def peak() -> int:
    """Return the largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def retrograd(name: str, path: Path, cache: Path, seed: int = 0) -> dict[str, float]:
    """Train one epoch, from files or in memory."""
    import jax

    import retrograd as rg
    from retrograd.base import allocator
    from retrograd.data.dataset import load
    from retrograd.data.settings import DataSettings
    from retrograd.training.config.settings import TrainingSettings
    from retrograd.training.loop.loop import Loop
    from retrograd.training.use.evaluate import Evaluator

    allocator.tune(0)
    jax.block_until_ready(jax.jit(lambda x: x + 1)(1.0))  # what JAX takes by itself
    before, begun = peak(), time.perf_counter()
    stream = "never" if name == "retrograd in memory" else "always"
    data = load(DataSettings(path=str(path), target="label", stream=stream, cache=str(cache)))  # type: ignore[arg-type]
    ready = time.perf_counter() - begun
    hidden = [rg.Dense(width, "relu") for width in WIDTHS]
    network = rg.Network(*hidden, rg.Dense(1))
    objective = rg.Objective("loss", rg.BinaryCrossEntropy(), (network.output, "y"))
    stepper = rg.Stepper(network, [objective], rg.Adam(RATE))
    evaluator = Evaluator(network, [objective], data.preprocessing)
    scores: dict[str, float] = {}

    def score(variables: Any) -> dict[str, dict[str, float]]:
        marks.append(time.perf_counter())
        scores.update(evaluator.scores(variables, data.valid))
        return {"valid": scores}

    marks: list[float] = []
    settings = TrainingSettings(epochs=2, batch_size=BATCH, seed=seed, early_stopping=None)
    ends: list[float] = []
    loop = Loop(stepper, settings, data.train, score, True, watchers=[lambda epoch: ends.append(time.perf_counter())])
    loop.run(network.init(jax.random.key(seed), data.train))
    seconds = marks[1] - ends[0]  # of the second epoch: the first compiles
    return {"ready": ready, "seconds": seconds, "rows": data.rows["train"], "peak": peak() - before,
            "accuracy": scores["accuracy"]}  # fmt: skip


def columns(path: Path) -> tuple[Any, Any]:
    """Return standardised features and labels, as a user of polars and NumPy would make them."""
    import polars as pl

    frame = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
    x = frame.drop("label").to_numpy().astype("float32")
    x -= x.mean(0)
    x /= x.std(0)
    return x, frame["label"].to_numpy()


def scikit_learn(path: Path) -> dict[str, float]:
    """Train one epoch with `partial_fit`."""
    import numpy as np
    from sklearn.neural_network import MLPClassifier

    before, begun = peak(), time.perf_counter()
    x, y = columns(path)
    ready = time.perf_counter() - begun
    model = MLPClassifier(WIDTHS, solver="adam", alpha=0.0, learning_rate_init=RATE, batch_size=BATCH)
    train = int(0.7 * len(x))
    order = np.random.default_rng(0).permutation(len(x))
    begun = time.perf_counter()
    for start in range(0, train, BATCH):
        rows = order[start : min(start + BATCH, train)]
        model.partial_fit(x[rows], y[rows], classes=[0, 1])
    seconds = time.perf_counter() - begun
    valid = order[train : train + len(x) * 15 // 100]
    return {"ready": ready, "seconds": seconds, "rows": train, "peak": peak() - before,
            "accuracy": float(model.score(x[valid], y[valid]))}  # fmt: skip


def pytorch(path: Path, cache: Path) -> dict[str, float]:
    """Train one epoch from a DataLoader over memory-mapped columns."""
    import numpy as np
    import torch
    from torch import nn
    from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

    torch.ones(2).sum()
    before, begun = peak(), time.perf_counter()
    x, y = columns(path)
    train = int(0.7 * len(x))
    np.save(cache / "x.npy", x)
    np.save(cache / "y.npy", y.astype("float32")[:, None])
    x, y = (np.load(cache / f"{name}.npy", mmap_mode="r") for name in "xy")

    class Rows(Dataset):  # type: ignore[misc, type-arg]
        def __len__(self) -> int:
            return train

        def __getitem__(self, rows: list[int]) -> tuple[Any, Any]:
            return torch.from_numpy(x[rows]), torch.from_numpy(y[rows])

    ready = time.perf_counter() - begun
    widths = (x.shape[1], *WIDTHS)
    layers = [part for a, b in itertools.pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(widths[-1], 1))
    optimizer, loss = torch.optim.Adam(model.parameters(), RATE), nn.BCEWithLogitsLoss()
    rows = Rows()
    begun = time.perf_counter()
    for inputs, targets in DataLoader(rows, sampler=BatchSampler(RandomSampler(rows), BATCH, False), batch_size=None):
        optimizer.zero_grad()
        loss(model(inputs), targets).backward()
        optimizer.step()
    seconds = time.perf_counter() - begun
    with torch.no_grad():
        valid = slice(train, train + len(x) * 15 // 100)
        right = (model(torch.from_numpy(np.array(x[valid]))) > 0).numpy() == (y[valid] > 0)
    return {"ready": ready, "seconds": seconds, "rows": train, "peak": peak() - before, "accuracy": float(right.mean())}


def run(name: str, path: Path, cache: Path) -> dict[str, float]:
    """Be a contestant."""
    if name == "scikit-learn":
        return scikit_learn(path)
    return pytorch(path, cache) if name == "pytorch" else retrograd(name, path, cache)


def in_its_own_process(name: str, path: Path, cache: Path, limit_gib: float | None) -> dict[str, float] | str:
    """Return what a contestant measured, or why it did not."""
    command = [sys.executable, __file__, "--be", name, "--path", str(path), "--cache", str(cache)]
    if limit_gib is not None:
        command = ["bash", "-c", f'ulimit -v {int(limit_gib * GIB / 1024)}; exec "$@"', "-", *command]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"})
    if done.returncode:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"ended with {done.returncode}"
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def ready(path: Path, cache: Path) -> dict[str, float]:
    """Return the seconds until data are ready, without JAX, and the memory that it took."""
    from retrograd.data.dataset import load
    from retrograd.data.settings import DataSettings

    before, begun = peak(), time.perf_counter()
    data = load(DataSettings(path=str(path), target="label", stream="always", cache=str(cache)))
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    load(DataSettings(path=str(path), target="label", stream="always", cache=str(cache)))
    return {"ready": first, "again": time.perf_counter() - begun, "rows": data.rows["train"], "peak": peak() - before}


def shown(name: str, run: dict[str, float] | str) -> str:
    """Return a contestant's line."""
    if isinstance(run, str):
        return f"{name:22} {run}"
    rate = f"{run['rows'] / run['seconds']:12,.0f} rows/s" if "seconds" in run else " " * 19
    again = f"  again {run['again']:6.2f} s" if "again" in run else ""
    accuracy = f"  accuracy {run['accuracy']:.3f}" if "accuracy" in run else ""
    return f"{name:22} {rate}  ready {run['ready']:7.2f} s{again}  peak {run['peak'] / 1024**2:7,.0f} MiB{accuracy}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--kind", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--contestant", action="append", choices=CONTESTANTS)
    parser.add_argument("--limit-gib", type=float, help="address space of each process (`ulimit -v`)")
    parser.add_argument("--ready", action="store_true", help="only make the data ready")
    parser.add_argument("--sorted", action="store_true", help="a file sorted by class, beside the shuffled one")
    parser.add_argument("--folder", type=Path, help="where tables are written, and found again")
    parser.add_argument("--be", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be:
        found = (
            ready(options.path, options.cache)
            if options.be == "ready"
            else run(options.be, options.path, options.cache)
        )
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = options.folder or Path(temporary), Path(temporary) / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        cache.mkdir()
        made = [table(folder, options.rows, options.features, options.kind)]
        if options.sorted:
            made.append(table(folder, options.rows, options.features, options.kind, is_sorted=True))
        for path in made:
            print(f"{path.name}: {path.stat().st_size / 1024**2:,.0f} MiB", flush=True)
            names = ["ready"] if options.ready else options.contestant or list(CONTESTANTS)
            for name in names:
                module = {"pytorch": "torch", "scikit-learn": "sklearn"}.get(name)
                if module and importlib.util.find_spec(module) is None:
                    print(shown(name, "not installed"))
                    continue
                print(shown(name, in_its_own_process(name, path, cache, options.limit_gib)), flush=True)


if __name__ == "__main__":
    main()
