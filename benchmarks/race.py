"""Races between implementations: each in a process of its own, taking turns, so that noise meets all alike.

A contestant is a function that builds its step and returns `run(steps)`, which does at least that many steps and
returns how many it did. The parent asks each process for a short leg in every round and keeps the median. The order
changes from round to round, and a pause lies before every leg: idle threads of some libraries spin for a while, and
whoever came next would pay for them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Build = Callable[[Any], Callable[[int], int]]
LEG_SECONDS = 0.25
PAUSE_SECONDS = 0.1


def serve(build: Callable[[], Callable[[int], int]]) -> None:
    """Be a contestant: build, warm up, then run a leg for every line on standard input, its first tenth untimed."""
    try:
        run = build()
        run(1)
        steps, seconds = 1, 0.0
        while seconds < LEG_SECONDS / 2:  # how many steps make a leg
            steps *= 2
            begin = time.perf_counter()
            done = run(steps)
            seconds = time.perf_counter() - begin
        steps = max(1, int(done * LEG_SECONDS / seconds))
    except ImportError as error:
        print(json.dumps({"absent": str(error)}), flush=True)
        return
    print(json.dumps({"ready": steps}), flush=True)
    for _ in sys.stdin:
        run(max(1, steps // 10))
        begin = time.perf_counter()
        done = run(steps)
        print(json.dumps((time.perf_counter() - begin) / done), flush=True)


def race(script: str, workload: str, contestants: Sequence[str], rounds: int) -> dict[str, float | None]:
    """Return the median seconds a step of each contestant on one workload; None for one that is not installed."""
    processes = {}
    legs: dict[str, list[float]] = {}
    for name in contestants:  # one after the other: each finds the length of its legs with the machine to itself
        command = [sys.executable, script, "--contestant", name, "--workload", workload]
        processes[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = json.loads(processes[name].stdout.readline() or "{}")
        if "ready" in first:
            legs[name] = []
    shuffle = random.Random(0).shuffle
    for _ in range(rounds):
        order = list(legs)
        shuffle(order)
        for name in order:
            time.sleep(PAUSE_SECONDS)
            processes[name].stdin.write("leg\n")
            processes[name].stdin.flush()
            legs[name].append(json.loads(processes[name].stdout.readline()))
    for process in processes.values():
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
    return {name: statistics.median(legs[name]) if name in legs else None for name in contestants}


def table(results: dict[str, dict[str, float | None]], own: str) -> str:
    """Return milliseconds a step, and how many times faster than each peer the first contestant is."""
    names = list(next(iter(results.values())))
    lines = [
        "| workload | "
        + " | ".join(f"{name}, ms" for name in names)
        + " | "
        + " | ".join(f"/ {n}" for n in names if n != own)
        + " |"
    ]
    lines.append("|" + " --- |" * (2 * len(names)))
    for workload, times in results.items():
        cells = [workload, *("-" if times[n] is None else f"{1e3 * times[n]:.4f}" for n in names)]
        cells += ["-" if times[n] is None else f"{times[n] / times[own]:.2f}x" for n in names if n != own]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(script: str, workloads: dict[str, Any], contestants: dict[str, Build], own: str) -> None:
    """Run the race that the command line asks for, print the table, and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--workload", action="append", choices=list(workloads))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    if given.contestant:
        serve(lambda: contestants[given.contestant](workloads[given.workload[0]]))
        return
    results = {}
    for workload in given.workload or workloads:
        results[workload] = race(script, workload, list(contestants), given.rounds)
        print(table({workload: results[workload]}, own).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(results, own))
    if given.json:
        facts = {"machine": platform.machine(), "python": platform.python_version(), "seconds_per_step": results}
        given.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
