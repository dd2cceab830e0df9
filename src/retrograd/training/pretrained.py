"""Pretrained weights: which tensor of a folder each parameter is read from, and the first values that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from retrograd.base.errors import ModelFileError, RetrogradError
from retrograd.network.network import Network, Variables
from retrograd.present.numbers import size
from retrograd.present.wording import some_of
from retrograd.record.hub.family import Place, Plan, parts_of, plan
from retrograd.record.hub.folder import Folder
from retrograd.record.hub.tensors import Tensors
from retrograd.training.config.weights import WeightsSettings

SETTING = "weights"
CURE = "keep the names of the imported entries; `missing: init` draws what the folder does not have"


@dataclass(frozen=True)
class Pretrained:
    """The tensors of a folder, and which of them each parameter is read from; they are read when they are needed."""

    tensors: Tensors
    plan: Plan
    expected: Variables  # specs
    added: tuple[Place, ...] = ()  # the matrices of adaptation, which no folder has

    @property
    def drawn(self) -> tuple[str, ...]:
        """The paths of the network's own parameters that the folder does not have."""
        return tuple(f"{node}/{name}" for node, name in self.plan.missing)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is read, and what is drawn, in words."""
        read = f"weights: {len(self.plan.taken)} tensors ({size(self.tensors.bytes)}) of {self.tensors.folder}"
        return (f"{read}; drawn: {some_of(self.drawn)}" if self.drawn else read,)

    def variables(self, network: Network, key: jax.Array, columns: Mapping[str, Any]) -> Variables:
        """Return the first values: what the folder holds, and the rest drawn from the key.

        The largest tensors are read first, so that the room for one of them twice is there while little else is.
        """
        drawn_nodes = {node for node, _ in (*self.plan.missing, *self.added)} | set(self.expected.state)
        drawn = network.init(key, columns, only=drawn_nodes) if drawn_nodes else Variables({}, {})
        dtypes = {(node, name): spec.dtype for node, own in self.expected.params.items() for name, spec in own.items()}
        read: dict[tuple[str, str], Any] = {}
        for taken in sorted(self.plan.taken, key=lambda taken: -self.tensors[taken.key].size):
            widths = [self.expected.params[node][name].shape[-1] for node, name in taken.places]
            read |= self.tensors.read(taken.key, parts_of(taken, widths), dtypes)
        params = {
            node: {name: read[node, name] if (node, name) in read else drawn.params[node][name] for name in own}
            for node, own in self.expected.params.items()
        }
        return Variables(params, drawn.state)


def pretrained(settings: WeightsSettings, expected: Variables, added: tuple[Place, ...] = ()) -> Pretrained:
    """Return the weights of a folder for a network that expects these shapes; only the headers are read.

    `added` are the matrices of adaptation.

    Raises:  UsageError for a folder without safetensors; ModelFileError naming each tensor that does not fit
    """
    folder = Folder(Path(settings.path))
    try:
        family, tensors = folder.family(settings.map), folder.tensors
    except RetrogradError as error:
        raise type(error)([p._replace(where=f"{SETTING}.path: {p.where}") for p in error.problems]) from None
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    base = {node: {name: spec for name, spec in own.items() if (node, name) not in added}
            for node, own in expected.params.items()}  # fmt: skip
    planned = plan(family, shapes, base)
    absent = len(planned.missing) if settings.missing == "init" else 0
    problems = [p._replace(where=f"{SETTING}: {p.where}") for p in planned.problems[absent:]]
    if problems:
        problems[-1] = problems[-1]._replace(cure=CURE)
        raise ModelFileError(problems)
    return Pretrained(tensors, planned, expected, added)
