"""Normalising queries and keys per head before they are compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from retrograd.network.layer import Params

KINDS = Literal["rms", "l2"]
FIRST_COSINE_SCALE = 10.0  # Swin V2's: cosines lie between -1 and 1, too close together for a softmax
RMS_EPS, L2_EPS = 1e-6, 1e-12
Tape = dict[str, tuple[Array, Array]]  # role -> xhat [batch, time, heads, width], 1 / length


class HeadNorm(NamedTuple):
    """Divide each head's queries and keys by their root mean square or length, then apply a learned scale.

    rms:  q = query_scale · x / sqrt(mean(x²) + eps), likewise for keys
    l2:   q = cosine_scale · x / sqrt(Σ x² + eps), likewise for keys, without a scale
    """

    kind: KINDS
    width: int

    def init(self, heads: int, first: float | None) -> Params:
        """Return the initial scales: 1 for each number of a head (rms), or `first` for each head (l2)."""
        if self.kind == "rms":
            return {f"{role}_scale": jnp.ones(self.width, jnp.float32) for role in ("query", "key")}
        return {"cosine_scale": jnp.full(heads, first or FIRST_COSINE_SCALE, jnp.float32)}

    def forward(self, params: Params, columns: Mapping[str, Array]) -> tuple[dict[str, Array], Tape]:
        """Return the columns with queries and keys [batch, time, heads x width] normalised, and the tape."""
        tape: Tape = {}
        normed = dict(columns)
        for role in ("query", "key"):
            x = self._heads(columns[role])
            inverse = lax.rsqrt(self._total(x * x) + self.eps)
            tape[role] = (x * inverse, inverse)
            y = x * inverse * self._scale(params, role, x.dtype)
            normed[role] = y.reshape(columns[role].shape).astype(columns[role].dtype)
        return normed, tape

    def backward(self, params: Params, tape: Tape, deltas: Mapping[str, Array]) -> tuple[dict[str, Array], Params]:
        """g = scale dy, dx = (g - xhat mean(g xhat)) / sqrt(mean(x²) + eps), dscale = Σ dy xhat; l2 sums for means."""
        grads: Params = {}
        whole = dict(deltas)
        for role, (xhat, inverse) in tape.items():
            dy = self._heads(deltas[role])
            g = dy * self._scale(params, role, dy.dtype)
            dx = inverse * (g - xhat * self._total(g * xhat))
            whole[role] = dx.reshape(deltas[role].shape).astype(deltas[role].dtype)
            if self.kind == "rms":
                name = f"{role}_scale"
                grads[name] = (dy * xhat).sum((0, 1, 2), dtype=params[name].dtype)
            elif role == "query":
                grads["cosine_scale"] = math.sqrt(self.width) * (dy * xhat).sum(
                    (0, 1, 3), dtype=params["cosine_scale"].dtype
                )
        return whole, grads

    @property
    def eps(self) -> float:
        """The number added under the root."""
        return RMS_EPS if self.kind == "rms" else L2_EPS

    def _heads(self, x: Array) -> Array:
        apart = x.reshape(*x.shape[:2], -1, self.width)
        return apart.astype(jnp.float32) if x.dtype.itemsize < 4 else apart

    def _total(self, x: Array) -> Array:
        return x.mean(-1, keepdims=True) if self.kind == "rms" else x.sum(-1, keepdims=True)

    def _scale(self, params: Params, role: str, dtype: jnp.dtype) -> Array | float:
        """Return the factor of xhat, without the later division by sqrt(width), which must not apply to cosines."""
        if self.kind == "rms":
            return params[f"{role}_scale"].astype(dtype)
        return math.sqrt(self.width) * params["cosine_scale"].astype(dtype)[:, None] if role == "query" else 1.0
