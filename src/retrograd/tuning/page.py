"""The pages of a study, a sweep of rates and a comparison: one file each, without scripts."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from retrograd.present.markup import Markup, element, joined, table
from retrograd.present.numbers import number
from retrograd.present.page import page
from retrograd.report.scale import PLACES, Scale, labels, scale_for
from retrograd.training.config.search import Range
from retrograd.training.loop.stop import falls
from retrograd.tuning.importance import importance
from retrograd.tuning.optimizers import Comparison
from retrograd.tuning.proposals import short, shown
from retrograd.tuning.rate import Sweep
from retrograd.tuning.study import Study
from retrograd.tuning.verdict import Tried

MOST_ROWS = 30
SHOWN_SHARE = 0.9  # best share of the scores drawn: a few terrible scores would flatten all others
COLOURS = ("forward", "backward", "s1", "loss", "update", "s0")  # names in the theme
STYLE = """
main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
th, td { padding: .22rem 1.2rem .22rem 0; white-space: nowrap }
thead th { color: var(--soft); border-bottom: 1px solid var(--line) }
.figure { display: grid; grid-template: 1fr 1.4rem / 4rem 1fr; height: 16rem; margin: 1rem 0 2rem }
.figure svg { width: 100%; height: 100%; grid-area: 1 / 2; border-left: 1px solid; border-bottom: 1px solid }
.left { position: relative; grid-area: 1 / 1; font-size: .75rem; text-align: right }
.left span { position: absolute; right: .4rem; transform: translateY(-50%) }
.below { position: relative; grid-area: 2 / 2; font-size: .75rem }
.below span { position: absolute; transform: translateX(-50%) }
.lines polyline, .curve { fill: none; stroke: currentColor; vector-effect: non-scaling-stroke }
.lines polyline { opacity: .25 }
.lines polyline.best { stroke: var(--forward); opacity: 1; stroke-width: 3 }
.curve { stroke-width: 2 }
.legend span { margin-right: 1.4rem }
.legend i { display: inline-block; width: 1.4rem; height: .2rem; margin-right: .4rem; vertical-align: middle }
.dot { fill: none; stroke: currentColor; stroke-width: 9; stroke-linecap: round; opacity: .45 }
.dot { vector-effect: non-scaling-stroke }
.dot.best { stroke: var(--forward); stroke-width: 14; opacity: 1 }
.axes { display: flex; justify-content: space-between; font-size: .75rem; margin: -3rem 0 2rem 4rem }
"""


def study_page(study: Study) -> str:
    """Return the page of a study: the verdict, the trials, and a plot of the effect of each setting."""
    name = study.folder.name
    sentence = study.verdict.sentence if study.verdict else "no trial was finished"
    notes = [element("li", note) for note in (*study.notes, *study.failed[:MOST_ROWS])]
    body = element(
        "main",
        element("h1", f"Study {name}"),
        element("p", sentence),
        *([element("ul", *notes)] if notes else []),
        _winner(study),
        _tried(study),
        *(_settings(path, values, study) for path, values in study.search.ranges),
        _parallel(study),
        _rungs(study),
        _importance(study),
    )
    return page(f"{name}: tuning study", STYLE, body)


def rate_page(name: str, sweep: Sweep) -> str:
    """Return the page of a sweep: loss over learning rate."""
    points = [(trial.rate, trial.loss, trial.rate == sweep.best) for trial in sweep.tried]
    rows = [[number(trial.rate, 3), number(trial.loss, 4), f"{trial.epochs:,}"] for trial in sweep.tried]
    body = element(
        "main",
        element("h1", f"Learning rates for {name}, {sweep.optimizer}"),
        element("p", f"learning rate {number(sweep.best, 6)}: {sweep.why}"),
        scatter(points, True, "lowest loss by learning rate"),
        table("rates", ["learning rate", "lowest loss", "epochs"], rows),
    )
    return page(f"{name}: learning rates", STYLE, body)


def comparison_page(name: str, comparison: Comparison) -> str:
    """Return the page of a comparison: the table, and the loss of each optimizer by epoch."""
    body = element(
        "main",
        element("h1", f"Optimizers on {name}"),
        element("p", comparison.sentence),
        table("optimizers", list(HEAD), [list(row) for row in comparison_rows(comparison)]),
        _curves([(row.name, row.curve) for row in comparison.rows if row.curve]),
    )
    return page(f"{name}: optimizers", STYLE, body)


HEAD = ("optimizer", "rate", "lowest loss", "±", "halfway in epoch")


def comparison_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the cells of the table of a comparison."""
    return [
        (row.name, number(row.rate, 3), number(row.mean, 4), number(row.spread, 2),
         "-" if row.half_way is None else str(row.half_way))
        for row in comparison.rows
    ]  # fmt: skip


def scatter(
    points: Sequence[tuple[float, float, bool]], is_logarithmic: bool, what: str, is_falling: bool = True,
    names: Sequence[str] = (),
) -> Markup:  # fmt: skip
    """Return a plot of points (position, score, whether it is the best), without those with a non-finite score.

    `what` names the score; `is_falling` means that lower is better. `names` label the positions 0, 1, ...
    """
    finite = [point for point in points if math.isfinite(point[1])]
    across = scale_for([*(point[0] for point in points), *range(len(names))], is_logarithmic)
    up = scale_for(_without_disasters([point[1] for point in finite], is_falling), True)
    if across is None or up is None:
        return element("p", "no finite score", class_="soft")
    best_last = sorted((point for point in finite if _is_on(up, point[1])), key=lambda point: point[2])
    dots = [
        element("path", d=f"M{across.place(x)} {PLACES - up.place(y)}h0", class_="dot best" if is_best else "dot")
        for x, y, is_best in best_last
    ]
    return figure(joined(dots), across, up, what, names)


def figure(inner: Markup, across: Scale, up: Scale, what: str, names: Sequence[str] = ()) -> Markup:
    """Return a plot with a heading, and numbers or names along its axes."""
    ticks = list(enumerate(names)) if names else [(tick, number(tick, 3)) for tick in across.ticks()]
    below = [element("span", label, style=f"left:{across.place(tick) / 10:g}%") for tick, label in ticks]
    drawing = element(
        "div",
        element("div", *labels(up, "top", up.ticks()), class_="left"),
        element("svg", inner, viewBox=f"0 0 {PLACES} {PLACES}", preserveAspectRatio="none", role="img"),
        element("div", *below, class_="below"),
        class_="figure",
    )
    return joined([element("p", what, class_="soft"), drawing])


def _curves(curves: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """Draw losses by epoch, each in its colour, with a legend."""
    up = scale_for([loss for _, curve in curves for loss in curve], True)
    across = scale_for([1, max([2, *(len(curve) for _, curve in curves)])])
    if up is None or across is None:
        return element("p", "no finite loss", class_="soft")
    lines, names = [], []
    for (name, curve), colour in zip(curves, itertools.cycle(COLOURS)):
        shown = [(epoch, loss) for epoch, loss in enumerate(curve, 1) if _is_on(up, loss)]
        points = " ".join(f"{across.place(epoch)},{PLACES - up.place(loss)}" for epoch, loss in shown)
        lines.append(element("polyline", points=points, class_="curve", style=f"stroke:var(--{colour})"))
        names.append(element("span", element("i", style=f"background:var(--{colour})"), name))
    return joined([figure(joined(lines), across, up, "loss by epoch"), element("p", *names, class_="legend")])


def _winner(study: Study) -> Markup:
    if study.verdict is None:
        return Markup("")
    rows = [[path, str(value)] for path, value in study.verdict.winner.values]
    return joined([element("h2", "The winner"), table("settings of the winner", ["setting", "value"], rows)])


def _tried(study: Study) -> Markup:
    rows = [tried_row(trial) for trial in study.tried[:MOST_ROWS]]
    return joined([element("h2", "Trials"), table("trials", tried_head(study), rows)])


def tried_head(study: Study) -> list[str]:
    """Return the headings of the table of trials; settings appear as the last part of their path."""
    return ["", *(short(path) for path, _ in study.search.ranges), "epochs", "seeds", study.search.options.metric]


def tried_row(tried: Tried) -> list[str]:
    """Return the cells of one trial."""
    values = (shown(value) for _, value in tried.values)
    return [f"{tried.number}", *values, str(tried.epochs), str(len(tried.costs)), number(tried.score, 4)]


def _settings(path: str, values: Range, study: Study) -> Markup:
    first = study.tried[0].number if study.tried else -1
    points = [(_place(values, dict(trial.values)[path]), trial.score, trial.number == first) for trial in study.tried]
    names = [shown(value) for value in values.values] if values.kind == "choice" else []
    metric = study.search.options.metric
    drawing = scatter(points, values.kind == "log", f"{metric} by {short(path)}", falls(metric), names)
    return joined([element("h2", path), drawing])


def _place(values: Range, value: Any) -> float:
    return float(values.values.index(value)) if values.kind == "choice" else float(value)


def _parallel(study: Study) -> Markup:
    """Draw each trial as a line over the settings and the score, the winner on top."""
    if len(study.tried) < 2 or not study.search.ranges:
        return Markup("")
    axes = []
    for path, values in study.search.ranges:
        places = [_place(values, dict(trial.values)[path]) for trial in study.tried]
        axes.append((places, scale_for(places, values.kind == "log")))
    scores, is_falling = [trial.score for trial in study.tried], falls(study.search.options.metric)
    axes.append((scores, scale_for(_without_disasters(scores, is_falling), True)))
    lines = []
    for i in reversed(range(len(study.tried))):
        points = []
        for j, (places, scale) in enumerate(axes):
            height = scale.place(places[i]) if scale and _is_on(scale, places[i]) else PLACES * is_falling
            points.append(f"{round(PLACES * j / (len(axes) - 1))},{PLACES - height}")
        lines.append(element("polyline", points=" ".join(points), class_="best" if i == 0 else None))
    drawing = element(
        "svg", *lines, viewBox=f"0 0 {PLACES} {PLACES}", preserveAspectRatio="none", class_="lines", role="img"
    )
    titles = [*(short(path) for path, _ in study.search.ranges), study.search.options.metric]
    names = [element("span", title) for title in titles]
    return joined([
        element("h2", "All settings together"),
        element("div", drawing, class_="figure"),
        element("div", *names, class_="axes"),
    ])  # fmt: skip


def _rungs(study: Study) -> Markup:
    by_epochs = Counter(trial.epochs for trial in study.tried)
    if len(by_epochs) < 2:
        return Markup("")
    rows = [[str(epochs), str(count)] for epochs, count in sorted(by_epochs.items())]
    caption = "The number of settings by the epochs that they reached: of those tried briefly, only the best went on."
    return joined([
        element("h2", "Rungs"),
        element("p", caption, class_="soft"),
        table("rungs", ["epochs", "settings"], rows),
    ])  # fmt: skip


def _importance(study: Study) -> Markup:
    shares = importance(study)
    if not shares:
        return Markup("")
    rows = [[path, f"{share:.0%}"] for path, share in shares]
    caption = "The share of the variance of ranked scores that each setting explains alone."
    return joined(
        [
            element("h2", "Importance"),
            element("p", caption, class_="soft"),
            table("importance", ["setting", "share"], rows),
        ]
    )


def _without_disasters(values: Sequence[float], is_falling: bool) -> list[float]:
    best_first = sorted((value for value in values if math.isfinite(value)), reverse=not is_falling)
    return best_first[: max(2, math.ceil(SHOWN_SHARE * len(best_first)))]


def _is_on(scale: Scale, value: float) -> bool:
    return (value > 0 or not scale.logarithmic) and math.isfinite(value) and 0 <= scale.place(value) <= PLACES
