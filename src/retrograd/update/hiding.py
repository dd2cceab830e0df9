"""Masked tokens, drawn anew in every training step of a masked language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from retrograd.base.keys import fold_path
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.texts.inputs import CorpusInputs
from retrograd.data.texts.masking import Masking
from retrograd.network.network import Network
from retrograd.propagation.objective import Objective


@dataclass(frozen=True)
class Hiding:
    """Mask other tokens of a batch than those masked in its columns, so that they differ in every epoch.

    The columns `x` and `y` determine the text: x where nothing is masked, else y. Evaluation uses them as they are, so
    a text is always evaluated in the same way. See: Liu et al. 2019 (RoBERTa), arXiv:1907.11692, section 4.1.
    """

    masking: Masking

    def __call__(
        self, batch: Mapping[str, Any], key: Array, network: Network, objectives: Sequence[Objective]
    ) -> dict[str, Any]:
        """Return the batch with randomly masked tokens."""
        ids = self.masking.shown(batch["x"], batch["y"], jnp)
        draws = jax.random.uniform(fold_path(key, "hiding"), (3, *ids.shape), jnp.float32)
        x, y = self.masking.hide(ids, draws, jnp)
        return {**batch, "x": x, "y": y}


def hiding_of(preprocessing: Preprocessing) -> Hiding | None:
    """Return the masking of tokens in training steps; None for other tasks."""
    inputs = preprocessing.inputs
    masking = inputs.masking if isinstance(inputs, CorpusInputs) else None
    return None if masking is None else Hiding(masking)
