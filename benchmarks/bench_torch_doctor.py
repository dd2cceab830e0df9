"""The PyTorch doctor on recorded training loops: are their faults found and rightly named, and what does watching cost?

    python benchmarks/bench_torch_doctor.py [CASES] [--seeds N] [--epochs N] [--print ID] [--no-cost] [--json FILE]

CASES is a folder with `cases/*.json` and `make_data.py`. The loop_* records, and those whose fault no configuration
can express, are written out as a user's loop (torch_loops.py) and run under `watch`. The cost: torch_overhead.py.
"""

from __future__ import annotations

import argparse
import json
import linecache
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import recorded
import torch
import torch_loops
import torch_overhead

import retrograd

MOST = 0.05  # of the loop's time that watching may cost


def chosen(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of loops, and those whose fault no configuration can express."""
    for path in sorted((folder / "cases").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        inexpressible = record["loss"] == "mse_broadcast" or record["optimizer"].get("flip_sign")
        if record["id"].startswith("loop_") or inexpressible:
            yield record


def data(arrays: Any, record: dict[str, Any]) -> list[torch.Tensor]:
    """Make the arrays, scaled as the record says."""
    try:
        x, y, x_valid, y_valid = arrays(record["data"]["code"])
    except FileNotFoundError:
        x, y, x_valid, y_valid = arrays(record["data"]["surrogate_code"])
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


def run(arrays: Any, record: dict[str, Any], seed: int, epochs: int | None) -> tuple[Any, str]:
    tensors = data(arrays, record)
    text = torch_loops.program(record, epochs or record["epochs"])
    file = f"{record['id']}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names: dict[str, Any] = {}
    exec(compile(text, file, "exec"), names)
    torch.manual_seed(seed)
    outputs: list[Any] = []

    def watch(*args: Any) -> Any:
        outputs.append(retrograd.torch.watch(*args))
        return outputs[-1]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of some of these faults itself
        try:
            names["loop"](*tensors, watch)
        except Exception as error:
            print(f"  {record['id']} ends with {type(error).__name__}: {str(error).splitlines()[0][:60]}")
    return outputs[0], text


def diagnose(folder: Path, seeds: int, epochs: int | None, show: str) -> Iterator[dict[str, Any]]:
    """Run the records' loops under `watch`; print and yield what was found."""
    head = f"{'record':34s} {'expected':10s} {'named first':44s} {'alarms':>6s}  right"
    print(head, "-" * len(head), sep="\n")
    arrays = recorded.maker(folder)
    for record in chosen(folder):
        accepted = sorted(record["expected"]["causes"])
        for seed in range(seeds):
            try:
                chart, text = run(arrays, record, seed, epochs)
            except ValueError as error:
                print(f"{record['id']:34s} cannot be written as a loop: {error}")
                yield {"id": record["id"], "seed": seed, "accepted": accepted, "alarms": [], "right": False}
                continue
            alarms = [f"{one.code} {one.name} {one.path}" for one in chart.alarms]
            right = alarms[0].split()[0] in accepted if accepted and alarms else not accepted and not alarms
            print(f"{record['id'][:34]:34s} {' '.join(accepted) or '-':10s} {(alarms or ['-'])[0][:44]:44s} "
                  f"{len(alarms):6d}  {right}")  # fmt: skip
            yield {"id": record["id"], "seed": seed, "accepted": accepted, "alarms": alarms, "right": right,
                   "turns": chart.journal.turns, "looks": chart.journal.looks}  # fmt: skip
            if show == record["id"]:
                print(text)
                chart.report()
            for trouble in chart.journal.trouble:
                print("  trouble:", trouble)


def summary(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return the totals, in words."""
    sick, healthy = ([row for row in rows if bool(row["accepted"]) is ill] for ill in (True, False))
    return {
        "faulty loops found": f"{sum(bool(row['alarms']) for row in sick)} of {len(sick)}",
        "rightly named first": f"{sum(row['right'] for row in sick)} of {len(sick)}",
        "healthy loops with an alarm": f"{sum(bool(row['alarms']) for row in healthy)} of {len(healthy)}",
    }


def show(rows: list[dict[str, Any]]) -> None:
    head = f"{'loop':24s}{'batch':>6s}{'steps':>7s}{'us a step':>11s}{'watching':>10s}{'least':>8s}{'most':>8s}  exact"
    print(head, "-" * len(head), sep="\n")
    for row in rows:
        print(f"{row['loop']:24s}{row['batch']:6d}{row['steps']:7d}{row['microseconds a step']:11.1f}"
              f"{row['watching costs']:10.1%}{row['least']:8.1%}{row['most']:8.1%}  {row['same weights']}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--print", dest="show", default="", metavar="ID", help="the loop and the report of a record")
    parser.add_argument("--no-cost", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    if options.cases:
        rows = list(diagnose(options.cases, options.seeds, options.epochs, options.show))
        results |= {"totals": summary(rows), "loops": rows}
        for name, value in results["totals"].items():
            print(f"{name:30s} {value}")
    if not options.no_cost:
        results["overhead"] = torch_overhead.table()
        show(results["overhead"])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    wrong = [row for row in results.get("loops", []) if not row["right"]]
    long = max((row["steps"] for row in results.get("overhead", [])), default=0)
    dear = [row for row in results.get("overhead", []) if row["steps"] == long and row["watching costs"] > MOST]
    dear += [row for row in results.get("overhead", []) if not row["same weights"]]
    sick = [row for row in results.get("loops", []) if row["accepted"]]
    sys.exit(bool(dear) or any(not row["accepted"] for row in wrong) or len(wrong) > 0.1 * len(sick))


if __name__ == "__main__":
    main()
