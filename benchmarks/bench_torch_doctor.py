"""The PyTorch doctor on recorded training loops: are their faults found and rightly named, and what does watching cost?

    python benchmarks/bench_torch_doctor.py CASES [--seeds N] [--epochs N] [--print ID] [--no-cost]

CASES is a folder of records (JSON) with `make_data.py` beside it. The loop_* records, and those whose fault no
configuration can express, are written out as a user's loop (torch_loops.py) and run under `watch`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import linecache
import sys
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch_loops
from torch import nn

import retrograd

ALSO = ("tdc_cnn_flipped_gradient", "tdc_regr_label_broadcast")


def chosen(folder: Path) -> list[dict[str, Any]]:
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    inexpressible = ("flip_sign",), ("mse_broadcast",)
    return [
        record
        for record in records
        if record["id"].startswith("loop_")
        or record["id"] in ALSO
        or record["optimizer"].get(inexpressible[0][0])
        or record["loss"] in inexpressible[1]
    ]


def data(folder: Path, record: dict[str, Any]) -> list[torch.Tensor]:
    """Make the arrays, scaled as the record says."""
    spec = importlib.util.spec_from_file_location("make_data", folder.parent / "make_data.py")
    assert spec is not None
    assert spec.loader is not None
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    try:
        x, y, x_valid, y_valid = make.arrays(record["data"]["code"])
    except FileNotFoundError:
        x, y, x_valid, y_valid = make.arrays(record["data"]["surrogate_code"])
    x, x_valid = scaled(record["preprocessing"]["x"], x, x_valid)
    if record["task"] == "regression":
        y, y_valid = scaled(record["preprocessing"]["y"], y, y_valid)
    elif torch_loops.parts(record)["labels"]:
        y, y_valid = y.argmax(1), y_valid.argmax(1)
    record["input_shape"] = list(x.shape[1:])
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in (x, y, x_valid, y_valid)]


def scaled(how: str, train: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if how.startswith("minmax"):
        axis = None if how.endswith("global") else 0
        low, high = train.min(axis), train.max(axis)
    elif how.startswith("standard"):
        low, high = train.mean(0), train.mean(0) + train.std(0)
    else:
        return train, valid
    span = np.where(high > low, high - low, 1)
    return ((train - low) / span).astype(np.float32), ((valid - low) / span).astype(np.float32)


def run(folder: Path, record: dict[str, Any], seed: int, epochs: int | None) -> tuple[Any, str]:
    arrays = data(folder, record)
    text = torch_loops.program(record, epochs or record["epochs"])
    file = f"{record['id']}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {}
    exec(compile(text, file, "exec"), names)
    torch.manual_seed(seed)
    kept: list[Any] = []

    def watch(*args: Any) -> Any:
        kept.append(retrograd.torch.watch(*args))
        return kept[-1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of some of these faults itself
        try:
            names["loop"](*arrays, watch)
        except Exception as error:
            print(f"  {record['id']} ends with {type(error).__name__}: {str(error).splitlines()[0][:60]}")
    return kept[0], text


def diagnose(folder: Path, seeds: int, epochs: int | None, show: str) -> bool:
    head = f"{'record':34s} {'expected':10s} {'named first':44s} {'alarms':>6s} {'cost':>6s}  right"
    print(head, "-" * len(head), sep="\n")
    sick = right = found = false = 0
    for record in chosen(folder):
        healthy = record["expected"]["healthy"]
        accepted = set(record["expected"]["causes"])
        for seed in range(seeds):
            try:
                chart, text = run(folder, record, seed, epochs)
            except ValueError as error:
                print(f"{record['id']:34s} cannot be written: {error}")
                sick += 1
                break
            alarms = chart.alarms
            first = f"{alarms[0].code} {alarms[0].name} {alarms[0].path}" if alarms else "-"
            good = not alarms if healthy else bool(alarms) and alarms[0].code in accepted
            sick += not healthy
            found += bool(alarms) and not healthy
            right += good and not healthy
            false += len(alarms) if healthy else 0
            words = " ".join(sorted(accepted)) or "-"
            print(f"{record['id'][:34]:34s} {words:10s} {first[:44]:44s} {len(alarms):6d} {chart.cost:6.1%}  {good}")
            if show == record["id"]:
                print(text)
                chart.report()
            for trouble in chart.journal.trouble:
                print("  trouble:", trouble)
    print(f"found {found} of {sick}, rightly named {right} of {sick}; alarms on healthy loops: {false}")
    return right >= 0.9 * sick and false == 0


def mlp() -> tuple[nn.Module, tuple[int, ...]]:
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)), (784,)


def small_mlp() -> tuple[nn.Module, tuple[int, ...]]:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), (64,)


def cnn() -> tuple[nn.Module, tuple[int, ...]]:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 10),
    ), (1, 28, 28)  # fmt: skip


def steps(make: Any, count: int, watched: bool, state: dict[str, Any]) -> float:
    """Return the processor's seconds for `count` steps of a loop that goes on from call to call."""
    model, optimizer, x, y = state["model"], state["optimizer"], state["x"], state["y"]
    begin = time.process_time()
    for _ in range(count):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.process_time() - begin


def cost(make: Any, count: int, rounds: int) -> tuple[float, float]:
    """Return milliseconds of a plain step and the ratio of a watched one to it: medians of alternating stretches."""
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        model, shape = make()
        states.append({"model": model, "optimizer": torch.optim.Adam(model.parameters(), 1e-3),
                       "x": torch.randn(64, *shape), "y": torch.randint(0, 10, (64,))})  # fmt: skip
    chart = retrograd.torch.watch(states[1]["model"], states[1]["optimizer"])
    plain, ratios = [], []
    steps(make, count, False, states[0])
    for _ in range(rounds):
        alone = steps(make, count, False, states[0])
        with chart:  # hooks go off between the stretches, so that the other loop runs without
            watched = steps(make, count, True, states[1])
        plain.append(alone / count)
        ratios.append(watched / alone)
    return 1e3 * median(plain), median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--print", dest="show", default="")
    parser.add_argument("--no-cost", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    good = args.cases is None or diagnose(args.cases, args.seeds, args.epochs, args.show)
    if not args.no_cost:
        for name, make, count in (("MLP 64-64-10", small_mlp, 1000), ("MLP 784-256-128-10", mlp, 300),
                                  ("CNN 28x28", cnn, 60)):  # fmt: skip
            milliseconds, ratio = cost(make, count, 7)
            print(f"{name:20s} {milliseconds:7.3f} ms a step, watched {ratio - 1:+.1%}")
    sys.exit(not good)


if __name__ == "__main__":
    main()
