"""Remedies that change hidden layers: their initial weights, activations, width and number."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import Any

from typing_extensions import override

from retrograd.base.schema import fields
from retrograd.diagnosis.edit import (
    activated,
    hidden_affine,
    hidden_dense,
    is_activation,
    kind,
    kind_of_activation,
    output_index,
)
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedy import Remedy, names_of, rearranged, remedies, with_behind, with_layer, with_layers
from retrograd.network.finish import mapped
from retrograd.network.layer import Activation
from retrograd.network.layers.activations.leaky_relu import LeakyReLU
from retrograd.network.layers.activations.relu import ReLU
from retrograd.network.layers.attention.positions import Positions
from retrograd.network.layers.normalisation.layer_norm import LayerNorm
from retrograd.network.layers.pooling.global_average_pool import GlobalAveragePool
from retrograd.network.layers.rearranging.flatten import Flatten
from retrograd.network.layers.recurrent.recurrent import Recurrent
from retrograd.network.scope import Entry
from retrograd.training.config.config import RunConfig

SATURATING = ("sigmoid", "tanh", "exponential", "softmax", "hard_sigmoid", "softsign", "log_sigmoid")
WIDE, FEW = 32, 2  # units; hidden layers
USUAL_MOMENTUM, ARRIVED = 0.1, 0.01  # batch norm's default; the share of the initial values that may remain
ATTENDING = ("multi_head_attention", "transformer_encoder", "transformer_decoder", "repeat")
PLAIN = ("weight", "bias", "weight_hidden")  # parameters with a configurable initializer


@remedies.register("default_initial_weights")
class DefaultInitialWeights(Remedy):
    """Draw initial weights by the rule for the next activation (He, Glorot, LeCun), with biases of 0."""

    why = "initial weights of the right scale let signals and gradients pass through every layer"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        def reset(thing: Any) -> Any:
            if not hasattr(thing, "weight"):
                return mapped(thing, reset)
            default = {field.name: field.default for field in fields(type(thing)) if field.name in PLAIN}
            values = {name: getattr(thing, name) for name in default}
            changed = {n: default[n] for n, value in values.items() if value is not False and value != default[n]}
            return dataclasses.replace(thing, **changed) if changed else thing

        network = tuple(mapped(entry, reset) for entry in config.network)
        return None if network == config.network else dataclasses.replace(config, network=network)


@remedies.register("add_bias")
class AddBias(Remedy):
    """Give every layer a bias, initially 0."""

    why = "a bias lets a unit switch anywhere, not only at inputs of 0"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        def biased(thing: Any) -> Any:
            if getattr(thing, "bias", None) is False and hasattr(thing, "weight"):
                default = next(field.default for field in fields(type(thing)) if field.name == "bias")
                return dataclasses.replace(thing, bias=default)
            return mapped(thing, biased)

        network = tuple(mapped(entry, biased) for entry in config.network)
        return None if network == config.network else dataclasses.replace(config, network=network)


@remedies.register("batch_norm_momentum")
class BatchNormMomentum(Remedy):
    """Let batch norm's running averages cover at least 99 % of the way within the configured updates."""

    why = "evaluation should use the statistics of training"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        if program.prepared is None:
            return None
        momentum = max(USUAL_MOMENTUM, float(f"{1 - ARRIVED ** (1 / program.prepared.steps):.3g}"))

        def faster(thing: Any) -> Any:
            if getattr(thing, "kind", "") == "batch_norm" and thing.momentum is not None:
                return dataclasses.replace(thing, momentum=momentum)
            return mapped(thing, faster)

        network = tuple(mapped(entry, faster) for entry in config.network)
        return None if network == config.network else dataclasses.replace(config, network=network)


class _HiddenActivations(Remedy):
    """Replace the activations of hidden layers."""

    @abstractmethod
    def replacement(self, before: str) -> Activation | None:
        """Return the activation that replaces another one; None to keep it."""

    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        last = output_index(config.network)
        hidden = range(0 if last is None else last)
        changed = [(i, self._replaced(entry) if i in hidden else entry) for i, entry in enumerate(config.network)]
        return None if tuple(entry for _, entry in changed) == config.network else rearranged(config, changed)

    def _replaced(self, entry: Entry) -> Entry:
        if is_activation(entry) and (new := self.replacement(kind(entry))):
            return dataclasses.replace(entry, layer=new)
        inner = getattr(entry.layer, "activation", None)
        if inner is not None and (new := self.replacement(kind_of_activation(entry))):
            return with_layer(entry, activation=new)
        return entry


@remedies.register("hidden_relu")
class HiddenReLU(_HiddenActivations):
    """Use relu between layers where an activation saturates."""

    why = "an active relu passes gradients on undiminished"
    cost = 2

    @override
    def replacement(self, before: str) -> Activation | None:
        return ReLU() if before in SATURATING else None


@remedies.register("leaky")
class Leaky(_HiddenActivations):
    """Use leaky relu instead of relu."""

    why = "a leaky unit has a gradient even when inactive, and can recover"
    cost = 2

    @override
    def replacement(self, before: str) -> Activation | None:
        return LeakyReLU() if before == "relu" else None


@remedies.register("add_activations")
class AddActivations(Remedy):
    """Add relu to hidden layers that have no activation."""

    why = "without an activation between them, two layers amount to one linear layer"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        bare = [i for i in hidden_affine(config.network) if not activated(config.network, i)]
        return with_layers(config, bare, activation=ReLU())


@remedies.register("widen")
class Widen(Remedy):
    """Give narrow hidden dense layers 32 units."""

    why = "a narrow layer loses information, and narrow relu layers die easily"
    cost = 3

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        narrow = [i for i in hidden_affine(config.network) if _units(config.network[i]) < WIDE]
        return with_layers(config, narrow, units=WIDE)


@remedies.register("fewer_layers")
class FewerLayers(Remedy):
    """Keep two hidden dense layers where there are more."""

    why = "gradients must pass through every additional layer"
    cost = 3

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        spare = hidden_dense(config.network)[FEW:]
        if not spare or any(entry.name or entry.inputs or entry.share for entry in config.network):
            return None
        dropped = set(spare)
        for i in spare:  # and everything after it up to the next layer with weights
            j = i + 1
            while j < len(config.network) and not hasattr(config.network[j].layer, "weight"):
                dropped.add(j)
                j += 1
        return rearranged(config, [(i, entry) for i, entry in enumerate(config.network) if i not in dropped])


@remedies.register("simpler_network")
class SimplerNetwork(Remedy):
    """Give hidden dense layers a quarter of their units."""

    why = "fewer weights memorise less"
    cost = 3

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        # 16 units are simple enough
        wide = [i for i in hidden_affine(config.network) if 16 < _units(config.network[i]) < float("inf")]
        if not wide:
            return None
        entries = [
            with_layer(e, units=max(8, int(_units(e)) // 4)) if i in wide else e for i, e in enumerate(config.network)
        ]
        return dataclasses.replace(config, network=tuple(entries))


@remedies.register("normalise")
class Normalise(Remedy):
    """Put a layer norm after each hidden dense layer."""

    why = "normalisation keeps the scale of signals whatever the weights are"
    cost = 3

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        if any("norm" in kind(entry) for entry in config.network):
            return None
        return with_behind(config, hidden_dense(config.network), LayerNorm())


def _units(entry: Entry) -> float:
    units = getattr(entry.layer, "units", None)
    return float(units) if isinstance(units, int) else float("inf")


@remedies.register("unfreeze")
class Unfreeze(Remedy):
    """Unfreeze all layers."""

    why = "random weights that never change are not learned features"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        network = tuple(dataclasses.replace(entry, frozen=False) for entry in config.network)
        changed = dataclasses.replace(config, network=network, freeze=())
        return None if changed == config else changed


@remedies.register("pool_states")
class PoolStates(Remedy):
    """Use the mean of a recurrent layer's states over all steps instead of the last state."""

    why = "every step then receives a delta directly, not only through all later steps"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        entries: list[tuple[int | None, Entry]] = []
        for i, entry in enumerate(config.network):
            pooled = isinstance(entry.layer, Recurrent) and entry.layer.output == "last" and len(entry.inputs or ()) < 2
            entries.append((i, with_layer(entry, output="sequence") if pooled else entry))
            entries += [(None, Entry(GlobalAveragePool()))] if pooled else []
        return rearranged(config, entries) if len(entries) > len(config.network) else None


@remedies.register("no_truncation")
class NoTruncation(Remedy):
    """Propagate gradients back through all steps of a sequence."""

    why = "nothing further back than `truncate` steps can be learned"

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        places = [i for i, entry in enumerate(config.network) if getattr(entry.layer, "truncate", None)]
        return with_layers(config, places, truncate=None)


@remedies.register("add_positions")
class AddPositions(Remedy):
    """Add a sinusoidal position encoding to each step, before the first attention."""

    why = "attention alone ignores the order of the steps"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        place = next((i for i, entry in enumerate(config.network) if kind(entry) in ATTENDING), None)
        if not place or any("positions" in kind(entry) for entry in config.network):
            return None
        entries: list[tuple[int | None, Entry]] = list(enumerate(config.network))
        entries.insert(place, (None, Entry(Positions())))
        return rearranged(config, entries)


@remedies.register("without_lossy_layer")
class WithoutLossyLayer(Remedy):
    """Remove the layer that loses what the answers depend on; replace global pooling with flatten."""

    why = "no later layer can recover what a layer has dropped"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        loss = program.loss_on_the_way
        if loss is None:
            return None
        place = next((i for i, name in enumerate(names_of(config.network)) if name == loss.node.name), None)
        if place is None:
            return None
        new = Entry(Flatten()) if kind(config.network[place]).startswith("global_") else None
        entries = [(i, entry) for i, entry in enumerate(config.network) if i != place]
        return rearranged(config, entries if new is None else [*entries[:place], (None, new), *entries[place:]])


@remedies.register("shorter_stride")
class ShorterStride(Remedy):
    """Limit each stride to the length of the kernel."""

    why = "every place is then read at least once"
    cost = 2

    @override
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        places = [
            i
            for i, entry in enumerate(config.network)
            if isinstance(stride := getattr(entry.layer, "stride", None), int)
            and isinstance(kernel := getattr(entry.layer, "kernel", None), int)
            and stride > kernel
        ]
        if not places:
            return None
        shortest = min(config.network[i].layer.kernel for i in places)  # type: ignore[union-attr]
        return with_layers(config, places, stride=shortest)
