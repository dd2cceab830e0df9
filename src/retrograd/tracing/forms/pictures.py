"""A drawing as SVG, for slides and pages, and as PNG, for everything else."""

from __future__ import annotations

import io
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, ImageDraw, ImageFont

from retrograd.tracing.forms.drawing import PAPER, Box, Circle, Drawing, Label, Shape, Stroke

FONT = "system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', Arial, sans-serif"
CORNER = 7  # pixels of a box's round corner
ENLARGED = 2  # pixels of a PNG for each unit of the drawing: sharp when projected
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}  # of Pillow: left, middle or right, on the baseline
PLAIN = {"δ": "d ", "∂": "g", "→": "->", "Σ": "sum", "…": "..", "·": "*", "²": "^2"}  # for a font without these signs


def as_svg(drawing: Drawing) -> str:
    """Return an SVG document with the text as text: it can be searched, edited and translated."""
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
