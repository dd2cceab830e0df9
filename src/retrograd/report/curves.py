"""Curves of a run over its epochs: loss, metrics, learning rate and gradient norm, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from retrograd.present.markup import Markup, element
from retrograd.present.numbers import brief, number
from retrograd.report.scale import LOGARITHMIC_FROM, PLACES, Scale, labels, scale_for
from retrograd.report.story import Story

GROUPS = 120  # groups of neighbouring epochs; a curve shows the lowest and highest point of each
LEAST_SHARE = 1e-3  # smallest span of an axis relative to its largest value: five-digit labels fit beside the chart
MOST_CHARTS = 16
NEAR = 50  # of 1000 from left to right; labels of marks closer than this would touch
STYLES = {"train": 3, "valid": 1, "test": 2}  # number of the colour and dash pattern; other curves have 0
SHARES = ("accuracy", "r2", "f1", "roc_auc", "average_precision", "mean_iou", "mean_ap")  # metrics with maximum 1
STEPS_NAME = "training steps"

Values = list[float | None]  # None for epochs without a measurement


class Series(NamedTuple):
    """One curve: its name, and one value per epoch."""

    name: str
    values: Values


class Chart(NamedTuple):
    """Curves that share their axes."""

    title: str
    series: tuple[Series, ...]
    logarithmic: bool  # whether the axis may be logarithmic
    most: float = math.inf  # upper bound of the values


class Mark(NamedTuple):
    """A line across the charts with a short label: the best epoch, an intervention of the guard."""

    epoch: float
    label: str
    words: str


def curves_section(story: Story) -> tuple[Markup, list[Any]]:
    """Return the section with the charts, and the data of each for the page's script."""
    shown = [chart for chart in charts(story) if any(_known(series) for series in chart.series)]
    numbers = [epoch.epoch for epoch in story.epochs]
    all_marks = marks(story)
    drawings = [drawing(i, chart, numbers, all_marks) for i, chart in enumerate(shown[:MOST_CHARTS])]
    if not drawings:
        return Markup(""), []
    caption = [*_constant_rate(story), "The table of epochs below contains the numbers."]
    page = element(
        "section",
        element("h2", "Curves"),
        element("p", " ".join(caption), class_="soft"),
        element("div", *(markup for markup, _ in drawings), class_="charts"),
    )
    return page, [data for _, data in drawings]


def charts(story: Story) -> Iterator[Chart]:
    """Yield the charts of a run; some may be empty."""
    epochs = story.epochs
    parts = list(dict.fromkeys(part for epoch in epochs for part in epoch.metrics))
    names = list(dict.fromkeys(name for epoch in epochs for metrics in epoch.metrics.values() for name in metrics))
    series_by_metric = {
        name: tuple(Series(part, [epoch.metrics.get(part, {}).get(name) for epoch in epochs]) for part in parts)
        for name in names
    }
    rates: Values = [epoch.learning_rate for epoch in epochs]
    norms: Values = [epoch.gradient_norm for epoch in epochs]
    yield Chart("loss", (Series(STEPS_NAME, [epoch.loss for epoch in epochs]), *series_by_metric.pop("loss", ())), True)
    for name, series in series_by_metric.items():
        values = [value for curve in series for value in _known(curve)]
        is_share = name.startswith(SHARES) and max(values, default=0) <= 1
        most = 1.0 if is_share else math.inf
        yield Chart(name.replace("_", " "), series, logarithmic=max(values, default=0) > 1, most=most)
    if len(set(rates)) > 1:
        yield Chart("learning rate", (Series("learning rate", rates),), _spans_decades(rates))
    yield Chart("gradient norm", (Series("gradient norm", norms),), True)


def marks(story: Story) -> list[Mark]:
    """Return the marks that appear in every chart."""
    interventions = [
        Mark(story.epoch_at(event.step), str(i), f"the guard intervened at step {event.step:,}")
        for i, event in enumerate(story.interventions, start=1)
    ]
    best = story.stopped.best_epoch if story.stopped else None
    return interventions if best is None else [*interventions, Mark(best, "best", f"best epoch {best}")]


def drawing(index: int, chart: Chart, epochs: Sequence[int], all_marks: Sequence[Mark]) -> tuple[Markup, Any]:
    """Return a chart's figure and its data: the epochs shown, and the values of each curve at these."""
    across = scale_for(epochs) or Scale(0, 1)
    known = (value for series in chart.series for value in _known(series))
    up = scale_for(known, chart.logarithmic, chart.most, LEAST_SHARE)
    shown = sorted({i for series in chart.series for i in _extremes(series.values)})
    series = [Series(curve.name, [curve.values[i] for i in shown]) for curve in chart.series]
    places = [across.place(epochs[i]) for i in shown]
    descriptions = [_described(curve, epochs) for curve in chart.series]
    inside = [mark for mark in all_marks if across.low <= mark.epoch <= across.high]
    ticks = up.ticks() if up else []
    head = [element("b", chart.title), *([element("span", " (log scale)")] if up and up.logarithmic else [])]
    lines = [_grid(up, ticks), *(_curve(curve, places, up) for curve in series if up)]
    svg = element(
        "svg",
        *lines,
        *(_upright(across.place(mark.epoch), "mark" if mark.label == "best" else "act") for mark in inside),
        element("path", class_="cursor", d=""),
        viewBox=f"0 0 {PLACES} {PLACES}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{chart.title} by epoch. "
        + ". ".join(descriptions)
        + "".join(f". {mark.words}" for mark in inside),
    )
    area = element("div", svg, *(_flag(mark, across) for mark in _merged(inside, across)), class_="area")
    ys = element("div", *(labels(up, "top", ticks) if up else ()), class_="ys")
    xs = element("div", *labels(across, "left", _whole(across)), class_="xs")
    keys = [
        element(
            "li",
            element("i", class_=f"key s{STYLES.get(text.partition(': ')[0], 0)}"),
            element("span", f"{text.partition(': ')[0]} ", element("span", text.partition(": ")[2], class_="value")),
        )
        for text in descriptions
    ]
    markup = element(
        "figure",
        element("figcaption", *head, element("span", class_="at soft")),
        element("div", ys, area, xs, class_="plot"),
        element("ul", *keys, class_="series"),
        class_="chart",
        data_chart=index,
        tabindex=0,
        aria_label=f"{chart.title} by epoch; use the arrow keys to move through the epochs",
    )
    data = {
        "title": chart.title,
        "x": [epochs[i] for i in shown],
        "places": places,
        "series": [
            {"name": s.name, "values": [None if value is None else brief(value) for value in s.values]} for s in series
        ],
    }
    return markup, data


def _known(series: Series) -> list[float]:
    return [value for value in series.values if value is not None]


def _described(series: Series, epochs: Sequence[int]) -> str:
    """Describe a curve in words: its ends, and its lowest and highest point if these lie between them."""
    known = [(value, epoch) for value, epoch in zip(series.values, epochs, strict=True) if value is not None]
    finite = [pair for pair in known if math.isfinite(pair[0])]
    if not finite:
        return f"{series.name}: {'never finite' if known else 'not measured'}"
    if len({value for value, _ in known}) == 1:
        return f"{series.name}: {number(known[0][0], 4)} throughout"
    text = f"{series.name}: {number(known[0][0], 4)} → {number(known[-1][0], 4)}"
    for name, extreme in (("lowest", min), ("highest", max)):
        value, epoch = extreme(finite, key=lambda pair: pair[0])
        if value not in (known[0][0], known[-1][0]):
            text += f", {name} {number(value, 4)} (epoch {epoch:,})"
    return text + (f", {len(known) - len(finite)} not finite" if len(finite) < len(known) else "")


def _spans_decades(rates: Values) -> bool:
    """Return whether learning rates span decades: those of a cosine that ends near 0 do not, of a step schedule may."""
    known = sorted(rate for rate in rates if rate is not None)
    return known[-1] >= LOGARITHMIC_FROM * known[len(known) // 4] > 0


def _constant_rate(story: Story) -> list[str]:
    rates = {epoch.learning_rate for epoch in story.epochs if epoch.learning_rate is not None}
    return [f"The learning rate was {number(rates.pop())} throughout."] if len(rates) == 1 else []


def _extremes(values: Values) -> Iterator[int]:
    """Yield the indices of the ends, and of the lowest and highest value in each group of neighbours."""
    size = max(1, math.ceil(len(values) / GROUPS))
    for first in range(0, len(values), size):
        group = [i for i in range(first, min(first + size, len(values))) if values[i] is not None]
        if size <= 2:
            yield from group
            continue
        finite = [i for i in group if math.isfinite(values[i] or 0)]
        yield from (i for i in group if i not in finite)
        if finite:
            yield min(finite, key=lambda i: values[i] or 0)
            yield max(finite, key=lambda i: values[i] or 0)
    yield from {0, len(values) - 1} if values else ()


def _curve(series: Series, places: Sequence[int], up: Scale) -> Markup:
    """Return a curve with gaps at non-finite values; a single point becomes a dot."""
    runs: list[list[str]] = [[]]
    for value, x in zip(series.values, places, strict=True):
        if value is not None and math.isfinite(value):
            runs[-1].append(f"{x} {PLACES - up.place(value)}")
        elif value is not None:
            runs.append([])
    path = "".join("M" + "L".join(run if len(run) > 1 else run * 2) for run in runs if run)
    return element("path", class_=f"curve s{STYLES.get(series.name, 0)}", d=Markup(path))


def _grid(up: Scale | None, ticks: Sequence[float]) -> Markup:
    path = "".join(f"M0 {PLACES - up.place(tick)}h{PLACES}" for tick in ticks if up)
    return element("path", class_="grid", d=Markup(path))


def _upright(x: int, kind: str) -> Markup:
    return element("path", class_=kind, d=f"M{x} 0v{PLACES}")


def _merged(marks: Sequence[Mark], across: Scale) -> list[Mark]:
    """Return the marks, with guard marks whose labels would overlap merged into one: `1-3`."""
    merged: list[Mark] = []
    for mark in marks:
        near = merged and across.place(mark.epoch) - across.place(merged[-1].epoch) < NEAR
        if near and mark.label != "best":
            first = merged.pop()
            mark = Mark(first.epoch, f"{first.label.partition('-')[0]}-{mark.label}", f"{first.words}; {mark.words}")
        merged.append(mark)
    return merged


def _flag(mark: Mark, across: Scale) -> Markup:
    x = across.place(mark.epoch)
    side = "left" if x < PLACES * 0.85 else "right"
    kind = "mark" if mark.label == "best" else "act"
    style = f"{side}:{(x if side == 'left' else PLACES - x) / 10:g}%"
    return element("span", mark.label, class_=f"flag {kind}", style=style, title=mark.words)


def _whole(across: Scale) -> list[float]:
    return [tick for tick in across.ticks() if tick == int(tick) and tick > 0]
