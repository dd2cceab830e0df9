"""Half of the channels of trained examples: pruned, pruned and retrained, and the small network from scratch.

    python benchmarks/bench_prune.py [--network NAME] [--seeds N] [--by taylor|magnitude] [--epochs SHARE] [--json FILE]

Each example is trained with N seeds (5) and pruned with `--keep 50%`; a figure is the mean over the seeds of the metric
on the test part, in percent. `--epochs`: of the retraining, as a share of the example's own (1).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
from pathlib import Path
from typing import Any

import retrograd as rg
from retrograd.ship.pruning.prune import prune_run

EXAMPLES = Path(__file__).parent.parent / "examples"
NETWORKS = ("digits_cnn", "digits_resnet", "waves_lstm", "demand_gru")
KEEP, ENOUGH, ALLOWED = 0.5, 3.5, 0.5  # share of the channels; times fewer weights; percent that may be lost


def pruned(name: str, seed: int, by: Any, share: float) -> dict[str, Any]:
    """Return the metric, in percent, and the weights of each line of the comparison."""
    config = rg.read_config(EXAMPLES / f"{name}.yaml", [f"training.seed={seed}"])
    epochs = max(1, round(share * config.training.epochs))
    with tempfile.TemporaryDirectory() as folder:
        made = prune_run(rg.train(config, root=folder), KEEP, by=by, epochs=epochs, runs=folder)
    scores = {line.name: 100 * line.scores[made.metric] for line in made.lines}
    return {"metric": made.metric, "rows": made.rows, "scores": scores, "weights": [w.weights for w in made.lines[:2]]}


def summary(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means and standard deviations over the seeds."""
    lines = {name: [seed["scores"][name] for seed in seeds] for name in seeds[0]["scores"]}
    before, after = seeds[0]["weights"]
    return {
        "metric": seeds[0]["metric"], "rows": seeds[0]["rows"], "seeds": len(seeds), "weights": [before, after],
        "times fewer weights": before / after,
        "lost": statistics.mean(lines["before"]) - statistics.mean(lines["pruned, retrained"]),
        "mean": {name: statistics.mean(values) for name, values in lines.items()},
        "deviation": {name: statistics.stdev(values) if len(values) > 1 else 0.0 for name, values in lines.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, help="measure this one alone")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--by", choices=("taylor", "magnitude"), default="taylor")
    parser.add_argument("--epochs", type=float, default=1.0, metavar="SHARE", help="of the example's own, to retrain")
    parser.add_argument("--json", type=Path, help="write the figures there")
    arguments = parser.parse_args()
    results = {}
    print("example        metric    weights          times  before  pruned  retrained  scratch   lost")
    for name in [arguments.network] if arguments.network else NETWORKS:
        figures = summary([pruned(name, seed, arguments.by, arguments.epochs) for seed in range(arguments.seeds)])
        results[name], mean = figures, figures["mean"]
        holds = figures["times fewer weights"] >= ENOUGH and figures["lost"] <= ALLOWED
        print(f"{name:14} {figures['metric']:9} {figures['weights'][0]:6} -> {figures['weights'][1]:6}"
              f"  {figures['times fewer weights']:5.2f}  {mean['before']:6.2f}  {mean['pruned']:6.2f}"
              f"  {mean['pruned, retrained']:9.2f}  {mean['from scratch']:7.2f}  {figures['lost']:5.2f}"
              f"{'' if holds else '  missed'}", flush=True)  # fmt: skip
        if arguments.json:  # after each, so that an interrupted run is not lost
            machine = {"cores": os.cpu_count(), "processor": platform.machine()}
            about = {"machine": machine, "keep": KEEP, "by": arguments.by, "epochs": arguments.epochs}
            arguments.json.write_text(json.dumps({**about, "networks": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
