"""`retrograd prune`: removes the least important units, channels and heads of a trained network."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from retrograd.app.cli.options import Json, ModelName, OwnLayers, RunsRoot, at_least, command_of, share_of
from retrograd.app.cli.progress import Progress
from retrograd.app.cli.surroundings import settle
from retrograd.present.numbers import aligned, number, size
from retrograd.present.tables import table
from retrograd.present.text import filled
from retrograd.present.wording import some_of
from retrograd.record.strict_json import write_json
from retrograd.ship.pruning.prune import Pruned, check, prune_run, refusal
from retrograd.ship.pruning.surgery import Left
from retrograd.training.loop.loop import Watcher

MOST_LINES, MOST_REASONS = 24, 4  # layers listed: pruned, and unchanged


def prune(
    run: ModelName,
    keep: Annotated[
        float, typer.Option(metavar="SHARE", parser=share_of, help="share of each layer to keep, such as 50%")
    ],
    by: Annotated[
        Literal["taylor", "magnitude"],
        typer.Option(help="criterion: least influence on the loss, or smallest weights"),
    ] = "taylor",
    epochs: Annotated[
        int | None,
        typer.Option(
            parser=at_least(1), metavar="N", help="epochs of fine-tuning after pruning [default: as in the run]"
        ),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            parser=share_of,
            help="discard the result if the score drops by more than this, such as 0.5%",
        ),
    ] = None,
    no_scratch: Annotated[
        bool, typer.Option("--no-scratch", help="do not train the pruned network from scratch for comparison")
    ] = False,
    runs: RunsRoot = Path("runs"),
    layers: OwnLayers = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="show no progress")] = False,
    as_json: Json = False,
) -> None:
    """Remove units, channels and heads from a trained network, then fine-tune the rest.

    The result is a smaller network with its own configuration, in a new run
    folder. For comparison, the same network is also trained from scratch.
    """
    check(keep, by, epochs, max_drop)
    settle(layers)

    @contextlib.contextmanager
    def watch(what: str, epochs: int) -> Iterator[Watcher]:
        if not quiet:
            print(f"{what}:", file=sys.stderr)
        with Progress(epochs, quiet) as progress:
            yield progress

    pruned = prune_run(run, keep, by=by, epochs=epochs, max_drop=max_drop, runs=runs, scratch=not no_scratch,
                       watch=watch)  # fmt: skip
    typer.echo(write_json(plain(pruned)) if as_json else words(pruned, max_drop))
    if pruned.run is None:
        raise refusal(pruned, max_drop or 0.0)


def plain(pruned: Pruned) -> dict[str, Any]:
    """Return the JSON output of pruning."""
    lines = [
        {"network": line.name, "weights": line.weights, "bytes": line.bytes, **line.scores} for line in pruned.lines
    ]
    layers = [{"node": line.node, "setting": line.setting, "before": line.before, "after": line.after,
               "reason": line.reason} for line in pruned.left]  # fmt: skip
    return {"run": str(pruned.run.folder) if pruned.run else None, "part": pruned.part, "rows": pruned.rows,
            "metric": pruned.metric, "drop": pruned.drop, "difference": pruned.difference, "networks": lines,
            "layers": layers}  # fmt: skip


def words(pruned: Pruned, max_drop: float | None = None) -> str:
    """Return the lines to print after pruning."""
    return "\n\n".join(
        ["\n".join(layer_lines(pruned.left)), comparison(pruned), "\n".join(map(filled, remarks(pruned, max_drop)))]
    )


def layer_lines(left: Sequence[Left]) -> Iterator[str]:
    """Yield one line per pruned layer, then the layers that stay as they are, with the reason."""
    smaller = [layer for layer in left if layer.before != layer.after]
    rows = [[layer.node, f"{layer.before:,}", "->", f"{layer.after:,}", layer.setting] for layer in smaller]
    yield table(rows[:MOST_LINES])
    if len(rows) > MOST_LINES:
        yield f"... and {len(rows) - MOST_LINES} more"
    whole = [f"{layer.node} {layer.setting} ({layer.reason})" for layer in left if layer.reason]
    if whole:
        yield filled(some_of(whole, MOST_REASONS), "unchanged: ", 11)


def comparison(pruned: Pruned) -> str:
    """Return a table that compares the networks."""
    names = list(dict.fromkeys([pruned.metric, "loss"]))
    columns = [aligned([line.scores.get(name) for line in pruned.lines]) for name in names]
    rows = [[f"on the {pruned.part} part", *names, "weights", "size"]]
    rows += [
        [line.name, *(column[i] for column in columns), f"{line.weights:,}", size(line.bytes)]
        for i, line in enumerate(pruned.lines)
    ]
    return table(rows)


def remarks(pruned: Pruned, max_drop: float | None) -> Iterator[str]:
    """Yield the sentences that summarise the comparison."""
    before, after = pruned.lines[0], pruned.lines[2]
    change = "drops" if pruned.drop > 0 else "rises"
    change = f"{change} by {100 * abs(pruned.drop):.2f} %" if pruned.drop else "is unchanged"
    if pruned.metric == "loss" and pruned.drop:
        change = f"is {100 * abs(pruned.drop):.2f} % {'larger' if pruned.drop > 0 else 'smaller'}"
    yield f"{number(before.weights / after.weights, 3)} times fewer weights; {pruned.metric} {change}"
    if max_drop is not None and pruned.metric == "accuracy" and pruned.rows * max_drop < 1:
        yield f"one of {pruned.rows:,} rows is {100 / pruned.rows:.2f} %: too few to measure {100 * max_drop:g} %"
    if pruned.difference is None:
        yield "a norm over channels now has fewer of them: only training shows the effect"
    else:
        within = f"within {pruned.difference:.1e}" if pruned.difference else "bit for bit"
        yield f"before fine-tuning it equals the full network with the removed parts set to zero, {within}"
    if pruned.run is not None:
        yield f"run folder: {pruned.run.folder}"


command = command_of(prune)
