"""Plots of predictions against true values: one dot per row, or shaded cells for many rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from retrograd.present.markup import Markup, element, void
from retrograd.present.numbers import number
from retrograd.record.judged import Residuals
from retrograd.report.image import LOGARITHMIC, MISSING, picture, shade
from retrograd.report.scale import PLACES, Scale, labels, scale_for


def residuals_figures(targets: Sequence[Residuals]) -> list[Markup]:
    """Return one plot per target."""
    return [_figure(target) for target in targets if target.points or target.counts]


def _figure(residuals: Residuals) -> Markup:
    scale = scale_for([residuals.low, residuals.high]) if residuals.points else _exact(residuals.low, residuals.high)
    if scale is None:
        return Markup("")
    ticks = scale.ticks()
    lines = "".join(f"M0 {PLACES - scale.place(tick)}h{PLACES}M{scale.place(tick)} 0v{PLACES}" for tick in ticks)
    dots = "".join(f"M{scale.place(x)} {PLACES - scale.place(y)}h0" for x, y in residuals.points)
    svg = element(
        "svg",
        element("path", d=Markup(lines), class_="grid"),
        element("path", d=f"M0 {PLACES}L{PLACES} 0", class_="diagonal"),
        *([element("path", d=Markup(dots), class_="dots")] if dots else []),
        viewBox=f"0 0 {PLACES} {PLACES}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{residuals.target}: predictions against true values; half of the residuals lie between "
        f"{number(residuals.quantiles[2], 4)} and {number(residuals.quantiles[4], 4)}"
        if len(residuals.quantiles) > 4
        else f"{residuals.target}: predictions against true values",
    )
    ys = element("div", *labels(scale, "top", ticks), class_="ys")
    xs = element("div", *labels(scale, "left", ticks), class_="xs")
    axes = "predicted (vertical) against true (horizontal)" + ("; lighter: more rows" if residuals.counts else "")
    return element(
        "figure",
        element(
            "figcaption", element("b", element("bdi", residuals.target), class_="own"), element("span", f" {axes}")
        ),
        element("div", ys, element("div", _cells(residuals), svg, class_="area"), xs, class_="plot square"),
        class_="chart",
    )


def _exact(low: float, high: float) -> Scale | None:
    """Return a scale without margins, for cells that fill the plot to its edges."""
    return Scale(low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def _cells(residuals: Residuals) -> Markup:
    """Return many rows as an image: lighter cells contain more rows."""
    if not residuals.counts or not residuals.counts[0]:
        return Markup("")
    most = max(map(max, residuals.counts))
    cells = [[shade(math.log(n) / math.log(most or 1)) if n and most > 1 else MISSING if not n else 0 for n in row]
             for row in reversed(residuals.counts)]  # fmt: skip
    return void("img", src=picture(cells, LOGARITHMIC), alt="", class_="cells-behind")
