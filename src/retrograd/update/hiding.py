"""Hidden tokens drawn anew in every step of a masked language model."""

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
    """Hide other tokens of a batch in place of those that its columns hide, so that no epoch sees the same ones.

    The columns `x` and `y` say what the text is: x where nothing is hidden, else y. They are what is evaluated, so
    that a text is always measured alike. See: Liu et al. 2019 (RoBERTa), arXiv:1907.11692, section 4.1.
    """

    masking: Masking

    def __call__(
        self, batch: Mapping[str, Any], key: Array, network: Network, objectives: Sequence[Objective]
    ) -> dict[str, Any]:
        """Return the batch with tokens hidden by chance."""
        ids = self.masking.shown(batch["x"], batch["y"], jnp)
        draws = jax.random.uniform(fold_path(key, "hiding"), (3, *ids.shape), jnp.float32)
        x, y = self.masking.hide(ids, draws, jnp)
        return {**batch, "x": x, "y": y}


def hiding_of(preprocessing: Preprocessing) -> Hiding | None:
    """Return what hides the tokens of each step; None for other tasks."""
    inputs = preprocessing.inputs
    masking = inputs.masking if isinstance(inputs, CorpusInputs) else None
    return None if masking is None else Hiding(masking)
