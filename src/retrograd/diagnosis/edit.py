"""Where things are in a network's list of entries: the output layer, hidden layers, activations."""

from __future__ import annotations

from retrograd.network.layer import Activation
from retrograd.network.scope import Entry

AFFINE = ("dense", "conv1d", "conv2d")


def kind(entry: Entry) -> str:
    """Return the registered name of an entry's layer or block."""
    return str(getattr(entry.layer, "registered_name", ""))


def output_index(entries: tuple[Entry, ...]) -> int | None:
    """Return the index of the last affine entry, usually the output layer."""
    places = [i for i, entry in enumerate(entries) if kind(entry) in AFFINE]
    return places[-1] if places else None


def hidden_affine(entries: tuple[Entry, ...]) -> list[int]:
    """Return the indices of the affine entries before the output layer."""
    return [i for i, entry in enumerate(entries) if kind(entry) in AFFINE][:-1]


def hidden_dense(entries: tuple[Entry, ...]) -> list[int]:
    """Return the indices of the dense entries before the output layer."""
    return [i for i in hidden_affine(entries) if kind(entries[i]) == "dense"]


def is_activation(entry: Entry) -> bool:
    """Return whether an entry is a separate activation."""
    return isinstance(entry.layer, Activation) and kind(entry) != "identity"


def activated(entries: tuple[Entry, ...], place: int) -> bool:
    """Return whether an affine entry has an activation, its own or as a separate entry after it."""
    if getattr(entries[place].layer, "activation", None) is not None:
        return kind_of_activation(entries[place]) != "identity"
    for entry in entries[place + 1 :]:
        if kind(entry) in AFFINE:
            return False
        if is_activation(entry):
            return True
    return False


def kind_of_activation(entry: Entry) -> str:
    """Return the kind of an affine entry's own activation."""
    return str(getattr(getattr(entry.layer, "activation", None), "kind", "identity"))
