"""What readings cost: the time of one reading beside that of the steps between two of them, in one process.

    python benchmarks/bench_readings.py [--workload NAME] [--rounds N] [--json FILE]

The program of a reading is compiled before it is timed, as the step is. `share` is what readings add to a long run; a
short run of small steps has 20 of them all the same, some 20 ms in all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from contestants.own import Retrograd
from workloads import WORKLOADS

from retrograd.base import allocator
from retrograd.training.loop.health import HealthWatch

STEPS = 100_000  # of the run
LEG_SECONDS = 0.3


def measure(name: str, rounds: int) -> dict[str, float]:
    """Return the seconds of a step and of a reading, medians of rounds that take turns, and the interval in steps."""
    work = WORKLOADS[name]
    contestant = Retrograd(work)
    first = dict(zip("xy", contestant.batches[0], strict=True))
    interval = HealthWatch(STEPS, lambda event: None).steps_between(contestant.stepper, contestant.train, first)
    watch = HealthWatch(1, lambda event: None)  # one that reads whenever it is asked

    def reading() -> float:
        return seconds(lambda: watch.reading(contestant.stepper, contestant.train, first))

    def step(count: int) -> float:
        return seconds(lambda: contestant.run(count)) / count

    step(1)
    count = max(1, round(LEG_SECONDS / step(64)))
    reading()
    readings, singles = zip(*((reading(), step(count)) for _ in range(rounds)), strict=True)
    figures = {"step": statistics.median(singles), "reading": statistics.median(readings), "interval": interval}
    return figures | {"share": figures["reading"] / (figures["interval"] * figures["step"])}


def seconds(action: Any) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", action="append", choices=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    allocator.tune(2**30)
    results = {}
    print("| workload | step, ms | reading, ms | steps between | share |\n| --- | --- | --- | --- | --- |")
    for name in options.workload or WORKLOADS:
        results[name] = one = measure(name, options.rounds)
        cells = [f"{1e3 * one['step']:.4g}", f"{1e3 * one['reading']:.4g}", f"{one['interval']:.0f}"]
        print(f"| {name} | {' | '.join(cells)} | {one['share']:.2%} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
