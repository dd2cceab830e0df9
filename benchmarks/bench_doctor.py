"""How well recorded faulty programs are detected, explained and repaired.

    python benchmarks/bench_doctor.py CASES [--only TEXT] [--json FILE] [--jobs N] [--baseline] [--detect]

CASES is a folder with `cases/*.json` and `make_data.py`. A program's held-out rows are never shown to the repair:
it validates on a part of the training rows; where these are too few, the program's own held-out rows have to do. The
repaired configuration is then trained with 5 fresh seeds as the program was, and measured on the held-out rows.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jax
import recorded

from retrograd.base import allocator
from retrograd.base.schema import dump
from retrograd.diagnosis.diagnose import Diagnosis, examine
from retrograd.diagnosis.judgement.score import FAILED
from retrograd.diagnosis.observe import observe
from retrograd.diagnosis.program import Program
from retrograd.repairs.random_search import random_search
from retrograd.repairs.repair import treat
from retrograd.training.config.config import RunConfig

SEEDS, FRESH = 5, 100  # a fresh seed is one that no trial has used
TIMES = 10  # the updates of the longer of faulty and fixed training


def main() -> None:
    """Run the records, print a line for each and the totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--jobs", type=int, default=1, help="so many processes, a record each")
    parser.add_argument("--detect", action="store_true", help="diagnose, do not repair")
    parser.add_argument("--baseline", action="store_true", help="random search with the same updates beside it")
    options = parser.parse_args()
    paths = [path for path in sorted((options.cases / "cases").glob("*.json")) if chosen(path, options.only)]
    results = []
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), settle) as pool:
        measuring = functools.partial(measured, repairs=not options.detect, baseline=options.baseline)
        for result in pool.map(measuring, paths):
            results.append(result)
            print(line(result), flush=True)
            if options.json:
                options.json.write_text(json.dumps({"totals": totals(results), "programs": results}, indent=1) + "\n")
    for name, value in totals(results).items():
        print(f"{name:44s} {value}")


def settle() -> None:
    """Prepare a process that measures programs one after the other."""
    warnings.simplefilter("ignore")
    allocator.tune()


def chosen(path: Path, only: list[str]) -> bool:
    """Return whether a record is wanted."""
    return not only or any(text in path.name for text in only)


def measured(path: Path, repairs: bool, baseline: bool) -> dict[str, Any]:
    """Return what was found in one record and how long it took, or why no configuration expresses it.

    A record that goes wrong is counted, and the others are measured: a table that ends early says less.
    """
    begun = time.perf_counter()
    try:
        program = recorded.read(path, recorded.maker(path.parents[1]))
        result = measure(program, repairs, baseline)
    except Exception as error:  # whatever it is, it is told and counted
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        result = {"id": path.stem, "contrast": "", "left_out": reason}
    jax.clear_caches()  # a hundred compiled programs fill the memory
    return {**result, "seconds": time.perf_counter() - begun}


def measure(program: recorded.Recorded, repairs: bool, baseline: bool) -> dict[str, Any]:
    """Return what was found in one program, and what its repair is worth on rows and seeds that it has not seen."""
    diagnosis = examine(Program(program.config, program.dataset()), SEEDS)
    expected = program.record["expected"]
    codes = [finding.code for finding in diagnosis.causes]
    result: dict[str, Any] = {
        "id": program.record["id"],
        "contrast": program.contrast,
        "verdict": diagnosis.verdict.state,
        "sentence": diagnosis.verdict.sentence,
        "causes": codes,
        "accepted": expected["causes"],
        "named": bool(codes) and codes[0] in expected["causes"],
    }
    if repairs and diagnosis.ill:
        result |= repaired(program, diagnosis, baseline)
    return result


def repaired(program: recorded.Recorded, diagnosis: Diagnosis, baseline: bool) -> dict[str, Any]:
    """Repair a program without its held-out rows and measure the result on them."""
    updates = TIMES * _longer(program, diagnosis)
    shown = Program(program.config, program.seen())
    own = examine(shown, 2, frugal=True)  # every update that is spent is to be counted
    repair = treat(own, lambda settings: program.seen(_settings(program, settings)), updates, 3)
    start, after = fresh(program, program.config), fresh(program, repair.config)
    record = {
        "remedies": list(repair.best.remedies) if repair.best else [],
        "updates": repair.search.budget.spent if repair.search else 0,
        "allowed": updates,
        "before": start,
        "after": after,
        **_judged(program, start, after),
    }
    if baseline and repair.search:
        chosen = random_search(own, lambda settings: program.seen(_settings(program, settings)), updates)
        score = fresh(program, chosen)
        record |= {"random": score, "random_verified": _judged(program, start, score)["verified"]}
    return record


def fresh(program: recorded.Recorded, config: RunConfig) -> list[float]:
    """Return held-out scores of a configuration, trained as the program was, with fresh seeds."""
    changed = dump(config.data, filled=False) if config.data else {}
    prepared = Program(config, program.dataset(changed if isinstance(changed, dict) else {}))
    if prepared.prepared is None:
        return [FAILED] * SEEDS
    runs = prepared.runs
    seen = [observe(prepared.prepared, runs.scorer, runs.stepper, seed=FRESH + i) for i in range(SEEDS)]
    return [FAILED if run.broken else run.score for run in seen]


def _judged(program: recorded.Recorded, before: list[float], after: list[float]) -> dict[str, Any]:
    """verified: at least half of the gain of the recorded fix, in 4 of 5 seeds. worse: below the start."""
    measured = program.record["measured"]
    faulty, fixed = _scores(measured.get("buggy")), _scores(measured.get("fixed"))
    mean = statistics.mean(before)
    gain = statistics.mean(fixed) - statistics.mean(faulty) if fixed and faulty else 0.0
    reached = sum(score >= mean + gain / 2 for score in after)
    return {
        "gain_of_the_fix": gain,
        "verified": gain > 0 and reached >= 4,
        "worse": statistics.mean(after) < mean - 0.02,
    }


def _scores(part: Any) -> list[float]:
    return [FAILED if value is None else max(FAILED, value) for value in part["val"]] if part else []


def _longer(program: recorded.Recorded, diagnosis: Diagnosis) -> int:
    steps = diagnosis.program.prepared.steps if diagnosis.program.prepared else 1
    measured = program.record["measured"]
    known = [(measured.get(part) or {}).get("updates") or 0 for part in ("buggy", "fixed")]
    return max(steps, *known)


def _settings(program: recorded.Recorded, settings: Any) -> dict[str, Any]:
    changed = dump(settings, filled=False)
    return {**program.settings, **(changed if isinstance(changed, dict) else {})}


def line(result: dict[str, Any]) -> str:
    """Return one line of the table."""
    if "left_out" in result:
        return f"{result['id'][:30]:30s} left out: {result['left_out'][:80]}"
    text = f"{result['id'][:30]:30s} {result['contrast'][:9]:9s} {result['verdict']:8s} "
    text += f"{'named' if result['named'] else '-':6s} {','.join(result['causes'][:4]):16s}"
    if "after" in result:
        b, a = statistics.mean(result["before"]), statistics.mean(result["after"])
        text += f" {b:6.2f} -> {a:5.2f} {'verified' if result['verified'] else 'NOT':8s} "
        text += f"{result['updates'] / max(result['allowed'], 1):4.0%} {','.join(result['remedies'])}"
        text += f" random {statistics.mean(result['random']):.2f}" if "random" in result else ""
    return text + f" {result['seconds']:.0f}s"


def totals(results: list[dict[str, Any]]) -> dict[str, str]:
    """Return the figures that matter, each as a count of how many."""
    out = [result for result in results if "left_out" in result]
    everything, results = results, [result for result in results if "left_out" not in result]
    strong = [r for r in results if r["contrast"] == "strong"]
    quiet = [r for r in results if r["contrast"] in ("control", "none")]
    ill = [r for r in strong if r["verdict"] != "healthy"]
    tried = [r for r in strong if "verified" in r]
    counts = {
        "strong faults detected": (ill, strong),
        "alarms on controls and without contrast": ([r for r in quiet if r["verdict"] != "healthy"], quiet),
        "first cause in the accepted set": ([r for r in ill if r["named"]], ill),
        "repairs verified": ([r for r in tried if r["verified"]], strong),
        "worse than the start": ([r for r in results if r.get("worse")], tried),
        "over the budget": ([r for r in results if r.get("updates", 0) > r.get("allowed", 0) > 0], tried),
        "left out": (out, everything),
        "random search verified": ([r for r in tried if r.get("random_verified")], [r for r in tried if "random" in r]),
    }
    return {name: f"{len(some)} of {len(all_)}" for name, (some, all_) in counts.items()}


if __name__ == "__main__":
    main()
