"""Which channels of a network can only be removed together: disjoint sets, frozen if a member must stay."""

from __future__ import annotations

import numpy as np

Labels = np.ndarray  # of one axis: for each position, the number of its set when it was labelled


class Channels:
    """Disjoint sets of channels. The channels in a set are removed together or not at all; a frozen set stays."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self.frozen: dict[int, str] = {}  # a set, by its root -> why it stays

    @property
    def count(self) -> int:
        """The number of labels."""
        return len(self._parents)

    def new(self, count: int) -> Labels:
        """Return labels for new channels, not yet coupled."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def join(self, *axes: Labels) -> None:
        """Couple the channels of several axes, position by position; a single label couples with all."""
        first, *others = np.broadcast_arrays(*axes)
        for other in others:
            for a, b in zip(first, other, strict=True):
                self._unite(int(a), int(b))

    def freeze(self, labels: Labels, reason: str) -> None:
        """Keep channels from being removed; the first reason counts."""
        for label in labels:
            self.frozen.setdefault(self.root(int(label)), reason)

    def roots(self, labels: Labels) -> Labels:
        """Return the set that each label belongs to."""
        unique, places = np.unique(labels, return_inverse=True)
        roots: Labels = np.array([self.root(int(label)) for label in unique], int)[places]
        return roots

    def root(self, label: int) -> int:
        """Return the set that a label belongs to."""
        top = label
        while self._parents[top] != top:
            top = self._parents[top]
        while self._parents[label] != top:  # shortens the path for next time
            self._parents[label], label = top, self._parents[label]
        return top

    def _unite(self, a: int, b: int) -> None:
        a, b = self.root(a), self.root(b)
        if a == b:
            return
        self._parents[b] = a
        if b in self.frozen:
            self.frozen.setdefault(a, self.frozen.pop(b))
