"""A traced step as a static figure, SVG or PNG: units and weights with their numbers, or a box for each node."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, ImageDraw, ImageFont

from retrograd.present.exact import Figures
from retrograd.present.theme import COLOURS
from retrograd.tracing.chains import weight_facts
from retrograd.tracing.forms.graph import graph
from retrograd.tracing.numbers import StepNumbers

# readable on white paper and distinct in grey: the order of lightness is ink, forward, update, backward
INK, SOFT, LINE, PAPER = (COLOURS[name] for name in ("ink", "soft", "link", "card"))
FORWARD, BACKWARD, UPDATE, LOSS = (COLOURS[name] for name in ("forward", "backward", "update", "loss"))
RADIUS, LOSS_WIDTH, LOSS_HEIGHT = 30, 96, 44
BOX_WIDTH, BOX_HEIGHT, BOX_GAP, BOX_LEFT = 560, 46, 14, 70
TITLE, LEGEND = 40, 30  # height above and below the drawing
FONT = "system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', Arial, sans-serif"
CORNER = 7  # pixels of a box's round corner
ENLARGED = 2  # PNG pixels per unit of the drawing: sharp when projected
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}  # Pillow's anchors: left, middle or right, on the baseline
PLAIN = {"δ": "d ", "∂": "g", "→": "->", "Σ": "sum", "…": "..", "·": "*", "²": "^2"}  # for a font without these signs
LETTER = 0.56  # mean width of a letter relative to its size


class Stroke(NamedTuple):
    """A straight line."""

    start: tuple[float, float]
    end: tuple[float, float]
    colour: str = LINE
    width: float = 1.5


class Circle(NamedTuple):
    """A unit."""

    centre: tuple[float, float]
    radius: float
    colour: str = INK


class Box(NamedTuple):
    """A rectangle with round corners; without an edge it hides what is below it."""

    corner: tuple[float, float]
    size: tuple[float, float]
    colour: str = INK
    edged: bool = True


class Label(NamedTuple):
    """A line of text at its baseline."""

    at: tuple[float, float]
    text: str
    colour: str = INK
    size: float = 13
    anchor: Literal["start", "middle", "end"] = "middle"


Shape = Stroke | Circle | Box | Label


class Drawing(NamedTuple):
    """Shapes, the first ones below the others, and the size of the sheet."""

    width: float
    height: float
    shapes: tuple[Shape, ...]


def drawing(step: StepNumbers, f: Figures, title: str) -> Drawing:
    """Return the figure of a step; values and deltas are those of the batch's first row."""
    network_graph = graph(step, f)
    if network_graph["kind"] == "units":
        width, height, shapes = (
            network_graph["width"],
            network_graph["height"],
            list(_units(network_graph, weight_facts(step, f))),
        )
    else:
        width, height = BOX_WIDTH + BOX_LEFT + 20, len(network_graph["boxes"]) * (BOX_HEIGHT + BOX_GAP) + 10
        shapes = list(_boxes(network_graph))
    rows = f" of row 1 of {step.batch}" if step.batch > 1 and network_graph["kind"] == "units" else ""
    legend = [(f"output{rows}", FORWARD), (f"δ delta{rows}", BACKWARD)]
    legend += [("∂ gradient", BACKWARD), ("old → new", UPDATE)] if network_graph["kind"] == "units" else []
    width = max(width, 40 + len(title) * 15 * LETTER, 40 + sum(len(text) + 4 for text, _ in legend) * 12 * LETTER)
    frame = [Label((20, 26), title, INK, 15, "start"), *_legend(legend, TITLE + height + LEGEND - 10)]
    return Drawing(width, TITLE + height + LEGEND, (*(_lowered(shape) for shape in shapes), *frame))


def _units(network_graph: dict[str, Any], weights: dict[str, dict[str, Any]]) -> Iterator[Shape]:
    loss = network_graph["loss"]
    for x, y in loss["from"]:
        yield Stroke((x + RADIUS, y), (loss["x"] - LOSS_WIDTH / 2, loss["y"]), LINE, 1.2)
    for link in network_graph["links"]:
        yield Stroke(link["from"], link["to"], LINE, min(4.0, 1 + 1.2 * abs(weights[link["weight"]]["sign"])))
    for link in network_graph["links"]:
        if link["labelled"]:
            yield from _weight(link["at"], weights[link["weight"]])
    for unit in network_graph["units"]:
        yield from _unit(unit, network_graph["close"], weights)
    yield Box((loss["x"] - LOSS_WIDTH / 2, loss["y"] - LOSS_HEIGHT / 2), (LOSS_WIDTH, LOSS_HEIGHT))
    yield Label((loss["x"], loss["y"] - 3), "loss", SOFT, 12)
    yield Label((loss["x"], loss["y"] + 14), loss["value"], LOSS, 13.5)
    yield Label((loss["x"], loss["y"] + 40), f"→ {loss['after']}", LOSS, 13.5)


def _weight(at: tuple[float, float], fact: dict[str, Any]) -> Iterator[Shape]:
    lines = [(f"{fact['before']} → {fact['after']}", UPDATE), (f"∂ {fact['gradient']}", BACKWARD)]
    wide, high = 6.8 * max(len(text) for text, _ in lines) + 8, 15 * len(lines) + 3
    yield Box((at[0] - wide / 2, at[1] - high / 2), (wide, high), edged=False)
    for i, (text, colour) in enumerate(lines):
        yield Label((at[0], at[1] - high / 2 + 13 + 15 * i), text, colour, 12.5)


def _unit(unit: dict[str, Any], is_close: bool, weights: dict[str, dict[str, Any]]) -> Iterator[Shape]:
    x, y = unit["x"], unit["y"]
    yield Circle((x, y), RADIUS)
    yield Label((x, y + 4), unit["inside"] if len(unit["inside"]) <= 8 else unit["inside"][:7] + "…", INK, 12.5)
    stages = unit["stages"]
    signs = ["z", *("a" for _ in stages[1:])] if len(stages) > 1 else ["y"]
    above = [f"{sign} {stage['output'][0]}" for sign, stage in zip(signs, stages, strict=False)] or [unit["value"][0]]
    below = [f"δ{sign if len(stages) > 1 else ''} {stage['delta'][0]}"
             for sign, stage in zip(signs, stages, strict=False) if stage["delta"]][::-1]  # fmt: skip
    above, below = (above[-1:], below[-1:]) if is_close else (above, below)
    for i, text in enumerate(reversed(above)):
        yield Label((x, y - 38 - 15 * i), text, FORWARD)
    for i, text in enumerate(below):
        yield Label((x, y + 46 + 15 * i), text, BACKWARD)
    if unit["bias"] and not is_close:
        fact, top = weights[unit["bias"]], y - 40 - 15 * len(above)
        yield Label((x, top), f"b {fact['before']} → {fact['after']}", UPDATE, 12.5)
        yield Label((x, top - 15), f"∂ {fact['gradient']}", BACKWARD, 12.5)


def _boxes(network_graph: dict[str, Any]) -> Iterator[Shape]:
    for start, end in network_graph["links"]:
        begin, stop = (at * (BOX_HEIGHT + BOX_GAP) + 5 for at in (start, end))
        if end == start + 1:
            yield Stroke((BOX_LEFT + 60, begin + BOX_HEIGHT), (BOX_LEFT + 60, stop))
            continue
        aside = BOX_LEFT - 14 - 9 * min(end - start, 5)
        corners = [(BOX_LEFT, begin + 30), (aside, begin + 30), (aside, stop + 16), (BOX_LEFT, stop + 16)]
        yield from (Stroke(a, b) for a, b in itertools.pairwise(corners))
    for i, box in enumerate(network_graph["boxes"]):
        y, right = i * (BOX_HEIGHT + BOX_GAP) + 5, BOX_LEFT + BOX_WIDTH - 10
        yield Box((BOX_LEFT, y), (BOX_WIDTH, BOX_HEIGHT))
        yield Label((BOX_LEFT + 10, y + 19), box["name"], INK, 13.5, "start")
        yield Label((BOX_LEFT + 10, y + 36), box["about"], SOFT, 12, "start")
        if box["output"]:
            yield Label((right, y + 19), box["output"], LOSS if box["kind"] == "loss" else FORWARD, 12, "end")
        if box["kind"] == "loss":
            yield Label((right, y + 36), f"→ {network_graph['after']}", LOSS, 12, "end")
        if box["delta"]:
            yield Label((right, y + 36), f"δ {box['delta']}", BACKWARD, 12, "end")


def _legend(entries: Sequence[tuple[str, str]], y: float) -> Iterator[Shape]:
    x = 20.0
    for text, colour in entries:
        yield Label((x, y), text, colour, 12, "start")
        x += (len(text) + 4) * 12 * LETTER


def _lowered(shape: Shape) -> Shape:
    """Return a shape moved down, below the title."""

    def down(point: tuple[float, float]) -> tuple[float, float]:
        return point[0], point[1] + TITLE

    if isinstance(shape, Stroke):
        return shape._replace(start=down(shape.start), end=down(shape.end))
    if isinstance(shape, Circle):
        return shape._replace(centre=down(shape.centre))
    return shape._replace(corner=down(shape.corner)) if isinstance(shape, Box) else shape._replace(at=down(shape.at))


# ------------------------------------------------------------------------------------------------------------- files


def as_svg(drawing: Drawing) -> str:
    """Return an SVG document with text as text, which can be searched, edited and translated."""
    width, height = (f"{length:g}" for length in (drawing.width, drawing.height))
    body = "\n".join(_element(shape) for shape in drawing.shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f" font-family={quoteattr(FONT)}>\n"
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>\n{body}\n</svg>\n'
    )


def as_png(drawing: Drawing) -> bytes:
    """Return a PNG file, twice as large as the drawing."""
    size = tuple(round(length * ENLARGED) for length in (drawing.width, drawing.height))
    image = Image.new("RGB", (size[0], size[1]), PAPER)
    canvas = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        _paint(canvas, shape)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _element(shape: Shape) -> str:
    if isinstance(shape, Stroke):
        (x1, y1), (x2, y2) = shape.start, shape.end
        return _tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=shape.colour, stroke_width=shape.width)
    if isinstance(shape, Circle):
        x, y = shape.centre
        return _tag("circle", cx=x, cy=y, r=shape.radius, fill=PAPER, stroke=shape.colour, stroke_width=1.5)
    if isinstance(shape, Box):
        (x, y), (width, height) = shape.corner, shape.size
        edge = {"stroke": shape.colour, "stroke_width": 1.2} if shape.edged else {"fill_opacity": 0.85}
        return _tag("rect", x=x, y=y, width=width, height=height, rx=CORNER, fill=PAPER, **edge)
    x, y = shape.at
    return _tag("text", shape.text, x=x, y=y, font_size=shape.size, fill=shape.colour, text_anchor=shape.anchor)


def _tag(name: str, content: str = "", **attributes: str | float) -> str:
    written = (value if isinstance(value, str) else f"{value:g}" for value in attributes.values())
    pairs = (f"{key.replace('_', '-')}={quoteattr(value)}" for key, value in zip(attributes, written, strict=True))
    return f"<{name} {' '.join(pairs)}>{escape(content)}</{name}>"


def _paint(canvas: ImageDraw.ImageDraw, shape: Shape) -> None:
    if isinstance(shape, Stroke):
        ends = [_enlarged(shape.start), _enlarged(shape.end)]
        canvas.line(ends, fill=shape.colour, width=max(round(shape.width * ENLARGED), 1))
    elif isinstance(shape, Circle):
        x, y = _enlarged(shape.centre)
        r = shape.radius * ENLARGED
        canvas.ellipse((x - r, y - r, x + r, y + r), fill=PAPER, outline=shape.colour, width=3)
    elif isinstance(shape, Box):
        x, y = _enlarged(shape.corner)
        width, height = _enlarged(shape.size)
        edge = shape.colour if shape.edged else PAPER
        canvas.rounded_rectangle((x, y, x + width, y + height), CORNER * ENLARGED, fill=PAPER, outline=edge, width=2)
    elif isinstance(shape, Label):
        text = "".join(PLAIN.get(letter, letter) for letter in shape.text)
        font = ImageFont.load_default(shape.size * ENLARGED)
        canvas.text(_enlarged(shape.at), text, fill=shape.colour, font=font, anchor=ANCHORS[shape.anchor])


def _enlarged(point: tuple[float, float]) -> tuple[float, float]:
    return point[0] * ENLARGED, point[1] * ENLARGED
