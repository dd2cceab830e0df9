"""The section on predictions: confusions, predictions against true values, and the worst rows."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence

from retrograd.present.markup import Markup, element, joined, table, void
from retrograd.present.numbers import number
from retrograd.record.judged import QUANTILES, Judged, LabelCounts, Picture, WorstRow
from retrograd.report.image import true_picture
from retrograd.report.residuals import residuals_figures
from retrograd.report.story import WORDS, Story

NOTHING = Markup("")
LONG = 4  # characters; longer class names are set vertically above their columns
SHOWN_CELL = 40  # characters
QUANTILE_WORDS = ("lowest", "5 %", "25 %", "median", "75 %", "95 %", "highest")


def judged_section(story: Story) -> Markup:
    """Return the section on the predictions for one part of the data."""
    judged = story.judged
    if judged is None:
        return NOTHING
    part = WORDS.get(judged.part, judged.part)
    return element(
        "section",
        element("h2", f"Predictions for the {part} {judged.unit}"),
        element("p", " ".join(_sentences(judged)), class_="soft"),
        _matrix(judged),
        _pairs(judged),
        _labels(judged.labels),
        _quantities(judged),
        _worst(judged),
        class_="judged",
    )


def _sentences(judged: Judged) -> list[str]:
    why = {
        "valid": "There is no test part; the best epoch was chosen on these validation rows.",
        "train": "There is no test or validation part: the network was trained on these rows.",
    }
    sentences = [why[judged.part]] if judged.part in why else []
    if judged.right is not None:
        in_full = " in every label" if judged.labels else ""
        sentences.append(f"{judged.right:,} of {judged.count:,} {judged.unit} are right{in_full}.")
    if judged.nonfinite:
        sentences.append(f"{judged.nonfinite:,} have non-finite outputs and appear only among the worst rows.")
    return sentences


# ------------------------------------------------------------------------------------------------------------ classes


def _matrix(judged: Judged) -> Markup:
    """Return the confusion matrix: one row per true class, one column per predicted class."""
    if not judged.counts or len(judged.counts) != len(judged.classes):
        return NOTHING
    upright = any(len(name) > LONG for name in judged.classes)
    names = [
        element("th", element("span", element("bdi", name)), scope="col", class_="upright" if upright else None)
        for name in judged.classes
    ]
    corner = element("th", "true ↓  predicted →", scope="col")
    body = [
        element(
            "tr",
            element("th", element("bdi", name), scope="row"),
            *(_cell(count, sum(row), i == j) for j, count in enumerate(row)),
            element("td", f"{sum(row):,}", class_="soft"),
        )
        for i, (name, row) in enumerate(zip(judged.classes, judged.counts, strict=True))
    ]
    head = element("tr", corner, *names, element("th", "all", scope="col"))
    inner = element("table", element("thead", head), element("tbody", *body), class_="matrix")
    words = f"Each cell shows the number of {judged.unit} and their share of the true class; green is right."
    scroll = element("div", inner, class_="scroll", tabindex=0, role="region", aria_label="confusion matrix")
    return joined([scroll, element("p", words, class_="soft")])


def _cell(count: int, total: int, is_right: bool) -> Markup:
    if not count:
        return element("td", "·", class_="soft")
    share = count / total
    kind = "right" if is_right else "wrong"
    return element(
        "td", f"{count:,}", element("small", _percent(share)), class_=kind, style=f"--share:{round(100 * share)}%"
    )


def _percent(share: float) -> str:
    """Format a share in whole percent, or as `<1 %`; only a complete share is 100 %."""
    percent = min(round(100 * share), 99 if share < 1 else 100)
    return f"{percent} %" if percent else "<1 %"


def _pairs(judged: Judged) -> Markup:
    """Return the most frequent confusions: a sentence below the matrix, or a table if there is no matrix."""
    if not judged.pairs:
        return NOTHING
    if judged.counts:
        first = judged.pairs[0]
        times = "once" if first.count == 1 else f"{first.count:,} times"
        truth, answer = element("bdi", first.truth), element("bdi", first.answer)
        return element("p", "Most confused: ", truth, " predicted as ", answer, f", {times}.")
    rows = [[pair.truth, pair.answer, f"{pair.count:,}", _percent(pair.share)] for pair in judged.pairs]
    words = f"The most confused of {judged.class_count:,} classes"
    words += f": {len(rows)} of {judged.pair_count:,} pairs." if judged.pair_count > len(rows) else "."
    head = ["true", "predicted", judged.unit, "share of the true class"]
    return joined([element("p", words), table("the most confused classes", head, rows)])


def _labels(labels: Sequence[LabelCounts]) -> Markup:
    """Return the confusion counts of each label as a row."""
    if not labels:
        return NOTHING
    head = ["label", "true positives", "false negatives", "false positives", "true negatives"]
    rows = [
        [label.name, *(f"{count:,}" for count in (label.hits, label.misses, label.false_alarms, label.rejections))]
        for label in labels
    ]
    return table("confusion counts by label", head, rows)


# --------------------------------------------------------------------------------------------------------- quantities


def _quantities(judged: Judged) -> Markup:
    """Return the plots of predictions against true values, and the quantiles of the residuals."""
    if not judged.residuals:
        return NOTHING
    head = ["prediction - true value", *QUANTILE_WORDS[: len(QUANTILES)]]
    rows = [[residuals.target, *(number(value, 4) for value in residuals.quantiles)] for residuals in judged.residuals]
    more = f"The first {len(rows)} of {judged.target_count} targets." if judged.target_count > len(rows) else ""
    return joined(
        [
            *([element("p", more, class_="soft")] if more else []),
            element("div", *residuals_figures(judged.residuals), class_="charts"),
            table("quantiles of the residuals", head, rows),
        ]
    )


# ----------------------------------------------------------------------------------------------------- the worst rows


def _worst(judged: Judged) -> Markup:
    """Return the rows with the largest losses."""
    if not judged.worst:
        return NOTHING
    has_pictures = any(row.picture for row in judged.worst)
    has_probabilities = any(row.probability is not None for row in judged.worst)
    names = list(dict.fromkeys(name for row in judged.worst for name in row.cells or {}))
    head = [
        *(element("th", name, scope="col") for name in ("row", *(["picture"] if has_pictures else []))),
        *(element("th", name, scope="col", class_="name") for name in ("true", "predicted")),
        *(
            element("th", name, scope="col")
            for name in (*(["probability"] if has_probabilities else []), "loss", *names)
        ),
    ]
    body = [element("tr", *_worst_row(row, has_pictures, has_probabilities, names)) for row in judged.worst]
    inner = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    scroll = element("div", inner, class_="scroll", tabindex=0, role="region", aria_label="the worst rows")
    count = "The worst row" if len(body) == 1 else f"The {len(body)} worst rows"
    return joined([element("h3", f"{count} by loss ({judged.measure})"), scroll])


def _worst_row(row: WorstRow, has_pictures: bool, has_probabilities: bool, names: Sequence[str]) -> Iterator[Markup]:
    yield element("th", element("bdi", row.place), scope="row")
    if has_pictures:
        yield element("td", _picture(row.picture))
    for name in (row.truth, row.answer):
        yield element("td", element("bdi", name), class_="name")
    for figure in (*([number(row.probability, 3)] if has_probabilities else []), number(row.loss, 4)):
        yield element("td", figure)
    for cell in ((row.cells or {}).get(name, "") for name in names):
        yield element("td", cell if len(cell) <= SHOWN_CELL else element("span", cell, class_="long"))


def _picture(picture: Picture | None) -> Markup:
    """Return the picture of a row; data that do not match their size are skipped."""
    if picture is None:
        return NOTHING
    try:
        pixels = base64.b64decode(picture.pixels, validate=True)
    except (binascii.Error, ValueError):
        return NOTHING
    if picture.channels not in (1, 3) or len(pixels) != picture.width * picture.height * picture.channels or not pixels:
        return NOTHING
    source = true_picture(picture.width, picture.height, picture.channels, pixels)
    return void("img", src=source, alt=f"{picture.width} by {picture.height} pixels", class_="thumb")
