"""Pretrained weights: which tensor of a folder each parameter is read from, and the resulting initial values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from retrograd.base.errors import ModelFileError, RetrogradError
from retrograd.base.sentence import sentence, setting
from retrograd.network.network import Network, Variables
from retrograd.present.numbers import size
from retrograd.present.wording import some_of
from retrograd.record.hub.family import Place, Plan, parts_of, plan
from retrograd.record.hub.folder import Folder
from retrograd.record.hub.tensors import Tensors
from retrograd.training.config.weights import WeightsSettings

SETTING = "weights"
CURE = sentence(
    "keep the names of the imported entries; {} initialises parameters missing from the folder",
    setting("missing", "init", within="weights"),
)


@dataclass(frozen=True)
class Pretrained:
    """The tensors of a folder, and which of them each parameter is read from; they are read on demand."""

    tensors: Tensors
    plan: Plan
    expected: Variables  # specs
    added: tuple[Place, ...] = ()  # adapter matrices, which no folder has

    @property
    def drawn(self) -> tuple[str, ...]:
        """The paths of the network's parameters that are missing from the folder, adapters aside."""
        return tuple(f"{node}/{name}" for node, name in self.plan.missing)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence about what is read and what is initialised at random."""
        read = f"weights: {len(self.plan.taken)} tensors ({size(self.tensors.bytes)}) from {self.tensors.folder}"
        return (f"{read}; initialised at random: {some_of(self.drawn)}" if self.drawn else read,)

    def variables(self, network: Network, key: jax.Array, columns: Mapping[str, Any]) -> Variables:
        """Return the initial values: those in the folder, and the rest drawn from the key.

        The largest tensors are read first: each briefly needs its memory twice, while little else is loaded.
        """
        drawn_nodes = {node for node, _ in (*self.plan.missing, *self.added)} | set(self.expected.state)
        drawn = network.init(key, columns, only=drawn_nodes) if drawn_nodes else Variables({}, {})
        dtypes = {
            (node, name): spec.dtype
            for node, node_specs in self.expected.params.items()
            for name, spec in node_specs.items()
        }
        read: dict[tuple[str, str], Any] = {}
        for taken in sorted(self.plan.taken, key=lambda taken: -self.tensors[taken.key].size):
            widths = [self.expected.params[node][name].shape[-1] for node, name in taken.places]
            read |= self.tensors.read(taken.key, parts_of(taken, widths), dtypes)
        params = {
            node: {name: read[node, name] if (node, name) in read else drawn.params[node][name] for name in node_specs}
            for node, node_specs in self.expected.params.items()
        }
        return Variables(params, drawn.state)


def pretrained(settings: WeightsSettings, expected: Variables, added: tuple[Place, ...] = ()) -> Pretrained:
    """Return the weights of a folder for a network that expects these shapes; only the headers are read.

    `added` are the adapter matrices.

    Raises:  UsageError for a folder without safetensors; ModelFileError naming each tensor that does not fit
    """
    folder = Folder(Path(settings.path))
    try:
        family, tensors = folder.family(settings.map), folder.tensors
    except RetrogradError as error:
        raise type(error)([p._replace(where=f"{SETTING}.path: {p.where}") for p in error.problems]) from None
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    base = {node: {name: spec for name, spec in node_specs.items() if (node, name) not in added}
            for node, node_specs in expected.params.items()}  # fmt: skip
    planned = plan(family, shapes, base)
    allowed_missing = len(planned.missing) if settings.missing == "init" else 0
    problems = [p._replace(where=f"{SETTING}: {p.where}") for p in planned.problems[allowed_missing:]]
    if problems:
        problems[-1] = problems[-1]._replace(cure=CURE)
        raise ModelFileError(problems)
    return Pretrained(tensors, planned, expected, added)
