"""Pages of a study, a sweep of rates and a comparison: one file each, drawn without scripts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from retrograd.present.markup import Markup, element, joined, table, void
from retrograd.present.numbers import number
from retrograd.present.page import page
from retrograd.report.scale import PLACES, Scale, labels, scale_for
from retrograd.training.config.search import Range
from retrograd.training.loop.stop import falls
from retrograd.tuning.importance import importance
from retrograd.tuning.optimizers import Comparison
from retrograd.tuning.proposals import short, shown
from retrograd.tuning.rate import Sweep
from retrograd.tuning.study import Study, Tried

MOST_ROWS = 30
SHOWN_SHARE = 0.9  # of the scores, the better ones, which a picture holds: a few disasters would flatten all others
STYLE = """
main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
.figure { display: grid; grid-template: 1fr 1.4rem / 4rem 1fr; height: 16rem; margin: 1rem 0 2rem }
.figure svg { width: 100%; height: 100%; grid-area: 1 / 2; border-left: 1px solid; border-bottom: 1px solid }
.left { position: relative; grid-area: 1 / 1; font-size: .75rem; text-align: right }
.left span { position: absolute; right: .4rem; transform: translateY(-50%) }
.below { position: relative; grid-area: 2 / 2; font-size: .75rem }
.below span { position: absolute; transform: translateX(-50%) }
.lines polyline, .curve { fill: none; stroke: currentColor; opacity: .25; vector-effect: non-scaling-stroke }
.lines polyline.best, .curve.best { stroke: var(--forward); opacity: 1; stroke-width: 3 }
circle { fill: currentColor; opacity: .55 } circle.best { fill: var(--forward); opacity: 1 }
.axes { display: flex; justify-content: space-between; font-size: .75rem }
"""


def study_page(study: Study) -> str:
    """Return the page of a study: the verdict, what was tried, and pictures of what each setting does."""
    name = study.folder.name
    sentence = study.verdict.sentence if study.verdict else "no trial was finished"
    said = [element("li", words) for words in (*study.notes, *study.failed[:MOST_ROWS])]
    body = element(
        "main",
        element("h1", f"Study {name}"),
        element("p", sentence),
        *([element("ul", *said)] if said else []),
        _winner(study),
        _tried(study),
        *(_settings(path, values, study) for path, values in study.search.ranges),
        _parallel(study),
        _rungs(study),
        _importance(study),
    )
    return page(f"{name}: what was tried", STYLE, body)


def rate_page(name: str, sweep: Sweep) -> str:
    """Return the page of a sweep: loss over learning rate."""
    points = [(each.rate, each.loss, each.rate == sweep.best) for each in sweep.tried]
    rows = [[number(each.rate, 3), number(each.loss, 4), str(each.epochs)] for each in sweep.tried]
    body = element(
        "main",
        element("h1", f"Learning rates of {name}, {sweep.optimizer}"),
        element("p", sweep.why),
        scatter(points, is_logarithmic=True),
        table("rates", ["learning rate", "lowest loss", "epochs"], rows),
    )
    return page(f"{name}: learning rates", STYLE, body)


def comparison_page(name: str, found: Comparison) -> str:
    """Return the page of a comparison: the table, and the loss of each optimizer by epoch."""
    values = [loss for row in found.rows for loss in row.curve]
    body = element(
        "main",
        element("h1", f"Optimizers on {name}"),
        element("p", found.sentence),
        table("optimizers", list(HEAD), [list(row) for row in comparison_rows(found)]),
        *(_curve(row.name, row.curve, values) for row in found.rows if row.curve),
    )
    return page(f"{name}: optimizers", STYLE, body)


HEAD = ("optimizer", "rate", "lowest loss", "±", "half-way in epoch")


def comparison_rows(found: Comparison) -> list[tuple[str, ...]]:
    """Return the cells of a comparison's table."""
    return [
        (row.name, number(row.rate, 3), number(row.mean, 4), number(row.spread, 2),
         "-" if row.half_way is None else str(row.half_way))
        for row in found.rows
    ]  # fmt: skip


def scatter(points: Sequence[tuple[float, float, bool]], is_logarithmic: bool, is_falling: bool = True) -> Markup:
    """Return a drawing of points (place, score, whether it is the best), those without a finite score left out.

    `is_falling` where a lower score is better.
    """
    finite = [point for point in points if math.isfinite(point[1])]
    across = scale_for([point[0] for point in points], is_logarithmic)
    up = scale_for(_without_disasters([point[1] for point in finite], is_falling), True)
    if across is None or up is None:
        return element("p", "no finite score", class_="soft")
    ends = [point for point in finite if _is_on(up, point[1])]
    circles = [
        void(
            "circle",
            cx=across.place(x),
            cy=PLACES - up.place(y),
            r=14 if is_best else 9,
            class_="best" if is_best else None,
        )
        for x, y, is_best in ends
    ]
    return figure(joined(circles), across, up)


def figure(inner: Markup, across: Scale, up: Scale) -> Markup:
    """Return a drawing with the numbers beside its axes."""
    below = [element("span", number(tick, 3), style=f"left:{across.place(tick) / 10:g}%") for tick in across.ticks()]
    return element(
        "div",
        element("div", *labels(up, "top", up.ticks()), class_="left"),
        element("svg", inner, viewBox=f"0 0 {PLACES} {PLACES}", preserveAspectRatio="none", role="img"),
        element("div", *below, class_="below"),
        class_="figure",
    )


def _curve(name: str, curve: Sequence[float], values: Sequence[float]) -> Markup:
    up, across = scale_for(values, True), scale_for([1, max(len(curve), 2)])
    assert up is not None
    assert across is not None
    points = " ".join(
        f"{across.place(i)},{PLACES - up.place(loss)}"
        for i, loss in enumerate(curve, 1)
        if loss > 0 or not up.logarithmic
    )
    return joined([element("h3", name), figure(void("polyline", points=points, class_="curve best"), across, up)])


def _winner(study: Study) -> Markup:
    if study.verdict is None:
        return Markup("")
    rows = [[path, str(value)] for path, value in study.verdict.winner.values]
    return joined([element("h2", "The winner"), table("settings of the winner", ["setting", "value"], rows)])


def _tried(study: Study) -> Markup:
    rows = [tried_row(each) for each in study.tried[:MOST_ROWS]]
    return joined([element("h2", "What was tried"), table("trials", tried_head(study), rows)])


def tried_head(study: Study) -> list[str]:
    """Return the heading of the table of trials: settings by the last parts of their paths."""
    return ["", *(short(path) for path, _ in study.search.ranges), "epochs", study.search.options.metric]


def tried_row(tried: Tried) -> list[str]:
    """Return the cells of one trial."""
    return [f"{tried.number}", *(shown(value) for _, value in tried.values), str(tried.epochs), number(tried.score, 4)]


def _settings(path: str, values: Range, study: Study) -> Markup:
    first = study.tried[0].number if study.tried else -1
    points = [(_place(values, dict(each.values)[path]), each.score, each.number == first) for each in study.tried]
    words = f"{path}: {', '.join(map(shown, values.values))}" if values.kind == "choice" else path
    return joined([element("h2", words), scatter(points, values.kind == "log", falls(study.search.options.metric))])


def _place(values: Range, value: Any) -> float:
    return float(values.values.index(value)) if values.kind == "choice" else float(value)


def _parallel(study: Study) -> Markup:
    """Draw each trial as a line over the settings and the score, the winner's on top."""
    if len(study.tried) < 2 or not study.search.ranges:
        return Markup("")
    axes = []
    for path, values in study.search.ranges:
        places = [_place(values, dict(each.values)[path]) for each in study.tried]
        axes.append((places, scale_for(places, values.kind == "log")))
    scores, is_falling = [each.score for each in study.tried], falls(study.search.options.metric)
    axes.append((scores, scale_for(_without_disasters(scores, is_falling), True)))
    lines = []
    for i in reversed(range(len(study.tried))):
        points = []
        for j, (places, scale) in enumerate(axes):
            at = scale.place(places[i]) if scale and _is_on(scale, places[i]) else PLACES * is_falling
            points.append(f"{round(PLACES * j / (len(axes) - 1))},{PLACES - at}")
        lines.append(void("polyline", points=" ".join(points), class_="best" if i == 0 else None))
    drawing = element(
        "svg", *lines, viewBox=f"0 0 {PLACES} {PLACES}", preserveAspectRatio="none", class_="lines", role="img"
    )
    words = [*(short(path) for path, _ in study.search.ranges), study.search.options.metric]
    names = [element("span", word) for word in words]
    return joined([
        element("h2", "All settings together"),
        element("div", drawing, class_="figure"),
        element("div", *names, class_="axes"),
    ])  # fmt: skip


def _rungs(study: Study) -> Markup:
    numbers = sorted({each.rung for each in study.tried})
    if len(numbers) < 2:
        return Markup("")
    rows = []
    for rung in numbers:
        own = [each for each in study.tried if each.rung >= rung]
        ended = [each for each in own if each.rung == rung]
        rows.append(
            [
                str(rung + 1),
                str(ended[0].epochs if ended else "-"),
                str(len(own)),
                str(len(ended) if rung != numbers[-1] else 0),
            ]
        )
    return joined([element("h2", "Rungs"), table("rungs", ["rung", "epochs", "settings", "ended here"], rows)])


def _importance(study: Study) -> Markup:
    shares = importance(study)
    if not shares:
        return Markup("")
    rows = [[path, f"{share:.0%}"] for path, share in shares]
    words = "The share of the scores' variance that groups of a setting's values explain alone, by ranks."
    return joined(
        [
            element("h2", "Importance"),
            element("p", words, class_="soft"),
            table("importance", ["setting", "share"], rows),
        ]
    )


def _without_disasters(values: Sequence[float], is_falling: bool) -> list[float]:
    best_first = sorted((value for value in values if math.isfinite(value)), reverse=not is_falling)
    return best_first[: max(2, math.ceil(SHOWN_SHARE * len(best_first)))]


def _is_on(scale: Scale, value: float) -> bool:
    return (value > 0 or not scale.logarithmic) and math.isfinite(value) and 0 <= scale.place(value) <= PLACES
