"""Whether a training step has become slower, as a ratio to `jax.grad` in the same run: `make bench-check`.

    python benchmarks/compare_step.py [--workload NAME] [--runs N] [--rounds N] [--record FILE]

Compares with the ratios recorded in step.json and exits with 1 where one fell: where even the best of some runs stays
more than a tenth below. What runs of an unchanged program differ by, on a machine that others use too, is less.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from race import Results

FOLDER = Path(__file__).parent
PEER = "jax.grad"
OURS = ("retrograd+malloc", "retrograd without kernels+malloc")
NOISE = 0.1
Ratios = dict[tuple[str, str], float]  # how many times as long as ours the peer takes, by workload and contestant


def ratios(results: Results) -> Ratios:
    return {
        (workload, ours): seconds[PEER]["seconds"] / seconds[ours]["seconds"]
        for workload, seconds in results.items()
        for ours in OURS
        if ours in seconds and PEER in seconds
    }


def measured(workloads: list[str], rounds: int) -> Ratios:
    """Return the ratios of one run of bench_step.py."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "step.json"
        words = [word for name in workloads for word in ("--workload", name)]
        words += [word for name in (*OURS, PEER) for word in ("--contestant", name)]
        words += ["--rounds", str(rounds), "--json", str(figures)]
        subprocess.run([sys.executable, str(FOLDER / "bench_step.py"), *words], check=True, stdout=subprocess.DEVNULL)
        return ratios(json.loads(figures.read_text(encoding="utf-8"))["all cores"])


def compared(recorded: Ratios, runs: list[Ratios]) -> tuple[list[str], bool]:
    """Return a line for each ratio, and whether none fell."""
    lines, good = [], True
    for (workload, ours), before in recorded.items():
        now = [run[workload, ours] for run in runs if (workload, ours) in run]
        if not now:
            continue
        fell = max(now) < (1 - NOISE) * before
        good = good and not fell
        shown = ", ".join(f"{ratio:.2f}" for ratio in sorted(now))
        lines.append(f"{'FELL' if fell else 'ok':<5}{workload}, {ours}: {before:.2f} recorded, now {shown}")
    return lines, good


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workload", action="append")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--record", type=Path, default=FOLDER / "step.json")
    options = parser.parse_args()
    recorded = ratios(json.loads(options.record.read_text(encoding="utf-8"))["all cores"])
    workloads = options.workload or list(dict.fromkeys(workload for workload, _ in recorded))
    recorded = {place: ratio for place, ratio in recorded.items() if place[0] in workloads}
    if not recorded:
        parser.error(f"{options.record} has no ratio of {', '.join(workloads)}")
    lines, good = compared(recorded, [measured(workloads, options.rounds) for _ in range(options.runs)])
    print("\n".join(lines))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
