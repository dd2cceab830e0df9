"""The decision boundary of a network with two inputs: a small image of the plane at each of several epochs."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence

from retrograd.present.markup import Markup, element, void
from retrograd.present.numbers import number
from retrograd.record.plane import Plane, Point, Sample
from retrograd.report.image import Colour, between, true_picture
from retrograd.report.scale import PLACES, Scale, labels
from retrograd.report.story import Story

NOTHING = Markup("")
# light to dark in equal steps of lightness, so that the order is visible in grey
RAMP: tuple[Colour, ...] = ((255, 238, 190), (246, 190, 120), (196, 140, 140), (110, 100, 160), (34, 52, 120))
PALE = 0.55  # colour strength of a class at the lowest probability with which it can win
MOST_SIDE, MOST_SAMPLES = 256, 12
SHAPES = (
    "m-20 0a20 20 0 1 0 40 0a20 20 0 1 0 -40 0",
    "m0 -26l26 26l-26 26l-26 -26z",
    "m0 -24l24 42h-48z",
    "m-19 -19h38v38h-38z",
)
NAMES = ("circle", "diamond", "triangle", "square")


def plane_section(story: Story) -> Markup:
    """Return the images of the plane at several epochs."""
    plane = story.plane
    if plane is None or not _fits(plane):
        return NOTHING
    scales = [Scale(low, high) for low, high in zip(plane.low, plane.high, strict=True)]
    points = _points(plane, scales)
    figures = [_figure(plane, sample, scales, points) for sample in plane.samples[:MOST_SAMPLES]]
    across, up = (element("bdi", name) for name in plane.columns)
    shown = "all" if len(plane.points) == plane.rows else f"{len(plane.points):,} of the"
    words = f" (vertical); {shown} {plane.rows:,} training rows. Epoch 0 is before training."
    return element(
        "section",
        element("h2", "Decision boundary" if plane.classes else "Output over the plane"),
        element("p", "The network's output over ", across, " (horizontal) and ", up, words, class_="soft"),
        _legend(plane),
        element("div", *figures, class_="planes"),
    )


def _fits(plane: Plane) -> bool:
    """Return whether the numbers in a file form valid images."""
    ends = (*plane.low, *plane.high, *plane.values)
    if not 1 <= plane.side <= MOST_SIDE or not all(map(math.isfinite, ends)):
        return False
    return all(low < high for low, high in zip(plane.low, plane.high, strict=True))


# ------------------------------------------------------------------------------------------------------------ drawing


def _figure(plane: Plane, sample: Sample, scales: Sequence[Scale], points: Sequence[Markup]) -> Markup:
    shades, winners = _bytes(sample.shades, plane), _bytes(sample.winners, plane)
    if shades is None or (sample.winners and winners is None):
        return NOTHING
    if winners is None:
        colours = [between(RAMP, shade / 255) for shade in shades]
        sides = [int(shade >= 128) for shade in shades] if plane.classes else [0] * len(shades)
    else:
        count = len(plane.classes)
        colours = [_pale(class_colour(w, count), shade / 255, count) for w, shade in zip(winners, shades, strict=True)]
        sides = list(winners)
    mark = ", kept" if sample.epoch == plane.best else ""
    svg = element(
        "svg",
        element("path", d=_edges(sides, plane.side), class_="edge"),
        *points,
        viewBox=f"0 0 {PLACES} {PLACES}",
        role="img",
        aria_label=f"The plane at epoch {sample.epoch:,}{mark}",
    )
    pixels = bytes(part for colour in colours for part in colour)
    image = void("img", src=true_picture(plane.side, plane.side, 3, pixels), alt="", class_="cells-behind")
    xs, ys = (labels(scale, side, _few(scale)) for scale, side in zip(scales, ("left", "top"), strict=True))
    return element(
        "figure",
        element("figcaption", element("b", f"Epoch {sample.epoch:,}"), element("span", mark.removeprefix(", "))),
        element("div", element("div", *ys, class_="ys"), element("div", image, svg, class_="area"),
                element("div", *xs, class_="xs"), class_="plot square"),
        class_="chart",
    )  # fmt: skip


def class_colour(number: int, count: int) -> Colour:
    """Return the colour of a class."""
    return between(RAMP, number / max(1, count - 1))


def _pale(colour: Colour, share: float, count: int) -> Colour:
    """Return the colour of a class, paler for a smaller probability."""
    least = 1 / max(2, count)
    strength = PALE + (1 - PALE) * max(0.0, min(1.0, (share - least) / (1 - least)))
    red, green, blue = (round(255 + (part - 255) * strength) for part in colour)
    return red, green, blue


def _edges(sides: Sequence[int], side: int) -> Markup:
    """Return the lines between neighbouring cells with different classes."""
    place = [round(PLACES * i / side) for i in range(side + 1)]
    edges = []
    for row in range(side):
        for column in range(side):
            cell = sides[row * side + column]
            if column + 1 < side and sides[row * side + column + 1] != cell:
                edges.append(f"M{place[column + 1]} {place[row]}V{place[row + 1]}")
            if row + 1 < side and sides[(row + 1) * side + column] != cell:
                edges.append(f"M{place[column]} {place[row + 1]}H{place[column + 1]}")
    return Markup("".join(edges))


def _points(plane: Plane, scales: Sequence[Scale]) -> list[Markup]:
    """Return the training rows: one shape per class, or dots in the colour of their target."""
    groups: dict[int, list[Point]] = {}
    low, high = plane.values
    for point in plane.points:
        if not all(map(math.isfinite, (point.x, point.y, point.target))):
            continue
        share = (point.target - low) / ((high - low) or 1.0)
        number = int(point.target) if plane.classes else round(4 * min(max(share, 0.0), 1.0))
        groups.setdefault(number, []).append(point)
    return [_marks(members, number, plane, scales) for number, members in sorted(groups.items())]


def _marks(members: Sequence[Point], number: int, plane: Plane, scales: Sequence[Scale]) -> Markup:
    shape = SHAPES[number % len(SHAPES) if plane.classes else 0]
    path = "".join(f"M{scales[0].place(p.x)} {PLACES - scales[1].place(p.y)}{shape}" for p in members)
    return element("path", d=Markup(path), class_="mark-point", style=_style(_ink(number, plane)))


def _style(colour: Colour) -> str:
    """Return a fill with a contrasting outline, visible within the region of its own class."""
    return f"fill:{_css(colour)};stroke:{'#000' if sum(colour) > 380 else '#fff'}"


def _ink(number: int, plane: Plane) -> Colour:
    return class_colour(number, len(plane.classes) or 5)


def _css(colour: Colour) -> str:
    return "rgb({}, {}, {})".format(*colour)


def _few(scale: Scale) -> list[float]:
    ticks = scale.ticks()
    return ticks[:: 2 if len(ticks) > 4 else 1]


def _legend(plane: Plane) -> Markup:
    """Return the legend of colours and shapes."""
    if plane.classes:
        items = [_key(i, name, plane) for i, name in enumerate(plane.classes)]
        remark = "paler is less certain" if len(plane.classes) > 2 else "colours between show the probability"
        return element("p", *items, element("span", remark), class_="legend")
    ramp = true_picture(64, 1, 3, bytes(part for i in range(64) for part in between(RAMP, i / 63)))
    low, high = (number(value, 3) for value in plane.values)
    bar = void("img", src=ramp, alt="", class_="ramp")
    return element("p", element("span", element("bdi", plane.target), f" {low} ", bar, f" {high}"), class_="legend")


def _key(number: int, name: str, plane: Plane) -> Markup:
    ink = _ink(number, plane)
    mark = element("path", d=f"M40 40{SHAPES[number % len(SHAPES)]}", class_="mark-point", style=_style(ink))
    swatch = element(
        "svg", mark, viewBox="0 0 80 80", class_="shape-key", aria_hidden="true", style=f"background:{_css(ink)}"
    )
    return element("span", swatch, " ", element("bdi", name), f" ({NAMES[number % len(NAMES)]})")


def _bytes(text: str, plane: Plane) -> bytes | None:
    """Decode the cells of a sample; None if they are not side x side."""
    try:
        cells = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return cells if len(cells) == plane.side**2 else None
