"""The health strips: one row per layer, one cell per reading, coloured by its value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from retrograd.present.markup import Markup, element, void
from retrograd.present.numbers import brief, number
from retrograd.record.events import Health
from retrograd.report.image import LOGARITHMIC, MISSING, SHADES, SHARE, SPECIAL, picture, shade
from retrograd.report.story import Story, natural

# quantities in order of importance: title, and whether it is a share (otherwise the logarithm sets the colour)
QUANTITIES = {
    "gradient_rms": ("Gradients, root mean square", False),
    "dead": ("Dead units, share", True),
    "saturated": ("Saturated units, share", True),
    "output_nonfinite": ("Non-finite outputs", False),
    "gradient_nonfinite": ("Non-finite gradients", False),
    "delta_rms": ("Deltas (dLoss/dy), root mean square", False),
    "backward_gain": ("Backward gain: deltas before a layer / deltas after it", False),
    "output_rms": ("Outputs, root mean square", False),
    "update_ratio": ("Update, relative to the parameter", False),
    "parameter_rms": ("Parameters, root mean square", False),
}
BAD_COUNTS = ("output_nonfinite", "gradient_nonfinite")  # 0 is the only good value
# recorded only for those who read the events
UNDRAWN = ("_largest", "_zeros", "delta_nonfinite", "parameter_nonfinite", "gradient_norm")
ALARMING_SHARE = 0.5  # a strip with a share this large is initially open
MOST_NUMBERS = 7_000  # in all strips; with more, several readings share a cell
MOST_ROWS, LEAST_ROWS, ALL_ROWS = 120, 12, 240
MOST_CELLS, LEAST_CELLS = 120, 8
LEAST_DECADES = 3


@dataclass(frozen=True)
class Strip:
    """One quantity: the paths of its rows, the steps of its cells, and a value or None for each [row][cell]."""

    quantity: str
    paths: tuple[str, ...]
    steps: tuple[tuple[int, int], ...]  # of the first and last reading of each cell
    values: tuple[tuple[float | None, ...], ...]
    left_out: int  # number of paths not shown

    @property
    def title(self) -> str:
        """The title of the quantity."""
        return QUANTITIES.get(self.quantity, (self.quantity.replace("_", " "), False))[0]

    @property
    def is_share(self) -> bool:
        """Whether the values are shares between 0 and 1."""
        return QUANTITIES.get(self.quantity, ("", False))[1]

    def known(self) -> Iterator[tuple[float, str, int]]:
        """Yield every value with its path and its step."""
        for path, row in zip(self.paths, self.values, strict=True):
            for value, (_, step) in zip(row, self.steps, strict=True):
                if value is not None:
                    yield value, path, step

    @property
    def is_alarming(self) -> bool:
        """Whether the strip shows a problem and should be open."""
        numbers = [value for value, _, _ in self.known()]
        if self.quantity in BAD_COUNTS:
            return any(numbers)
        return any(not math.isfinite(v) for v in numbers) or (
            self.is_share and max(numbers, default=0) >= ALARMING_SHARE
        )


def health_section(story: Story, nodes: Sequence[str]) -> tuple[Markup, list[Any]]:
    """Return the section with the strips, and the data of each for the page's script."""
    shown = strips(story.health, nodes)
    if not shown:
        return Markup(""), []
    drawings = [_drawing(i, strip, is_open=i == 0 or strip.is_alarming) for i, strip in enumerate(shown)]
    count = len(story.health)
    is_merged = count > len(shown[0].steps)
    caption = f"One row per layer or parameter; time runs to the right, {count:,} readings."
    caption += " Each cell shows the largest of several consecutive readings." if is_merged else ""
    section = element(
        "section",
        element("h2", "Health"),
        element("p", caption, class_="soft"),
        *(markup for markup, _ in drawings),
    )
    return section, [data for _, data in drawings]


def strips(health: Sequence[Health], nodes: Sequence[str]) -> list[Strip]:
    """Return one strip per recorded quantity, most important first."""
    paths: dict[str, dict[str, None]] = {}
    for event in health:
        for quantity, by_path in event.readings.items():
            paths.setdefault(quantity, {}).update(dict.fromkeys(by_path))
    known = [name for name in QUANTITIES if paths.get(name)]
    others = [name for name in paths if paths[name] and name not in QUANTITIES and not name.endswith(UNDRAWN)]
    chosen = (known + others)[: 2 * len(QUANTITIES)]
    if not chosen:
        return []
    most = max(LEAST_ROWS, min(MOST_ROWS, ALL_ROWS // len(chosen)))
    order = {name: i for i, name in enumerate(nodes)}
    rows = {name: _chosen_rows(health, name, _sorted(paths[name], order), most) for name in chosen}
    total = sum(len(by_path) for by_path in rows.values())
    cells = max(LEAST_CELLS, min(MOST_CELLS, MOST_NUMBERS // total))
    size = math.ceil(len(health) / cells)
    groups = [health[i : i + size] for i in range(0, len(health), size)]
    steps = tuple((group[0].step, group[-1].step) for group in groups)
    return [
        Strip(
            name,
            tuple(rows[name]),
            steps,
            tuple(tuple(_largest(group, name, path) for group in groups) for path in rows[name]),
            left_out=len(paths[name]) - len(rows[name]),
        )
        for name in chosen
    ]


def _sorted(paths: dict[str, None], order: dict[str, int]) -> list[str]:
    """Sort paths in the order of their nodes, parameters after their node; by name if a node is unknown."""
    places = {path: order.get(path, order.get(path.rpartition("/")[0], -1)) for path in paths}
    if -1 in places.values():
        return sorted(paths, key=natural)
    return sorted(paths, key=lambda path: (places[path], path))


def _chosen_rows(health: Sequence[Health], quantity: str, paths: list[str], most: int) -> list[str]:
    """Return at most `most` paths: those with non-finite values, and an even selection of the others."""
    if len(paths) <= most:
        return paths
    broken = {p for e in health for p, v in e.readings.get(quantity, {}).items() if not math.isfinite(v)}
    rows = [path for path in paths if path in broken][:most]
    others = [path for path in paths if path not in broken]
    room = most - len(rows)
    rows += [others[i * len(others) // room] for i in range(room)]
    return [path for path in paths if path in set(rows)]


def _largest(group: Sequence[Health], quantity: str, path: str) -> float | None:
    """Return the largest of several readings; a non-finite value takes precedence."""
    values = [value for e in group if (value := e.readings.get(quantity, {}).get(path)) is not None]
    return next((value for value in values if not math.isfinite(value)), max(values, default=None))


# ------------------------------------------------------------------------------------------------------------ drawing


def _drawing(index: int, strip: Strip, is_open: bool) -> tuple[Markup, Any]:
    low, high = _ends(strip)
    ramp = SHARE if strip.is_share or strip.quantity in BAD_COUNTS else LOGARITHMIC
    coloured = [[_colour(strip, value, low, high) for value in row] for row in strip.values]
    image = void("img", src=picture(coloured, ramp), alt=_summary(strip), draggable="false")
    cells = element(
        "div", image, element("i", class_="here"), class_="cells", data_strip=index, tabindex=0, role="group",
        aria_label=f"{strip.title}; use the arrow keys to move through the cells",
    )  # fmt: skip
    count = len(strip.paths)
    body = [
        element(
            "tr",
            element("th", element("span", element("bdi", path), title=path), scope="row"),
            *([element("td", cells, rowspan=count, class_="strip", style=f"--rows:{count}")] if i == 0 else []),
            element("td", number(_last(row), 3)),
            element("td", _range(row), class_="wide"),
        )
        for i, (path, row) in enumerate(zip(strip.paths, strip.values, strict=True))
    ]
    times = (element("span", f"step {strip.steps[0][0]:,}"), element("span", f"{strip.steps[-1][1]:,}"))
    head = element(
        "tr",
        element("th", "path", scope="col"),
        element("th", element("div", *times, class_="times"), scope="col"),
        element("th", "last", scope="col"),
        element("th", "lowest to highest", scope="col", class_="wide"),
    )
    more = f"{strip.left_out:,} more paths are in events.jsonl." if strip.left_out else ""
    markup = element(
        "details",
        element("summary", element("b", strip.title), element("span", f" {_summary(strip)}", class_="soft")),
        _legend(strip, ramp, low, high),
        element("p", class_="at readout"),
        element("table", element("thead", head), element("tbody", *body), class_="health"),
        *([element("p", more, class_="soft")] if more else []),
        class_="block",
        **({"open": ""} if is_open else {}),
    )
    data = {
        "title": strip.title,
        "rows": list(strip.paths),
        "steps": [list(pair) for pair in strip.steps],
        "values": [[None if value is None else brief(value, 3) for value in row] for row in strip.values],
    }
    return markup, data


def _ends(strip: Strip) -> tuple[float, float]:
    """Return the values at the ends of the colour scale; logarithms if these set the colour."""
    if strip.is_share:
        return 0.0, 1.0
    if strip.quantity in BAD_COUNTS:
        return 0.0, max((value for value, _, _ in strip.known() if math.isfinite(value)), default=0) or 1.0
    logs = [math.log10(value) for value, _, _ in strip.known() if math.isfinite(value) and value > 0]
    low, high = math.floor(min(logs, default=0)), math.ceil(max(logs, default=0))
    return float(min(low, high - LEAST_DECADES)), float(high)


def _colour(strip: Strip, value: float | None, low: float, high: float) -> int:
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return SPECIAL["not finite"]
    if strip.is_share:
        return shade(value)
    if strip.quantity in BAD_COUNTS:
        return shade(math.log1p(max(value, 0)) / math.log1p(high))
    if value <= 0:
        return SPECIAL["zero"]
    return shade((math.log10(value) - low) / (high - low))


def _legend(strip: Strip, ramp: Any, low: float, high: float) -> Markup:
    bar = void("img", src=picture([range(SHADES)], ramp), alt="", class_="ramp")
    plain = strip.is_share or strip.quantity in BAD_COUNTS
    ends = (low, high) if plain else (10**low, 10**high)
    numbers = [value for value, _, _ in strip.known()]
    special = [
        name
        for name, is_present in (
            ("zero", not plain and 0 in numbers),
            ("not finite", not all(map(math.isfinite, numbers))),
        )
        if is_present
    ]
    swatches = [
        element("span", void("img", src=picture([[SPECIAL[name]]], ramp), alt="", class_="swatch"), f" {name}")
        for name in special
    ]
    scale = "" if strip.is_share else " (log scale)"
    return element(
        "p", element("span", number(ends[0], 3), " ", bar, f" {number(ends[1], 3)}{scale}"), *swatches, class_="legend"
    )


def _summary(strip: Strip) -> str:
    """Summarise a strip in a sentence: its extremes, and where they are."""
    finite = [item for item in strip.known() if math.isfinite(item[0])]
    broken = [item for item in strip.known() if not math.isfinite(item[0])]
    parts = []
    if finite:
        low, high = min(finite), max(finite)
        if low[0] == high[0]:
            parts.append(f"{number(low[0], 3)} everywhere")
        elif strip.is_share or strip.quantity in BAD_COUNTS:
            parts.append(f"highest {number(high[0], 3)} ({high[1]}, step {high[2]:,})")
        else:
            parts.append(f"from {number(low[0], 3)} ({low[1]}, step {low[2]:,}) to {number(high[0], 3)} ({high[1]}, "
                         f"step {high[2]:,})")  # fmt: skip
    if broken:
        first = min(broken, key=lambda item: item[2])
        parts.append(f"first non-finite in {first[1]} at step {first[2]:,}")
    return "; ".join(parts)


def _last(row: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(row) if value is not None), None)


def _range(row: Sequence[float | None]) -> str:
    finite = [value for value in row if value is not None and math.isfinite(value)]
    ends = dict.fromkeys(number(end(finite), 3) for end in (min, max)) if finite else ("-",)
    return " to ".join(ends)
