"""The attention weights for one row of a part, if the network outputs them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from retrograd.base.compilation.programs import ONCE, Program
from retrograd.network.layer import Context, Layer
from retrograd.network.layers.attention.multi_head_attention import MultiHeadAttention
from retrograd.network.network import Network, Variables, take
from retrograd.network.precision import Precision, computing_in, in_precision
from retrograd.propagation.backprop import forward
from retrograd.record.attention import Attention, HeadMaps

MOST_NODES, MOST_HEADS, MOST_PLACES = 12, 8, 128


def attention_of(
    network: Network, variables: Variables, part: str, columns: Mapping[str, Any], precision: Precision
) -> Attention | None:
    """Return the attention weights of some nodes for the first row; None if no node outputs them."""
    nodes = [n.name for n in network.nodes if _outputs_weights(n.layer.wrapped or n.layer)]
    nodes = nodes[:MOST_NODES]
    if not nodes:
        return None
    row = {name: columns[name][:1] for name in network.columns}
    program = Program(_weights, network, tuple(nodes), options=ONCE)
    with computing_in(precision):
        weights = jax.device_get(program(*variables, in_precision(row, precision)))
    return Attention(part, tuple(map(_maps, nodes, weights)))


def _outputs_weights(layer: Layer) -> bool:
    return isinstance(layer, MultiHeadAttention) and layer.output != "sequence"


def _weights(network: Network, nodes: tuple[str, ...], params: Any, state: Any, row: Mapping[str, Any]) -> Any:
    outputs = forward(network, params, state, Context(), row).outputs
    return [take(outputs, f"{node}.weights") for node in nodes]


def _maps(node: str, weights: np.ndarray) -> HeadMaps:
    """Return the row's weights [heads, queries, keys], or their mean over the heads, as bytes."""
    heads = weights[0].reshape(-1, *weights.shape[-2:])[:MOST_HEADS, :MOST_PLACES, :MOST_PLACES]
    heads = np.nan_to_num(heads.astype(np.float64))
    largest = float(heads.max(initial=0.0))
    shades = np.round(255 * heads / (largest or 1.0)).clip(0, 255).astype(np.uint8)
    texts = tuple(base64.b64encode(head.tobytes()).decode() for head in shades)
    return HeadMaps(node, heads.shape[1], heads.shape[2], largest, texts)
