"""What a run's numbers depend on besides its configuration and data: versions, device, kernels, JAX settings."""

from __future__ import annotations

import os
from typing import Any

import jax

from retrograd.distributed.team import ALONE, Team
from retrograd.native.library import active, loaded
from retrograd.record.events import versions

USUAL_FLAGS: dict[str, Any] = {
    "jax_enable_x64": False,
    "jax_default_matmul_precision": None,
    "jax_numpy_dtype_promotion": "standard",
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
}
COMPILER_FLAGS = "XLA_FLAGS"


def number_flags() -> dict[str, str]:
    """Return the JAX settings that change numbers and differ from the defaults, such as JAX_ENABLE_X64."""
    flags = {name: getattr(jax.config, name, usual) for name, usual in USUAL_FLAGS.items()}
    return {name: str(value) for name, value in flags.items() if value != USUAL_FLAGS[name]}


def surroundings(team: Team = ALONE) -> dict[str, str]:
    """Return these facts, with the kernels in use now; where they differ, the last digits may differ."""
    kernels = loaded().variant if active() else "off"
    compiler = {COMPILER_FLAGS: os.environ[COMPILER_FLAGS].strip()} if os.environ.get(COMPILER_FLAGS) else {}
    device = jax.devices()[0].device_kind
    devices = {} if team.layout is None else {"devices": str(team.layout.mesh.size)}
    return {**versions(), "device": device, **devices, "native kernels": kernels, **number_flags(), **compiler}
