"""Races between implementations: each in a process of its own, taking turns, so that noise meets all alike.

The parent asks each process for a short leg in every round and keeps the median. The order changes from round to
round, and a pause lies before every leg: idle threads of some libraries spin for a while, and whoever came next would
pay for them. The first contestant is the one that the others are compared with.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contestant import Absent, Contestant

Build = Callable[[str, str], Contestant]  # from the names of a contestant and a workload
Results = dict[str, dict[str, dict[str, float]]]  # workload -> contestant -> seconds and bytes; none if absent
LEG_SECONDS = 0.25
PAUSE_SECONDS = 0.1
QUIET = 0.1  # of a core
TRIES = 3  # for a leg in which others are quiet
CHECKED_STEPS = 3
SAME = 2e-4  # float32 in other orders of summation, three steps of Adam deep


def serve(build: Callable[[], Contestant], one_core: bool) -> None:
    """Be a contestant: build, warm up, then answer each line on standard input."""
    if one_core:
        os.environ["OMP_NUM_THREADS"] = "1"
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    clock = time.process_time if one_core else time.perf_counter
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a compiler prints is no answer
    try:
        contestant = build()
        answer({"ready": True}, answers)
        steps = None
        for line in sys.stdin:
            if line == "losses\n":
                answer(contestant.losses(CHECKED_STEPS), answers)
            elif line == "bytes\n":
                answer(contestant.temporary_bytes(), answers)
            else:
                steps = steps or leg_length(contestant.run)
                answer(leg(contestant.run, steps, clock), answers)
    except (ImportError, Absent) as error:
        answer({"absent": str(error)}, answers)


def answer(thing: Any, to: Any) -> None:
    print(json.dumps(thing), file=to, flush=True)


def leg_length(run: Callable[[int], int]) -> int:
    """Return how many steps make a leg."""
    run(1)
    run(1)  # the second step can compile once more, for what the first one left
    steps, seconds = 1, 0.0
    while seconds < LEG_SECONDS / 2:
        steps *= 2
        begin = time.perf_counter()
        done = run(steps)
        seconds = time.perf_counter() - begin
    return max(1, int(done * LEG_SECONDS / seconds))


def leg(run: Callable[[int], int], steps: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Return how many cores others kept busy meanwhile, and the seconds a step. A tenth before is not timed."""
    run(max(1, steps // 10))
    busy, own, begin, started = busy_seconds(), time.process_time(), time.perf_counter(), clock()
    done = run(steps)
    seconds = (clock() - started) / done
    others = busy_seconds() - busy - (time.process_time() - own)
    return max(others / (time.perf_counter() - begin), 0.0), seconds


def busy_seconds() -> float:
    """Return how long all cores together have worked since the machine began, as Linux tells it; elsewhere nothing."""
    try:
        with open("/proc/stat", encoding="ascii") as stat:
            user, nice, system, _, _, *rest = map(int, stat.readline().split()[1:9])
    except OSError:
        return time.process_time()
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


class Entrants:
    """The processes of one workload's contestants: those that could be built."""

    def __init__(self, script: str, workload: str, contestants: Sequence[str], one_core: bool = False) -> None:
        self.processes = {}
        self.absent = {}
        for name in contestants:
            command = [sys.executable, script, "--serve", "--contestant", name, "--workload", workload]
            command += ["--one-core"] if one_core else []
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            first = json.loads(process.stdout.readline() or '{"absent": "failed"}')
            if "ready" in first:
                self.processes[name] = process
            else:
                self.absent[name] = first["absent"]
                process.wait()

    def ask(self, name: str, question: str) -> Any:
        with contextlib.suppress(BrokenPipeError):
            self.processes[name].stdin.write(question + "\n")
            self.processes[name].stdin.flush()
        return json.loads(self.processes[name].stdout.readline() or "null")

    def __enter__(self) -> Entrants:
        return self

    def __exit__(self, *_: Any) -> None:
        for process in self.processes.values():
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()


def race(
    script: str, workload: str, contestants: Sequence[str], rounds: int, one_core: bool = False
) -> dict[str, dict[str, float]]:
    """Return of each contestant the median seconds a step, how many cores others kept busy, and bytes where known."""
    with Entrants(script, workload, contestants, one_core) as entrants:
        names = list(entrants.processes)
        for name in names:  # one after the other: each finds the length of its legs with the machine to itself
            entrants.ask(name, "leg")
        legs: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        shuffle = random.Random(0).shuffle
        for _ in range(rounds):
            order = list(names)
            shuffle(order)
            for name in order:
                tries = 1 if one_core else TRIES
                legs[name].append(quiet_leg(functools.partial(entrants.ask, name, "leg"), tries))
        figures = {}
        for name, taken in legs.items():
            others, seconds = map(statistics.median, zip(*taken, strict=True))
            figures[name] = {"seconds": seconds, "others": others}
        for name in names:
            nbytes = entrants.ask(name, "bytes")
            if nbytes is not None:
                figures[name]["temporary_bytes"] = nbytes
    for name, reason in entrants.absent.items():
        print(f"  {name}: absent ({reason})", file=sys.stderr)
    return figures


def quiet_leg(take: Callable[[], tuple[float, float]], tries: int) -> tuple[float, float]:
    """Return (cores that others kept busy, seconds a step) of a leg in which nobody else worked much, if there was one.

    Two threads that wait for each other lose far more than what somebody else takes, some libraries' more than others'.
    """
    taken = []
    for _ in range(tries):
        time.sleep(PAUSE_SECONDS)
        taken.append(take())
        if taken[-1][0] < QUIET:
            break
    return min(taken)


def check(script: str, workload: str, contestants: Sequence[str]) -> bool:
    """Print the first losses of all contestants; return whether they agree with those of the first."""
    good, expected = True, None
    for name in contestants:
        with Entrants(script, workload, [name]) as entrants:
            found = entrants.ask(name, "losses") if entrants.processes else []
        if not found:
            print(f"{workload}: {name}: {entrants.absent.get(name, 'gave no losses')}")
            continue
        expected = expected or found
        off = max(abs(a / b - 1) for a, b in zip(found, expected, strict=True))
        good = good and off < SAME
        print(f"{workload}: {name}: {' '.join(f'{loss:.6f}' for loss in found)}  (off by {off:.0e})", flush=True)
    return good


def compile_seconds(script: str, workload: str, contestant: str) -> list[list[float]]:
    """Return the seconds, and those of the processor, of a first step in each of two processes.

    One runs after the other, with a new cache folder that they share.
    """
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, script, "--serve-first", "--contestant", contestant, "--workload", workload]
        run = {"env": {**os.environ, "XDG_CACHE_HOME": cache}, "check": True, "capture_output": True, "text": True}
        return [json.loads(subprocess.run(command, **run).stdout.splitlines()[-1]) for _ in range(2)]


def serve_first(build: Callable[[], Contestant]) -> None:
    """Print how long the first step takes: tracing, compiling or reading the cache, and running it."""
    from retrograd.app.cli.surroundings import settle

    settle()
    contestant = build()
    begin, worked = time.perf_counter(), time.process_time()
    contestant.losses(1)
    print([time.perf_counter() - begin, time.process_time() - worked])


def table(results: Results, contestants: Sequence[str]) -> str:
    """Return milliseconds a step, how many times as long as the first contestant that is, and MB of temporaries."""
    ours = contestants[0]
    lines = ["| workload | " + " | ".join(contestants) + " |", "|" + " --- |" * (1 + len(contestants))]
    for workload, figures in results.items():
        cells = []
        for name in contestants:
            if name not in figures:
                cells.append("-")
                continue
            cell = f"{1e3 * figures[name]['seconds']:.4g}"
            cell += "" if name == ours else f" ({figures[name]['seconds'] / figures[ours]['seconds']:.2f}x)"
            nbytes = figures[name].get("temporary_bytes")
            cells.append(cell if nbytes is None else f"{cell}, {nbytes / 1e6:.3g} MB")
        lines.append(f"| {workload} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(script: str, workloads: Sequence[str], contestants: Sequence[str], build: Build) -> None:
    """Run what the command line asks for, print the table, and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workload", action="append", choices=list(workloads))
    parser.add_argument("--contestant", action="append", choices=list(contestants))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--one-core", action="store_true", help="measure processor time on a single core")
    parser.add_argument("--check", action="store_true", help="compare the first losses instead of the time")
    parser.add_argument("--compile", action="store_true", help="measure the first step instead, compiled and cached")
    parser.add_argument("--json", type=Path, help="write the figures to this file, over those of these workloads")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve-first", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen, entered = options.workload or list(workloads), options.contestant or list(contestants)
    if options.serve or options.serve_first:
        make = functools.partial(build, entered[0], chosen[0])
        serve(make, options.one_core) if options.serve else serve_first(make)
        return
    if options.check:
        agreed = [check(script, workload, entered) for workload in chosen]
        sys.exit(not all(agreed))
    if options.compile:
        for workload in chosen:
            first, second = compile_seconds(script, workload, entered[0])
            times = (f"{wall:.2f} s ({processor:.2f} of processor time)" for wall, processor in (first, second))
            print(f"{workload}: first step compiled in {', from the cache in '.join(times)}", flush=True)
        return
    results: Results = {}
    for workload in chosen:
        results[workload] = race(script, workload, entered, options.rounds, options.one_core)
        print(table({workload: results[workload]}, entered).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(results, entered))
    if options.json:
        before = json.loads(options.json.read_text(encoding="utf-8")) if options.json.is_file() else {}
        facts = {"machine": platform.machine(), "python": platform.python_version()}
        what = "one core" if options.one_core else "all cores"
        facts |= {key: before[key] for key in ("one core", "all cores") if key in before}
        facts[what] = {**before.get(what, {}), **results}
        options.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
