"""The table of a run's network: its nodes in order, with settings, output shapes and parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.errors import RetrogradError
from retrograd.base.schema import dump
from retrograd.network import layers as known_layers  # noqa: F401  # importing them registers them
from retrograd.network.entries import parse_entries
from retrograd.network.layer import Spec
from retrograd.network.network import Network
from retrograd.present.markup import Markup, element, table
from retrograd.present.numbers import number
from retrograd.report.story import Story, natural

MOST_NODES = 300
MOST_SETTINGS = 60  # characters


class Row(NamedTuple):
    """One node: its path, its layer in words, its inputs, its output shape, and its parameter shapes by name."""

    path: str
    layer: str
    inputs: tuple[str, ...]
    output: str
    params: dict[str, tuple[int, ...]]


def rows(story: Story) -> list[Row]:
    """Return the nodes in order; if a layer is not registered here, only the nodes with parameters."""
    params: dict[str, dict[str, tuple[int, ...]]] = {}
    for path, shape in story.shapes().items():
        node, _, name = path.rpartition("/")
        params.setdefault(node, {})[name] = shape
    try:
        network = Network(*parse_entries(story.model_config.get("network")))
        outputs = network.specs(_columns(story.facts))
    except (RetrogradError, AttributeError, KeyError, TypeError, ValueError):
        return [Row(node, "", (), "", shapes) for node, shapes in sorted(params.items(), key=_by_node)]
    return [
        Row(node.name, _layer(node.layer), node.inputs, _shape(outputs[node.name]), params.get(node.name, {}))
        for node in network.nodes
    ]


def network_section(story: Story, nodes: list[Row]) -> Markup:
    """Return the section on the network."""
    if not nodes:
        return Markup("")
    cells = [[node.path, node.layer, node.output, _shapes(node.params), _count(node.params)] for node in nodes]
    plural = "node" if len(nodes) == 1 else "nodes"
    count = _total(story.shapes())
    caption = f"{len(nodes):,} {plural} in forward order, {count:,} parameters. Shapes omit the batch axis."
    if len(nodes) > MOST_NODES:
        caption += f" The first {MOST_NODES} are shown."
    head = ["node", "layer", "output", "parameters", "count"]
    shown = table("nodes of the network", head, cells[:MOST_NODES])
    return element("section", element("h2", "Network"), element("p", caption, class_="soft"), shown)


def parameter_count(story: Story) -> int | None:
    """Return the number of parameters; None without a model."""
    return _total(story.shapes()) if story.header else None


def _by_node(item: tuple[str, Any]) -> Any:
    return natural(item[0])


def _columns(facts: Mapping[str, Any]) -> dict[str, Spec]:
    return {name: Spec((1, *shape), np.dtype(dtype)) for name, (shape, dtype) in facts["columns"].items()}


def _layer(layer: Any) -> str:
    """Describe a layer: its kind, and the settings that differ from their defaults."""
    kind = str(getattr(layer, "kind", type(layer).__name__))
    try:
        settings = {key: value for key, value in dump(layer, filled=False).items() if value is not None}
    except (RetrogradError, AttributeError, TypeError):
        return kind
    text = ", ".join(f"{key} {value}" for key, value in settings.items())
    text = text if len(text) <= MOST_SETTINGS else f"{text[: MOST_SETTINGS - 3]}..."
    return f"{kind}: {text}" if text else kind


def _shape(spec: Any) -> str:
    if isinstance(spec, dict):
        return "; ".join(f"{name} {_shape(part)}" for name, part in spec.items())
    return _times(spec.shape[1:])


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{axis:,}" for axis in shape) or "1"


def _shapes(params: dict[str, tuple[int, ...]]) -> Markup:
    largest_first = sorted(params.items(), key=lambda item: -math.prod(item[1]))
    spans = [element("span", f"{name} {_times(shape)}", class_="shape") for name, shape in largest_first]
    return Markup(" ".join(spans))


def _count(params: dict[str, tuple[int, ...]]) -> str:
    return number(_total(params)) if params else ""


def _total(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return sum(map(math.prod, shapes.values()))
