"""A traced step as a page: a drawing, a panel for every stop on the way, and each weight's chain of factors.

The page is self-contained; its body, style and script are the files beside this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.network.layers.attention.multi_head_attention import MultiHeadAttention
from retrograd.present.exact import Figures
from retrograd.present.markup import Markup, element, joined, whole
from retrograd.present.page import embedded, page
from retrograd.report.image import LOGARITHMIC, SHADES, picture, true_picture
from retrograd.tracing.chains import chain_lines, plain, weight_facts
from retrograd.tracing.document import Section, Sums, Table, Words, Writer
from retrograd.tracing.forms.graph import boxes, graph
from retrograd.tracing.numbers import NodeNumbers, StepNumbers

FOLDER = Path(__file__).parent
SCRIPT = (FOLDER / "page.js").read_text(encoding="utf-8")
MOST_ACROSS = 3  # units side by side on a phone
MOST_PICTURES = 8
MOST_PLACES = 256  # queries and keys of a heat map


def as_html(
    title: str, facts: Sequence[str], writer: Writer, sections: Sequence[Section], remarks: Sequence[str], text: str
) -> str:
    """Return the page; `text` is the whole trace for readers without a script."""
    step, f = writer.step, writer.f
    data = page_data(step, writer, sections, f)
    parts = {
        "TITLE": whole(title),
        "SCRIPT": SCRIPT.replace("export function", "function", 1),  # a module elsewhere
        "DATA": embedded(json.dumps(data, ensure_ascii=False, separators=(",", ":"))),
        "FACTS": joined([element("li", whole(fact)) for fact in facts]),
        "REMARKS": joined([element("li", whole(remark)) for remark in remarks]),
        "TEXT": whole(text),
    }
    template = (FOLDER / "page.html").read_text(encoding="utf-8")
    body = re.sub(r"\{\{([A-Z]+)\}\}", lambda name: parts[name[1]], template)
    return page(title, (FOLDER / "page.css").read_text(encoding="utf-8"), Markup(body))


def page_data(step: StepNumbers, writer: Writer, sections: Sequence[Section], f: Figures) -> dict[str, Any]:
    """Return the data for the page's script, with all numbers as text."""
    weights = weight_facts(step, f)
    lines = chain_lines(step, writer) if weights else {}
    stops = [_stop(section, f) for section in sections]
    if stops and stops[0]["phase"] == "input":
        stops[0]["blocks"] += images(step)
    maps = {node.path: heat_maps(node, f) for node in step.nodes
            if isinstance(node.layer.wrapped or node.layer, MultiHeadAttention)}  # fmt: skip
    for stop in stops:
        if stop["phase"] == "forward":
            stop["blocks"] += maps.get(stop["node"], [])
    drawn = graph(step, f)
    return {
        "stops": stops,
        "graph": drawn,
        "narrow": boxes(step, f) if drawn["kind"] == "units" and drawn["tallest"] > MOST_ACROSS else None,
        "lines": {key: plain(line, f) for key, line in lines.items()},
        "weights": weights,
    }


def images(step: StepNumbers) -> Iterator[dict[str, Any]]:
    """Yield the first rows of each column that is an image, or that a node reshapes to one, as pictures."""
    views = dict(step.columns)
    for node in step.nodes:
        if node.layer.kind == "reshape" and node.node.inputs[0] in views:
            views[node.node.inputs[0]] = node.output
    for name, view in views.items():
        if np.ndim(view) == 4 and view.shape[-1] in (1, 3) and min(view.shape[1:3]) > 1:
            rows = np.asarray(view[:MOST_PICTURES], np.float64)
            low, high = rows.min(), rows.max()
            pixels = np.round(255 * (rows - low) / ((high - low) or 1.0)).astype(np.uint8)
            height, width, channels = pixels.shape[1:]
            pictures = [true_picture(width, height, channels, picture.tobytes()) for picture in pixels]
            words = f"{name} as an image: black is {low:.4g}, white {high:.4g}"
            yield {"images": pictures, "title": words}


def heat_maps(node: NodeNumbers, f: Figures) -> list[dict[str, Any]]:
    """Return an attention node's weights for the first row as pictures, one per head, if they are an output."""
    if not isinstance(node.output, Mapping) or not len(node.output["weights"]):
        return []
    row = np.asarray(node.output["weights"][0], np.float64)
    heads = np.nan_to_num(row.reshape(-1, *row.shape[-2:])[:MOST_PICTURES, :MOST_PLACES, :MOST_PLACES])
    largest = heads.max(initial=0.0)
    cells = np.round(heads * (SHADES - 1) / (largest or 1.0)).astype(np.uint8).clip(0, SHADES - 1)
    of = "each head" if row.ndim == 3 else "the mean over heads"
    words = f"weights of {of} for the first row, one line per query, one column per key: lightest is "
    return [{"images": [picture(head, LOGARITHMIC) for head in cells.tolist()], "title": words + f.number(largest)}]


def _stop(section: Section, f: Figures) -> dict[str, Any]:
    return {
        "phase": section.phase,
        "title": section.title,
        "about": section.about,
        "formula": section.formula,
        "node": section.node,
        "blocks": [_block(block, f) for block in section.blocks],
    }


def _block(block: Any, f: Figures) -> dict[str, Any]:
    if isinstance(block, Words):
        return {"words": block.text}
    if isinstance(block, Table):
        return {"title": block.title, "header": list(block.header), "rows": [list(row) for row in block.rows]}
    assert isinstance(block, Sums)
    return {"lines": [[block.mark + line.name, line.text, f.number(line.value), line.key] for line in block.lines]}
