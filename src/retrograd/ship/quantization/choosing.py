"""Which layers become integers: all except the worst, which are left out until the metric falls little enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from retrograd.base.errors import ModelFileError
from retrograd.network.network import own_params
from retrograd.ship.onnx.graph import Graph
from retrograd.ship.quantization.nodes import heavy, in_integers
from retrograd.ship.quantization.reading import constants_of, layer_of
from retrograd.ship.quantization.scales import Range
from retrograd.ship.quantization.trials import Bench
from retrograd.training.use.predict import Model


@dataclass(frozen=True)
class LayerTrial:
    """A trial with only one layer in integers: the size of its weights in float32 in bytes, the signal-to-noise ratio
    at the output in dB, and how much the metric falls.
    """

    layer: str
    bytes: int
    signal_to_noise: float
    drop: float


class DropError(ModelFileError):
    """No layer can be in integers within the budget; `layers` are the trials of single layers, worst first."""

    def __init__(self, layers: tuple[LayerTrial, ...], metric: str, max_drop: float, where: str) -> None:
        message = f"with any layer in integers, {metric} falls by more than {100 * max_drop:g} %"
        cure = "nothing was written; allow more with --max-drop (max_drop), or export it in float32"
        super().__init__(message, where=where, cure=cure)
        self.layers, self.metric = layers, metric


def paths_of(model: Model) -> set[str]:
    """Return the paths of layers with weights, for each member of an ensemble."""
    prefixes = [f"member_{i + 1}/" for i in range(model.members)] if model.members > 1 else [""]
    return {f"{prefix}{node.name}" for prefix in prefixes for node in model.network
            if own_params(model.variables.params, node)}  # fmt: skip


def layers_of(model: Model, graph: Graph) -> dict[str, int]:
    """Return the paths of layers with weights worth converting to integers, and the size of these in float32."""
    paths = paths_of(model)
    arrays, sizes = constants_of(graph), dict[str, dict[str, int]]()
    for node in graph.nodes:
        if layer_of(node) in paths:
            for name in heavy(arrays, node):
                sizes.setdefault(layer_of(node), {})[name] = arrays[name].nbytes
    return {layer: sum(each.values()) for layer, each in sizes.items()}


def alone(bench: Bench, graph: Graph, layers: Mapping[str, int], ranges: Mapping[str, Range], bits: int
          ) -> tuple[LayerTrial, ...]:  # fmt: skip
    """Return a trial of each layer on its own in integers, worst first."""
    trials = []
    for layer, size in layers.items():
        trial = bench.trial(in_integers(graph, [layer], ranges, bits))
        trials.append(LayerTrial(layer, size, trial.signal_to_noise, trial.drop))
    return tuple(sorted(trials, key=lambda each: each.signal_to_noise))


def together(bench: Bench, graph: Graph, trials: tuple[LayerTrial, ...], ranges: Mapping[str, Range], bits: int,
             max_drop: float) -> tuple[Graph, tuple[str, ...]]:  # fmt: skip
    """Return the graph in integers, and the layers that stay in float32: as few of the worst as the budget requires.

    Raises:  DropError if no layer can be in integers
    """
    layers = [trial.layer for trial in trials]
    for i in range(len(layers)):
        whole = in_integers(graph, layers[i:], ranges, bits)
        if bench.trial(whole).drop <= max_drop:
            return whole, tuple(layers[:i])
    raise DropError(trials, bench.metric, max_drop, bench.model.config.name)
